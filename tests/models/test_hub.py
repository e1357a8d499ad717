"""A method named by its hub repository: what its files say, the library's own features, and the library's own pixels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import seeded
import tiny_dual
import tiny_vlm
import torch
from PIL import Image

from bench.cards.catalog import Catalog, load
from bench.cards.hub_name import HubName
from bench.cards.method_schema import MethodCard
from bench.cards.variant import parse
from bench.data.transforms import finish, prepare
from bench.errors import BenchError, WeightsError
from bench.models import contract
from bench.models.hub import method_card
from bench.models.network import Network
from bench.settings import Settings, hub_cache_of

MAKERS: dict[str, Callable[[Path], Path]] = {
    "clip": tiny_dual.clip,
    "siglip": tiny_dual.siglip,
    "siglip2": tiny_dual.siglip2,
    "align": tiny_dual.align,
    "open_clip": tiny_dual.open_clip,
    "llava": tiny_vlm.llava,
    "idefics3": tiny_vlm.idefics3,
}
DUAL = ("clip", "siglip", "siglip2", "align")
TEXTS = ["a happy face", "a photo of a face with an expression of sadness."]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with all of them, as `toy/NAME`."""
    root = tmp_path_factory.mktemp("weights")
    for name, make in MAKERS.items():
        make(root / "toy" / name)
    return root


def card_of(weights: Path, name: str) -> MethodCard:
    catalog = load()
    catalog.hub = partial(method_card, settings=Settings(weights / "store", (weights,)))
    return catalog.method(f"hf:toy/{name}")


def loaded(weights: Path, card: MethodCard) -> Any:
    folder = weights / card.name.removeprefix("hf:")
    return Network(card.name, card.encoder, {"model": folder}, {"model": ""}).load("cpu")


def picture(width: int = 61, height: int = 47) -> Image.Image:
    return Image.fromarray(seeded.picture(5, height, width))


def ours(card: MethodCard, image: Image.Image) -> torch.Tensor:
    pixels = card.native.pixels
    return torch.from_numpy(finish(prepare(image, pixels, card.encoder.size), pixels))[None]


