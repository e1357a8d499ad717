"""The method cards state what their authors' code, and open_clip's table of weights, state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import seeded
import torch
from torch import Tensor
from torchvision.transforms import functional as F

from bench.cards import catalog, variant
from bench.cards.method_schema import MethodCard
from bench.data.transforms import finish, prepare
from bench.models.resolve import adapter_class, identity

CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BICUBIC = F.InterpolationMode.BICUBIC
PICTURES = [*seeded.pictures(), seeded.Image.fromarray(seeded.picture(4, 100, 100))]


@pytest.fixture(scope="module")
def methods() -> dict[str, MethodCard]:
    return catalog.load().methods


def as_clip(picture: Any) -> Tensor:
    """openai/CLIP `clip.py`, `_transform`."""
    cropped = F.center_crop(F.resize(picture, 224, BICUBIC), [224, 224])
    return F.normalize(F.to_tensor(cropped), *CLIP)


def as_emotionclip(picture: Any) -> Tensor:
    """Xeaver/EmotionCLIP `src/datasets/meld.py`."""
    cropped = F.center_crop(F.resize(picture, 256, BICUBIC), [224, 224])
    return F.normalize(F.to_tensor(cropped), *IMAGENET)


def as_emoclip(picture: Any) -> Tensor:
    """NickyFot/EmoCLIP: normalised, then resized without antialiasing."""
    resized = F.resize(F.normalize(F.to_tensor(picture), *CLIP), 224, BICUBIC, antialias=False)
    return F.center_crop(resized, [224, 224])


def as_flava(picture: Any) -> Tensor:
    """transformers' Pillow image processor, the one that FLAVA was released with."""
    from transformers import FlavaImageProcessorPil

    pixels: Tensor = FlavaImageProcessorPil()(images=picture, return_tensors="pt")["pixel_values"][0]
    return pixels


def as_videoclip(picture: Any) -> Tensor:
    """fairseq MMPT `scripts/video_feature_extractor`: neither mean nor deviation."""
    return F.to_tensor(F.center_crop(F.resize(picture, 224, BICUBIC), [224, 224]))


@pytest.mark.parametrize(
    ("name", "official"),
    [
        ("clip", as_clip),
        ("farl", as_clip),
        ("flava", as_flava),
        ("emotionclip", as_emotionclip),
        ("emoclip", as_emoclip),
        ("videoclip", as_videoclip),
    ],
)
def test_native_pixels_are_the_authors(
    methods: dict[str, MethodCard], name: str, official: Callable[[Any], Tensor]
) -> None:
    pixels = methods[name].native.pixels
    for picture in PICTURES:
        found = finish(prepare(picture, pixels, methods[name].encoder.size), pixels)
        # Resized as floats they agree to 1/300 of a grey level; see `bench.data.transforms`.
        assert np.abs(found - official(picture).numpy()).max() < (5e-5 if pixels.stage == "tensor" else 1e-6)


TAGS = [
    ("siglip2", "B16", "webli"),
    ("siglip2", "L16", "webli"),
    ("siglip2", "SO400M", "webli"),
    ("metaclip", "B32", "metaclip_fullcc"),
    ("metaclip", "B16", "metaclip_fullcc"),
    ("metaclip", "L14", "metaclip_fullcc"),
    ("dfn", "B16", "dfn2b"),
    ("dfn", "L14", "dfn2b"),
    ("eva02-clip", "B16", "merged2b_s8b_b131k"),
    ("eva02-clip", "L14", "merged2b_s4b_b131k"),
    ("pe-core", "B16", "meta"),
    ("pe-core", "L14", "meta"),
]


@pytest.mark.parametrize(("name", "backbone", "tag"), TAGS)
def test_todays_encoders_are_stated_as_open_clip_knows_them(
    methods: dict[str, MethodCard], name: str, backbone: str, tag: str
) -> None:
    card = variant.resolve(methods[name], {"backbone": backbone}).card
    architecture = card.encoder.options["architecture"]
    known = open_clip.get_pretrained_cfg(architecture, tag)
    network = open_clip.get_model_config(architecture)
    pixels = card.native.pixels
    assert card.encoder.weights["model"] == known["hf_hub"].strip("/")
    assert (pixels.mean, pixels.std) == (tuple(known["mean"]), tuple(known["std"]))
    assert (pixels.interpolation, pixels.resize) == (known["interpolation"], known["resize_mode"])
    assert card.encoder.size == network["vision_cfg"]["image_size"]
    assert (card.encoder.options.get("activation") == "quick_gelu") == known.get("quick_gelu", False)
    assert bool(network.get("quick_gelu")) == known.get("quick_gelu", False)


def test_openais_weights_are_pinned_by_the_hash_in_their_address(methods: dict[str, MethodCard]) -> None:
    for value in ("B32", "B16", "L14"):
        card = variant.resolve(methods["clip"], {"backbone": value}).card
        weight = card.weights[card.encoder.weights["model"]]
        assert len(weight.sha256) == 64
        assert weight.sha256 in weight.url


def test_exp_clip_is_clip_with_a_head_for_each_backbone(methods: dict[str, MethodCard]) -> None:
    for value in ("B32", "B16", "L14"):
        clip = variant.resolve(methods["clip"], {"backbone": value}).card
        exp_clip = variant.resolve(methods["exp-clip"], {"backbone": value}).card
        assert exp_clip.encoder == clip.encoder
        assert exp_clip.head is not None and exp_clip.head.file == f"ExpCLIP_{value}_model.pth"
        assert exp_clip.protocol == "paper"


def test_every_file_that_a_card_needs_says_where_it_comes_from(methods: dict[str, MethodCard]) -> None:
    for method in methods.values():
        for chosen in (v.card for axis in [*method.axes] or [""] for v in _variants(method, axis)):
            for file in chosen.encoder.weights.values():
                weight = chosen.weights[file]
                assert weight.url or weight.hub or weight.manual, f"{method.name}: {file}"


def _variants(method: MethodCard, axis: str) -> list[variant.Variant]:
    if not axis:
        return [variant.resolve(method, {})]
    others = {name: next(iter(values)) for name, values in method.axes.items()}
    return [variant.resolve(method, {**others, axis: value}) for value in method.axes[axis]]


@pytest.mark.parametrize("name", ["clip", "farl", "flava", "emotionclip", "emoclip", "xclip", "videoclip"])
def test_an_adapter_is_known_by_its_version_without_being_built(methods: dict[str, MethodCard], name: str) -> None:
    ref = methods[name].encoder.adapter
    assert identity(ref) == {"adapter": ref, "version": adapter_class(ref).version}


def test_a_farl_file_loads_as_its_card_says(tmp_path: Path, methods: dict[str, MethodCard]) -> None:
    facts = variant.resolve(methods["farl"], {}).card.encoder
    state = seeded.fill(seeded.openai_shapes(**seeded.TINY), 3)
    head = {"mask_token": 4, "lm_head.weight": 4, "lm_transformer.resblocks.0.ln_1.weight": 4, "ln_lm.bias": 4}
    extra = {f"visual.{key}": torch.ones(width) for key, width in head.items()}
    torch.save({"state_dict": {**state, **extra}}, tmp_path / "farl.pth")
    model = adapter_class(facts.adapter)({"model": tmp_path / "farl.pth"}, **facts.options)
    assert model.encode_texts(["fear."]).shape == (1, 32)
