"""The compared systems at toy size: every file that a card names, in a form that the real adapter loads."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertTokenizer

from bench.cards.catalog import Catalog, load
from bench.cards.prompts import texts
from bench.cards.variant import Variant, all_variants, resolve
from bench.mini import systems
from bench.models.ask import EMBED, Ask
from bench.models.network import encode_texts, respond
from bench.plan.cells import protocol_of
from bench.run.session import Session
from bench.settings import Settings

TEXTS = ["a photo of a face with an expression of happiness.", "fear.", "an unheard-of word"]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    systems.write_all(folder)
    return folder


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def variants(catalog: Catalog) -> list[Variant]:
    """Every variant of a compared system whose weights are its own."""
    found = [variant for name in systems.NAMES for variant in _each(catalog, name)]
    return [variant for variant in found if "ViT-B-32.pt" not in variant.card.encoder.weights.values()]


def _each(catalog: Catalog, name: str) -> list[Variant]:
    card = catalog.method(name)
    free = card.model_copy(update={"default": {}})
    return [resolve(card, variant.axes) for variant in all_variants(free, {})]


def test_every_file_that_a_card_of_table_1_names_is_written(catalog: Catalog, folder: Path) -> None:
    named = {row.method for row in catalog.table("1")[1].rows if row.method}
    assert named == {*systems.NAMES, "blip2", "exp-clip"}
    for variant in variants(catalog):
        for file in variant.card.encoder.weights.values():
            assert (folder / file).exists(), f"{variant}: {file}"
            for inside in variant.card.weights[file].files:
                assert (folder / file / inside).is_file(), f"{variant}: {inside}"


def test_they_are_written_quickly_and_are_small(folder: Path, tmp_path: Path) -> None:
    begun = time.perf_counter()
    systems.write_all(tmp_path)
    assert time.perf_counter() - begun < 10
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 60e6
    assert hashes(tmp_path) == hashes(folder)


@pytest.mark.parametrize("name", systems.NAMES)
def test_the_real_adapter_loads_each_and_tells_inputs_apart(catalog: Catalog, folder: Path, name: str) -> None:
    session = Session(catalog, Settings(folder / "store", (folder,)))
    for variant in (variant for variant in variants(catalog) if variant.method == name):
        network = session.network(variant)
        model = network.load("cpu")
        rule = protocol_of(variant.card, variant.card.protocol, catalog).frames
        frames = 1 if network.facts.sees == "images" else 40 if rule.rule == "chunks" else rule.count
        coarse = torch.rand(2, frames, 3, 28, 28, generator=torch.Generator().manual_seed(0))
        pixels = coarse.repeat_interleave(8, 3).repeat_interleave(8, 4)
        if network.facts.model == "joint-scorer":
            scores = respond(network, model, pixels, [Ask(text) for text in TEXTS]).reshape(2, 3)
            assert np.isfinite(scores).all() and np.abs(scores[0] - scores[1]).max() > 1e-3
            continue
        seen, said = respond(network, model, pixels, [EMBED]), encode_texts(network, model, TEXTS)
        assert np.isfinite(seen).all() and np.isfinite(said).all() and np.isfinite(model.logit_scale)
        assert seen.shape[1] == said.shape[1]
        assert np.abs(seen[0] - seen[1]).max() > 1e-3 and np.abs(said[0] - said[1]).max() > 1e-3


def test_the_vocabulary_knows_every_word_of_the_prompt_sets(catalog: Catalog, folder: Path) -> None:
    tokenizer = BertTokenizer.from_pretrained(str(folder / "google-bert" / "bert-base-uncased"))
    classes = catalog.dataset("mafw").classes
    for name in ("P-1", "P-2", "P-3", "P-4", "P-5"):
        for text in (text for row in texts(catalog.prompt_set(name), classes) for text in row):
            pieces = tokenizer.tokenize(text)
            assert tokenizer.unk_token not in pieces
            assert not [piece for piece in pieces if piece.startswith("##")], text


def test_what_grew_out_of_clip_follows_the_clip_beside_it(tmp_path: Path) -> None:
    for patch, name in ((32, "ViT-B-32.pt"), (16, "ViT-B-16.pt")):
        torch.save(_clip_of_the_miniatures_size(patch), tmp_path / name)
    systems.write_all(tmp_path)
    for epochs in ("ep16", "ep64"):
        file = torch.load(tmp_path / f"FaRL-Base-Patch16-LAIONFace20M-{epochs}.pth", weights_only=True)
        own, parent = file["state_dict"]["visual.proj"].float(), _clip_of_the_miniatures_size(16)["visual.proj"].float()
        distance = (own - parent).std() / parent.std()
        assert 0.05 < distance < 0.2


def _clip_of_the_miniatures_size(patch: int) -> dict[str, torch.Tensor]:
    import open_clip

    torch.manual_seed(patch)
    vision = {"image_size": 224, "layers": 3, "width": 128, "patch_size": patch}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
    state = open_clip.model.CLIP(64, vision, text, quick_gelu=True).state_dict()
    return {key: tensor.half() for key, tensor in state.items() if key != "attn_mask"}
