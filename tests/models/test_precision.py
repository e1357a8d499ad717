"""float32 is IEEE's float32 whatever a library or plug-in has set, and other arithmetic is kept apart."""

from __future__ import annotations

import json

import pytest
import torch
from plain_method import ADAPTER, write_method
from small_world import World

from bench.models.precision import arithmetic

# An adapter that switches everything to TF32 whenever it can, and writes down what it finds when it is called.
SWITCHING = (
    ADAPTER.replace("import torch\n", "import torch\nfrom pathlib import Path\n", 1)
    .replace("        self.map =", "        switch()\n        self.map =")
    .replace(
        "        return pixels.flatten(1) @ self.map",
        "        note()\n        switch()\n        return pixels.flatten(1) @ self.map",
    )
    .replace("        return torch.stack(", "        note()\n        return torch.stack(")
    + """

def switch():
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.benchmark = True


def note():
    with Path(__file__).with_suffix(".txt").open("a") as file:
        print(torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark, file=file)
"""
)


@pytest.fixture
def untouched() -> object:
    """Lets no test change the arithmetic of the next."""
    with arithmetic("float32"):
        yield


def test_towers_see_ieee_float32_also_after_a_plug_in_changed_it(world: World, untouched: object) -> None:
    write_method(world.root / "cards", adapter=SWITCHING)
    answer = world.run("--methods", "plain", "--datasets", "tiny-faces", "--device", "cpu", "--batch", "4")
    assert answer.code == 0, answer.err
    seen = set((world.root / "cards" / "plain.txt").read_text().splitlines())
    assert seen == {"highest False False"}


@pytest.mark.parametrize("before", [("highest", True), ("high", True), ("highest", False)])
def test_what_was_set_before_is_set_again(untouched: object, before: tuple[str, bool]) -> None:
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]
    with arithmetic("tf32"):
        assert torch.get_float32_matmul_precision() == "high" and torch.backends.cudnn.allow_tf32
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


def test_torchs_newer_way_to_say_it_is_overruled_too(untouched: object) -> None:
    torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    with arithmetic("float32"):
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"  # type: ignore[attr-defined]
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"


def test_tf32_is_refused_where_there_is_none_before_anything_is_done(world: World) -> None:
    answer = world.run("--methods", "clip", "--datasets", "tiny-faces", "--device", "cpu", "--dtype", "tf32")
    assert answer.code == 2 and "tf32 is arithmetic of NVIDIA's GPUs" in answer.err
    assert not (world.root / "store" / "frames").exists()


def test_tf32_is_kept_apart_in_the_store() -> None:
    from bench.cards.method_schema import EncoderFacts
    from bench.models.network import Network

    facts = EncoderFacts(adapter="bench.models.adapters.open_clip:OpenClip", size=224, weights={})
    keys = {Network("m", facts, {}, {}, dtype).key for dtype in ("float32", "tf32", "float16", "bfloat16")}
    assert len(keys) == 4 and json.dumps(Network("m", facts, {}, {}, "tf32").identity)
