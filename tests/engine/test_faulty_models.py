"""An adapter that misbehaves is named, and takes nothing else with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
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


def test_a_method_that_hangs_is_named_and_what_was_computed_is_kept_when_it_is_stopped(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interrupt comes after the word has been said twice, as from somebody who read it."""
    hang = """
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls > 2:
            time.sleep(0.5)
            raise KeyboardInterrupt
        return torch.eye(15)[:len(pixels)] + 1
    """
    monkeypatch.setattr("bench.process.patience.SECONDS", 0.2)
    plug_in(world, ADAPTER.format(images=hang).replace("import torch", "import time, torch"))
    answer = world.run(*FAULTY, "--batch", "4")
    assert answer.code == 130 and "stopped; what was computed is kept" in answer.err
    assert "faulty: encode_images has not come back for 0 s; Ctrl-C stops it" in answer.err
    shards = [np.load(path) for path in (world.root / "store").glob("frames/*/*.npy")]
    assert sum(map(len, shards)) == 8


def test_an_environment_that_cannot_be_built_is_quoted_and_takes_no_other_method_with_it(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    environment = '[environment]\npython = "3.99"\nrequirements = ["numpy"]\n'
    plug_in(world, ADAPTER.format(images="return None"))
    card = world.root / "cards" / "faulty" / "faulty.toml"
    card.write_text(card.read_text() + environment)
    answer = world.run("--methods", "clip:backbone=B32,faulty", "--datasets", "tiny-faces")
    assert answer.code == 2 and "Traceback" not in answer.err
    assert "faulty: its environment could not be built" in answer.err and "3.99" in answer.err
    assert world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-faces").code == 0


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


def test_code_beside_a_card_runs_only_when_its_method_is_asked_for(world: Any, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    plug_in(world, f"open({str(proof)!r}, 'w')\n" + ADAPTER.format(images="return torch.ones(len(pixels), 8)"))
    cards = ("--cards", str(world.root / "cards"))
    assert "faulty" in world.call("list", "methods", *cards).out
    assert world.call("show", "faulty", *cards).code == 0
    world.call("doctor", *world.flags)
    world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-faces")
    assert not proof.exists()
    world.run(*FAULTY)
    assert proof.exists()


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
