"""FLAVA's adapter against the contrastive branch of its authors' pre-training model, in transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import seeded
import torch
from torch.nn.functional import normalize
from transformers import BertTokenizer, FlavaConfig, FlavaForPreTraining

from bench.errors import WeightsError
from bench.models.adapters.flava import Flava
from bench.models.contract import ImageEncoder

TEXTS = ["a face of fear.", "anger", "fear " * 100]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "face", "of", "fear", "anger", "."]


@pytest.fixture(scope="module")
def official() -> FlavaForPreTraining:
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = FlavaConfig(
        text_config={**size, "vocab_size": 40},
        image_config={**size, "image_size": 32, "patch_size": 16},
        multimodal_config=size,
        image_codebook_config={"hidden_size": 8, "vocab_size": 16, "num_groups": 4, "num_blocks_per_group": 1},
        hidden_size=32,
        projection_dim=24,
    )
    model = FlavaForPreTraining(config).eval()
    for name, parameter in model.named_parameters():
        if name.startswith("flava.") and parameter.ndim:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture
def folder(tmp_path: Path, official: FlavaForPreTraining) -> Path:
    official.config.save_pretrained(tmp_path)
    torch.save(official.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return tmp_path


def test_it_gives_the_contrastive_logits_of_the_pre_training_model(folder: Path, official: FlavaForPreTraining) -> None:
    pixels = seeded.paper_pixels([*seeded.pictures(), seeded.Image.fromarray(seeded.picture(9, 50, 50))], 32)
    tokens = BertTokenizer.from_pretrained(str(folder))(
        TEXTS, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
    )
    with torch.inference_mode():
        output = official(**tokens, pixel_values=pixels, skip_multimodal_encoder=True, return_loss=False)
    model = Flava({"model": folder})
    assert isinstance(model, ImageEncoder)
    images, texts = model.encode_images(pixels), model.encode_texts(TEXTS)
    assert images.shape == (3, 24)
    logits = model.logit_scale * normalize(images) @ normalize(texts).T
    assert torch.allclose(logits, output.contrastive_logits_per_image, rtol=1e-5, atol=1e-5)
    assert images.norm(dim=1).max() > 1.01


def test_a_folder_without_its_vocabulary_or_configuration_says_so(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    with pytest.raises(WeightsError, match="no vocabulary"):
        Flava({"model": folder})
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"no config\.json"):
        Flava({"model": folder})


def test_a_vocabulary_larger_than_the_networks_is_refused(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join([*WORDS, *(f"w{i}" for i in range(40))]) + "\n")
    with pytest.raises(WeightsError, match="has 51 entries, and the network knows 40"):
        Flava({"model": folder})


def test_a_missing_projection_is_named(folder: Path, official: FlavaForPreTraining) -> None:
    state = {key: tensor for key, tensor in official.state_dict().items() if key != "flava.image_projection.bias"}
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"1 missing: image_projection\.bias"):
        Flava({"model": folder})
