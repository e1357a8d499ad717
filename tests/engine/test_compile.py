"""`bench run --compile`: rows of their own in the store, near the plain ones; and what it says where it cannot be."""

from __future__ import annotations

from functools import partialmethod
from typing import Any

import numpy as np
import pytest
from plain_method import write_method
from torch import nn

from bench.cards.method_schema import EncoderFacts
from bench.models.network import Network
from bench.records.record import open_record

COMPILABLE = """
import torch
from torch import nn


class Adapter:
    logit_scale = 10.0

    def __init__(self, weights, device, dtype):
        torch.manual_seed(0)
        self.tower = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 8), nn.GELU()).requires_grad_(False)

    def encode_images(self, pixels):
        with torch.inference_mode():
            return self.tower(pixels)

    def encode_texts(self, texts):
        return torch.stack([torch.full((8,), float(len(text))).cos() for text in texts])
"""
RUN = ("--methods", "mine", "--datasets", "tiny-faces")


@pytest.fixture
def mine(world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("CXX", "true")
    write_method(world.root / "cards", "mine", adapter=COMPILABLE)
    return world


def test_compiled_rows_are_kept_apart_and_lie_near_the_plain_ones(mine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through torch's tracer, but not through the C++ compiler, which takes a minute of a busy machine."""
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph

    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=backend))
    assert mine.run(*RUN).code == 0
    answer = mine.run(*RUN, "--compile")
    assert answer.code == 0, answer.err
    assert graphs, "nothing was compiled"
    assert "mine: 15 inputs went through the tower" in answer.err
    plain, compiled = (open_record(path) for path in mine.records())
    assert (plain.manifest.compiled, compiled.manifest.compiled) == (False, True)
    assert not plain.manifest.networks[0].compiled and compiled.manifest.networks[0].compiled
    assert plain.manifest.networks[0].artifact != compiled.manifest.networks[0].artifact
    for one, other in zip(plain.predictions(), compiled.predictions(), strict=True):
        assert np.allclose(one.scores, other.scores, rtol=1e-5, atol=1e-5)


def test_a_key_without_compilation_is_what_it_was() -> None:
    facts = EncoderFacts(adapter="bench.models.adapters.open_clip:OpenClip")
    plain = Network("mine", facts, {}, {"model": "a"})
    assert set(plain.identity) == {"adapter", "version", "options", "weights", "dtype"}
    assert Network("mine", facts, {}, {"model": "a"}, compiled=True).key != plain.key


def test_without_a_compiler_the_fix_is_named(mine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "a-compiler-that-is-not-here -O2")
    answer = mine.run(*RUN, "--compile", "--device", "cpu")
    assert answer.code == 2 and "Traceback" not in answer.err
    assert "there is no a-compiler-that-is-not-here on this machine" in answer.err and "apt install g++" in answer.err


def test_an_adapter_without_a_network_is_told_so(mine: Any) -> None:
    adapter = mine.root / "cards" / "mine.py"
    adapter.write_text(adapter.read_text().replace("self.tower", "tower"))
    answer = mine.run(*RUN, "--compile")
    assert answer.code == 2 and "Adapter holds no torch.nn.Module" in answer.err


def test_what_is_no_dual_encoder_is_run_as_it_is_and_the_user_is_told(world: Any) -> None:
    """A plan is enough: it names the networks with their keys."""
    flags = (
        "--mini",
        "--store",
        str(world.root / "store"),
        "--datasets",
        "raf-db",
        "--dry-run",
        "--no-measure",
        "--json",
        "--compile",
    )
    answer = world.call("run", "--methods", "clip:backbone=B32,blip2:model=flant5xl,scoring=answers", *flags)
    assert answer.code == 0, answer.err
    assert "blip2 is not compiled" in answer.err and "clip is not compiled" not in answer.err
