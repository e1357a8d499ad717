"""The CLIP adapter gives the same embeddings from every container, and refuses what would be silently wrong."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import seeded
import torch
from safetensors.torch import save_file

from bench.errors import BenchError, UnknownName, WeightsError
from bench.models.adapters.open_clip import OpenClip
from bench.models.contract import ImageEncoder

TEXTS = ["a photo of a face with an expression of anger.", "fear."]


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return seeded.fill(seeded.openai_shapes(**seeded.TINY), 3)


@pytest.fixture
def pixels() -> torch.Tensor:
    return seeded.paper_pixels(seeded.pictures(), 32)


@pytest.fixture
def plain(tmp_path: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save(state, tmp_path / "plain.pt")
    return tmp_path / "plain.pt"


def test_it_is_an_image_encoder(plain: Path) -> None:
    assert isinstance(OpenClip({"model": plain}), ImageEncoder)


def test_archive_state_dict_and_safetensors_embed_alike(
    tmp_path: Path, state: dict[str, torch.Tensor], plain: Path, pixels: torch.Tensor
) -> None:
    seeded.save_torchscript(state, tmp_path / "archive.pt")
    save_file(state, tmp_path / "x.safetensors")
    expected = OpenClip({"model": plain})
    for name in ("archive.pt", "x.safetensors"):
        found = OpenClip({"model": tmp_path / name})
        assert torch.equal(found.encode_images(pixels), expected.encode_images(pixels))
        assert torch.equal(found.encode_texts(TEXTS), expected.encode_texts(TEXTS))


def test_weights_in_a_container_with_a_head_load_strictly_without_it(
    tmp_path: Path, state: dict[str, torch.Tensor], plain: Path, pixels: torch.Tensor
) -> None:
    inner = {**state, "visual.lm_head.weight": torch.ones(4, 4), "visual.mask_token": torch.ones(4)}
    torch.save({"state_dict": inner}, tmp_path / "farl.pth")
    options = {"container": "state_dict", "drop": ["visual.lm_head.", "visual.mask_token"]}
    found = OpenClip({"model": tmp_path / "farl.pth"}, **options)  # type: ignore[arg-type]
    assert torch.equal(found.encode_images(pixels), OpenClip({"model": plain}).encode_images(pixels))
    with pytest.raises(WeightsError, match=r"2 unexpected: visual\.lm_head\.weight, visual\.mask_token"):
        OpenClip({"model": tmp_path / "farl.pth"}, container="state_dict")


def test_full_precision_weights_keep_their_precision(
    tmp_path: Path, state: dict[str, torch.Tensor], plain: Path, pixels: torch.Tensor
) -> None:
    nudged = {**state, "visual.proj": state["visual.proj"] * (1 + 2**-14)}
    torch.save(nudged, tmp_path / "nudged.pt")
    found, base = (OpenClip({"model": path}).encode_images(pixels) for path in (tmp_path / "nudged.pt", plain))
    assert float(found.double().norm() / base.double().norm() - 1) == pytest.approx(2**-14, rel=0.05)


def test_the_activation_changes_the_embedding(plain: Path, pixels: torch.Tensor) -> None:
    quick, gelu = (OpenClip({"model": plain}, activation=name) for name in ("quick_gelu", "gelu"))  # type: ignore[arg-type]
    assert (quick.encode_images(pixels) - gelu.encode_images(pixels)).abs().max() > 1e-3
    assert (quick.encode_texts(TEXTS) - gelu.encode_texts(TEXTS)).abs().max() > 1e-3


def test_the_logit_scale_is_the_exponential_of_the_stored_one(plain: Path) -> None:
    assert OpenClip({"model": plain}).logit_scale == pytest.approx(100, rel=1e-3)


def test_a_row_depends_on_its_own_picture_and_text_alone(plain: Path, pixels: torch.Tensor) -> None:
    model = OpenClip({"model": plain})
    assert torch.allclose(model.encode_images(pixels)[1:], model.encode_images(pixels[1:]), rtol=1e-5, atol=1e-6)
    many = [f"text number {i}" for i in range(300)]
    assert torch.allclose(model.encode_texts(many)[299:], model.encode_texts(many[299:]), rtol=1e-5, atol=1e-6)


def test_a_text_longer_than_the_context_is_cut(plain: Path) -> None:
    model = OpenClip({"model": plain})
    assert torch.equal(model.encode_texts(["word " * 75]), model.encode_texts(["word " * 75 + "and more"]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_towers_give_nearly_the_same_embedding_in_float32(
    plain: Path, pixels: torch.Tensor, dtype: str
) -> None:
    full, half = OpenClip({"model": plain}), OpenClip({"model": plain}, dtype=dtype)
    for a, b in (
        (full.encode_images(pixels), half.encode_images(pixels)),
        (full.encode_texts(TEXTS), half.encode_texts(TEXTS)),
    ):
        assert b.dtype == torch.float32
        assert 0 < (a - b).abs().max() / a.abs().max() < 0.02


def test_pictures_of_another_size_are_refused_with_the_size_that_fits(plain: Path) -> None:
    with pytest.raises(BenchError, match=r"\[B, 3, 32, 32\].*\[2, 3, 64, 64\](.|\n)*size = 32"):
        OpenClip({"model": plain}).encode_images(torch.zeros(2, 3, 64, 64))


def test_a_misspelt_precision_offers_the_right_one(plain: Path) -> None:
    with pytest.raises(UnknownName, match="float16"):
        OpenClip({"model": plain}, dtype="float15")


def test_another_layout_is_refused_with_the_option_that_it_needs(tmp_path: Path) -> None:
    torch.save({"encoder.weight": torch.ones(2, 2)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"other\.pt is not in OpenAI's layout(.|\n)*architecture"):
        OpenClip({"model": tmp_path / "other.pt"})


def test_a_missing_text_key_is_named_and_never_left_random(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save({key: state[key] for key in state if key != "ln_final.bias"}, tmp_path / "part.pt")
    with pytest.raises(WeightsError, match=r"1 missing: ln_final\.bias"):
        OpenClip({"model": tmp_path / "part.pt"})


def test_a_token_outside_a_small_vocabulary_is_an_error(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    state = {**state, "token_embedding.weight": state["token_embedding.weight"][:100]}
    torch.save(state, tmp_path / "small.pt")
    with pytest.raises(WeightsError, match="vocabulary has 100 entries"):
        OpenClip({"model": tmp_path / "small.pt"}).encode_texts(TEXTS)


@pytest.fixture
def tiny_architectures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """open_clip networks of the miniature's size: one in OpenAI's form, one with a tokenizer of its own."""
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    known = open_clip.factory._MODEL_CONFIGS
    monkeypatch.setitem(known, "tiny", {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text})
    monkeypatch.setitem(
        known, "tiny-quickgelu", {"embed_dim": 32, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}
    )
    foreign = {**text, "hf_tokenizer_name": "somebody/tokenizer", "vocab_size": 40, "context_length": 8}
    monkeypatch.setitem(
        known,
        "tiny-foreign",
        {"embed_dim": 32, "custom_text": True, "init_logit_bias": -10, "vision_cfg": vision, "text_cfg": foreign},
    )


@pytest.mark.usefixtures("tiny_architectures")
def test_a_named_architecture_embeds_like_the_layout_that_tells_its_own(plain: Path, pixels: torch.Tensor) -> None:
    named, own = OpenClip({"model": plain}, architecture="tiny-quickgelu"), OpenClip({"model": plain})
    assert torch.equal(named.encode_images(pixels), own.encode_images(pixels))
    assert torch.equal(named.encode_texts(TEXTS), own.encode_texts(TEXTS))


@pytest.mark.usefixtures("tiny_architectures")
def test_a_named_architecture_with_the_wrong_activation_is_refused(
    tmp_path: Path, state: dict[str, torch.Tensor], plain: Path
) -> None:
    with pytest.raises(WeightsError, match="trained with quick_gelu"):
        OpenClip({"model": plain}, architecture="tiny", activation="quick_gelu")
    seeded.save_torchscript(state, tmp_path / "archive.pt")
    with pytest.raises(WeightsError, match="trained with quick_gelu"):
        OpenClip({"model": tmp_path / "archive.pt"}, architecture="tiny")


@pytest.mark.usefixtures("tiny_architectures")
def test_a_network_with_a_tokenizer_of_its_own_reads_it_from_the_weights_folder(
    tmp_path: Path, pixels: torch.Tensor
) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    with torch.device("cpu"):
        shapes = seeded.shapes(open_clip.create_model("tiny-foreign", load_weights=False))
    save_file(seeded.fill(shapes, 5), tmp_path / "open_clip_model.safetensors")
    with pytest.raises(WeightsError, match=r"somebody/tokenizer(.|\n)*tokenizer"):
        OpenClip({"model": tmp_path}, architecture="tiny-foreign")
    words = {"[PAD]": 0, "anger": 1, "fear": 2, "[UNK]": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(tmp_path)
    model = OpenClip({"model": tmp_path}, architecture="tiny-foreign")
    anger, fear, again = model.encode_texts(["anger", "fear", "anger"])
    assert torch.equal(anger, again) and not torch.equal(anger, fear)
    assert model.encode_images(pixels).shape == (2, 32)
    assert model.cut_texts(["fear " * 8, "fear " * 9, "fear", ""]) == [False, True, False, False]


def test_texts_longer_than_the_context_are_told_from_those_that_just_fit(plain: Path) -> None:
    model = OpenClip({"model": plain})
    just, over = "happy " * 75, "happy " * 76  # and a mark at either end, in a context of 77
    assert model.cut_texts([just, over, "happy", ""]) == [False, True, False, False]
    assert model.cut_texts([]) == []
    same, cut = model.encode_texts([over, over + "sad"])
    assert torch.equal(same, cut)


def test_a_misspelt_architecture_offers_the_right_one(plain: Path) -> None:
    with pytest.raises(UnknownName, match="ViT-B-32"):
        OpenClip({"model": plain}, architecture="ViT-B32")
