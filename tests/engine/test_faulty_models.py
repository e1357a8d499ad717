"""An adapter that misbehaves is named, and takes nothing else with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CARD = """
kind = "method"
name = "faulty"
title = "Faulty"
{more}
[encoder]
adapter = "adapter.py:Adapter"
"""
ADAPTER = """
import torch
class Adapter:
    logit_scale = 1.0
    def __init__(self, weights, device, dtype): pass
    def encode_images(self, pixels): {images}
    def encode_texts(self, texts): return torch.eye(8)[:len(texts)]
"""
FAULTY = ("--methods", "faulty", "--datasets", "tiny-faces")


def plug_in(world: Any, adapter: str, more: str = "") -> None:
    folder: Path = world.root / "cards" / "faulty"
    folder.mkdir()
    (folder / "faulty.toml").write_text(CARD.format(more=more))
    (folder / "adapter.py").write_text(adapter)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ("raise RuntimeError('out of ideas')", "RuntimeError: out of ideas"),
        ("return torch.full((len(pixels), 8), float('nan'))", "not finite"),
        ("return torch.ones(len(pixels) + 1, 8)", "for 15 inputs"),
        ("return torch.ones(8)", "it must return [15, D]"),
        ("return None", "returned NoneType"),
    ],
)
def test_a_method_that_fails_in_its_forward_pass_is_named(world: Any, images: str, said: str) -> None:
    plug_in(world, ADAPTER.format(images=images))
    answer = world.run(*FAULTY)
    assert answer.code == 2 and said in answer.err and "Traceback" not in answer.err


def test_a_class_that_is_no_encoder_is_told_what_it_lacks(world: Any) -> None:
    plug_in(world, "class Adapter:\n    def __init__(self, weights, device, dtype): pass\n")
    answer = world.run(*FAULTY)
    assert answer.code == 2 and "encode_images" in answer.err and "encode_texts" in answer.err


def test_an_adapter_that_cannot_be_imported_is_quoted(world: Any) -> None:
    plug_in(world, "import a_package_that_is_not_there\n")
    answer = world.run(*FAULTY)
    assert answer.code == 2 and "a_package_that_is_not_there" in answer.err


def test_a_broken_card_is_listed_and_takes_nothing_with_it(world: Any) -> None:
    plug_in(world, "", more='protocoll = "paper"')
    listing = world.call("list", "methods", "--cards", str(world.root / "cards"))
    assert listing.code == 0 and "protocoll" in listing.out and "exp-clip" in listing.out
    answer = world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-faces")
    assert answer.code == 0 and "broken card, left out" in answer.err


def test_a_plug_in_cannot_shadow_a_built_in_name(world: Any) -> None:
    plug_in(world, ADAPTER.format(images="return torch.ones(len(pixels), 8)"))
    card = world.root / "cards" / "faulty" / "faulty.toml"
    card.write_text(card.read_text().replace('name = "faulty"', 'name = "clip"'))
    listing = world.call("list", "methods", "--cards", str(world.root / "cards"))
    assert "'clip' is taken by" in listing.out


def test_what_bench_new_writes_runs_as_it_is(world: Any) -> None:
    made = world.call("new", "mine", "--to", str(world.root / "cards" / "mine"))
    assert made.code == 0
    answer = world.run("--methods", "mine", "--datasets", "tiny-faces,tiny-clips")
    assert answer.code == 0, answer.err


def test_a_changed_adapter_without_a_version_is_run_again(world: Any) -> None:
    plug_in(world, ADAPTER.format(images="return torch.ones(len(pixels), 8)"))
    world.run(*FAULTY)
    adapter = world.root / "cards" / "faulty" / "adapter.py"
    adapter.write_text(adapter.read_text() + "# another text\n")
    assert "15 inputs" in world.run(*FAULTY).err