@pytest.mark.parametrize("name", DUAL)
def test_features_are_transformers_own(weights: Path, name: str) -> None:
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    folder = weights / "toy" / name
    card = card_of(weights, name)
    adapter = loaded(weights, card)
    models: Any = AutoModel
    model = models.from_pretrained(folder).eval()
    words = AutoTokenizer.from_pretrained(folder)
    longest = 77 if name == "clip" else 64
    texts = words(TEXTS, padding="max_length", max_length=longest, truncation=True, return_tensors="pt")
    square = Image.fromarray(seeded.picture(1, card.encoder.size, card.encoder.size))
    pictures = AutoImageProcessor.from_pretrained(folder)(images=[square], return_tensors="pt")
    with torch.inference_mode():
        expected = model.get_image_features(**pictures).pooler_output
        said = model.get_text_features(**texts).pooler_output
    if name in ("siglip", "siglip2"):  # nothing is resized, so that only the towers are compared
        torch.testing.assert_close(adapter.encode_images(ours(card, square)), expected, atol=1e-5, rtol=1e-5)
    given = pictures["pixel_values"]
    if name != "siglip2":
        torch.testing.assert_close(adapter.encode_images(given), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(adapter.encode_texts(TEXTS), said, atol=1e-5, rtol=1e-5)
    scale = 1 / model.temperature.item() if name == "align" else model.logit_scale.exp().item()
    assert adapter.logit_scale == pytest.approx(scale, rel=1e-6)
    assert isinstance(adapter, contract.ImageEncoder)
    assert adapter.cut_texts(["short", "long " * 40]) == [False, True]


def test_features_are_open_clips_own(weights: Path) -> None:
    import open_clip

    folder = weights / "toy" / "open_clip"
    card = card_of(weights, "open_clip")
    adapter = loaded(weights, card)
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    image = picture()
    given = preprocess(image)[None]
    with torch.inference_mode():
        torch.testing.assert_close(adapter.encode_images(given), model.encode_image(given), atol=1e-5, rtol=1e-5)
        tokens = open_clip.get_tokenizer("ViT-B-32")(TEXTS)
        torch.testing.assert_close(adapter.encode_texts(TEXTS), model.encode_text(tokens), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours(card, image), given, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["clip", "siglip", "align"])
@pytest.mark.parametrize("shape", [(61, 47), (48, 75), (31, 34)])
def test_pixels_are_the_processors_own(weights: Path, name: str, shape: tuple[int, int]) -> None:
    """The Pillow version to the float's last bits, torchvision's, which rounds otherwise, to two grey levels."""
    from transformers import AutoImageProcessor

    folder = weights / "toy" / name
    card = card_of(weights, name)
    image = picture(*shape)
    found = ours(card, image)
    levels = min(card.native.pixels.std or (1,)) * 255
    for backend, bound in (("pil", 1e-6 * levels), ("torchvision", 2.01)):
        processor = AutoImageProcessor.from_pretrained(folder, backend=backend)
        theirs = processor(images=[image], return_tensors="pt")["pixel_values"]
        assert float((found - theirs).abs().max()) * levels <= bound, backend


@pytest.mark.parametrize("name", ["llava", "idefics3"])
def test_a_vision_language_model_is_asked_and_answers_as_the_library_does(weights: Path, name: str) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    card = card_of(weights, name)
    assert card.encoder.model == "generator" and card.question is not None
    assert set(card.axes["scoring"]) == {"answers", "likelihood"}
    adapter = loaded(weights, card)
    image = picture()
    question = "Which?"
    answer = adapter.answer(ours(card, image), question)
    models: Any = AutoModelForImageTextToText
    processors: Any = AutoProcessor
    folder = weights / "toy" / name
    model, processor = models.from_pretrained(folder).eval(), processors.from_pretrained(folder)
    content = [{"type": "image"}, {"type": "text", "text": question}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    shown = Image.fromarray(prepare(image, card.native.pixels, card.encoder.size).transpose(1, 2, 0))
    inputs = processor(images=[[shown]], text=[text], return_tensors="pt", add_special_tokens=False)
    tokens = model.generate(**inputs, max_new_tokens=30, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    assert answer == processor.batch_decode(tokens, skip_special_tokens=True)


def test_what_the_card_says_is_what_the_files_say(weights: Path) -> None:
    card = card_of(weights, "clip")
    assert (card.name, card.label, card.encoder.size) == ("hf:toy/clip", "toy/clip", 28)
    assert card.native.pixels.resize_to == 31 and card.native.pixels.mean == pytest.approx(
        (0.48145466, 0.4578275, 0.40821073)
    )
    assert card.path == weights / "toy/clip/config.json"


def changed(weights: Path, tmp_path: Path, file: str, **facts: Any) -> Path:
    """A weights folder whose `toy/clip` says something else."""
    shutil.copytree(weights / "toy" / "clip", tmp_path / "toy" / "clip")
    path = tmp_path / "toy" / "clip" / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "facts", "said"),
    [
        ("config.json", {"architectures": ["CLIPVisionModel"]}, "neither a dual encoder"),
        ("config.json", {"model_type": "unheard-of", "auto_map": {"AutoConfig": "code.Config"}}, "configuration"),
        ("preprocessor_config.json", {"resample": 0}, "filter 0"),
        ("preprocessor_config.json", {"do_rescale": False}, "do_rescale"),
        ("preprocessor_config.json", {"do_resize": False}, "do_resize"),
        ("preprocessor_config.json", {"crop_size": {"height": 28, "width": 20}}, "no square"),
        ("preprocessor_config.json", {"do_pad": True}, "pads"),
    ],
)
def test_what_cannot_be_told_is_an_error_with_a_way_out(
    weights: Path, tmp_path: Path, file: str, facts: dict[str, Any], said: str
) -> None:
    root = changed(weights, tmp_path, file, **facts)
    with pytest.raises(BenchError, match=said) as caught:
        card_of(root, "clip")
    assert "hf:toy/clip" in caught.value.what
    assert caught.value.fix


def test_a_folder_that_says_nothing_leads_to_a_card(tmp_path: Path) -> None:
    (tmp_path / "toy" / "clip").mkdir(parents=True)
    with pytest.raises(BenchError, match=r"neither open_clip_config\.json nor config\.json") as caught:
        card_of(tmp_path, "clip")
    assert "bench new NAME" in caught.value.fix


def test_a_text_tower_of_another_repository_is_not_fetched_on_the_way(tmp_path: Path) -> None:
    folder = tiny_dual.open_clip(tmp_path / "toy" / "open_clip")
    path = folder / "open_clip_config.json"
    facts = json.loads(path.read_text())
    facts["model_cfg"]["text_cfg"]["hf_model_name"] = "some/bert"
    path.write_text(json.dumps(facts))
    with pytest.raises(BenchError, match="some/bert"):
        card_of(tmp_path, "open_clip")


def test_weights_that_do_not_fit_are_named(weights: Path, tmp_path: Path) -> None:
    root = changed(weights, tmp_path, "config.json", projection_dim=8)
    with pytest.raises(WeightsError, match="projection"):
        loaded(root, card_of(root, "clip"))


def test_a_snapshot_of_the_hub_cache_is_found(weights: Path, tmp_path: Path) -> None:
    base = tmp_path / "hub" / "models--toy--clip"
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(weights / "toy" / "clip", base / "snapshots" / commit)
    settings = Settings(tmp_path / "store", hub_cache=hub_cache_of({"HF_HOME": str(tmp_path)}))
    with pytest.raises(WeightsError, match="2 snapshots"):
        settings.repository(HubName("toy/clip"))
    (base / "refs").mkdir()
    (base / "refs" / "main").write_text("b" * 40)
    found = settings.repository(HubName("toy/clip"))
    assert (found.revision, found.path) == ("b" * 40, base / "snapshots" / ("b" * 40))
    assert settings.repository(HubName("toy/clip", "a" * 40)).revision == "a" * 40
    assert replace(settings, hub_cache=None, weights=(tmp_path / "hub",)).repository(HubName("toy/clip")) == found
    card = method_card(HubName("toy/clip"), None, settings=settings)
    assert card.path == found.path / "config.json"


def test_one_that_is_nowhere_names_the_places_and_the_command(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "store", (tmp_path / "w",), hub_cache=tmp_path / "hub")
    with pytest.raises(WeightsError) as caught:
        settings.repository(HubName("toy/clip", "v2"))
    for place in ("w/toy/clip@v2", "w/models--toy--clip", "hub/models--toy--clip"):
        assert str(tmp_path / place) in caught.value.what
    assert "bench fetch hf:toy/clip@v2" in caught.value.fix


def test_names() -> None:
    assert parse("hf:a/b@v1.0:scoring=likelihood,x=y") == ("hf:a/b@v1.0", {"scoring": "likelihood", "x": "y"})
    assert parse("clip:backbone=B32") == ("clip", {"backbone": "B32"})
    for wrong in ("hf:a", "hf:a/../b", "hf:/a/b", "hf:a/b@", "hf:a/b/c", "hf:../b"):
        with pytest.raises(BenchError, match="is not a repository"):
            Catalog(hub=lambda name, question: pytest.fail("asked")).method(wrong)


def test_pixels_of_a_network_are_bytes_until_they_are_normalised(weights: Path) -> None:
    card = card_of(weights, "llava")
    assert card.native.pixels.mean is None
    assert prepare(picture(), card.native.pixels, card.encoder.size).dtype == np.uint8
