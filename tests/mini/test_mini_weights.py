"""The shipped networks: OpenAI's container and keys, small, and what they say is what they were trained to say."""

from __future__ import annotations

import warnings
from pathlib import Path

import open_clip
import pytest
import torch
import torch.nn.functional as F
from towers import LAYERS, MEAN, STD, TEXT_LAYERS, TEXT_WIDTH, WIDTH, TinyClip, token_ids

from bench.mini.weights import SCALARS, TOKENS, VOCABULARY, pack, save_archive, unpack
from bench.mini.world import HERE, OFFICIAL, unpack_weights

PATCHES = {"ViT-B-32.pt": 32, "ViT-B-16.pt": 16, "ViT-L-14.pt": 14}
WORDS = ["a photo of a face with an expression of fear.", "anger."]


def official_keys() -> set[str]:
    """The keys of openai/CLIP's archives, for our numbers of layers."""
    parts = ("attn.in_proj", "attn.out_proj.", "ln_1.", "ln_2.", "mlp.c_fc.", "mlp.c_proj.")
    blocks = [f"visual.transformer.resblocks.{i}" for i in range(LAYERS)]
    blocks += [f"transformer.resblocks.{i}" for i in range(TEXT_LAYERS)]
    keys = {f"{block}.{part}{'_' if part.endswith('proj') else ''}{end}" for block in blocks for part in parts
            for end in ("weight", "bias")}  # fmt: skip
    keys |= {f"visual.{norm}.{end}" for norm in ("ln_pre", "ln_post") for end in ("weight", "bias")}
    keys |= {f"visual.{name}" for name in ("class_embedding", "positional_embedding", "proj", "conv1.weight")}
    keys |= {"ln_final.weight", "ln_final.bias", "token_embedding.weight"}
    return keys | {"positional_embedding", "text_projection", "logit_scale", *SCALARS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("weights") / "official"
    unpack_weights(place)
    return place


def jit(path: Path) -> dict[str, torch.Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state: dict[str, torch.Tensor] = torch.jit.load(str(path)).state_dict()
    return state


@pytest.mark.parametrize("name", PATCHES)
def test_the_archive_has_openais_keys_shapes_and_scalars(folder: Path, name: str) -> None:
    state = jit(folder / name)
    assert set(state) == official_keys()
    assert state["token_embedding.weight"].shape == (VOCABULARY, TEXT_WIDTH)
    assert state["visual.conv1.weight"].shape == (WIDTH, 3, PATCHES[name], PATCHES[name])
    assert [int(state[key]) for key in SCALARS] == [224, 77, VOCABULARY]
    assert state["visual.conv1.weight"].dtype == torch.float16


@pytest.mark.parametrize("name", PATCHES)
def test_open_clip_infers_the_network_from_the_archive(folder: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = open_clip.load_openai_model(str(folder / name), precision="fp32")
    assert type(model.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"
    assert model.visual.transformer.resblocks[0].attn.num_heads == WIDTH // 64
    with torch.no_grad():
        image = model.encode_image(torch.rand(2, 3, 224, 224))
        text = model.encode_text(open_clip.tokenize(WORDS))
    assert image.shape == text.shape and image.isfinite().all() and text.isfinite().all()
    assert model.logit_scale.exp() <= 100.01


@pytest.mark.parametrize("patch", PATCHES.values())
def test_training_sees_what_the_published_network_sees(tmp_path: Path, patch: int) -> None:
    torch.manual_seed(patch)
    tower = TinyClip(patch, token_ids(WORDS))
    pack(tower.state(), tower.tokens, tmp_path / "packed.safetensors")
    save_archive(unpack(tmp_path / "packed.safetensors"), tmp_path / "network.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = open_clip.load_openai_model(str(tmp_path / "network.pt"), precision="fp32")
    faces = torch.randint(0, 256, (3, 112, 112, 3), dtype=torch.uint8)
    large = F.interpolate(faces.permute(0, 3, 1, 2).float() / 255, (224, 224), mode="bilinear")
    normalised = (large - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        for pixels, flag in ((large, False), (normalised, True)):
            trained = tower.images(faces, torch.full((3,), flag))
            assert F.cosine_similarity(trained, model.encode_image(pixels)).min() > 0.999
        assert F.cosine_similarity(tower.texts(WORDS), model.encode_text(open_clip.tokenize(WORDS))).min() > 0.999


def test_words_never_trained_on_are_small_noise_and_the_same_each_time(tmp_path: Path) -> None:
    tower = TinyClip(32, token_ids(WORDS))
    pack(tower.state(), tower.tokens, tmp_path / "packed.safetensors")
    one, two = unpack(tmp_path / "packed.safetensors"), unpack(tmp_path / "packed.safetensors")
    assert torch.equal(one[TOKENS], two[TOKENS])
    others = [i for i in range(2000) if i not in tower.tokens]
    assert 0.005 < one[TOKENS][others].float().std() < 0.02
    kept = tower.state()[TOKENS].half()
    assert torch.equal(one[TOKENS][tower.tokens], kept)


@pytest.mark.parametrize("backbone", OFFICIAL)
def test_the_head_is_a_state_dict_of_one_matrix_that_fits(folder: Path, backbone: str) -> None:
    archive, head = OFFICIAL[backbone]
    state = torch.load(folder / head, weights_only=True)
    assert set(state) == {"mlp.weight"} and state["mlp.weight"].dtype == torch.float32
    assert state["mlp.weight"].shape[1] == jit(folder / archive)["visual.proj"].shape[1]


def test_the_shipped_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in (HERE / "weights").glob("*.safetensors")) < 8e6
