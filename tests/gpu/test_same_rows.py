"""A GPU gives the rows of the CPU but for rounding, whichever way its work is cut and its memory runs out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gpus import HERE, SEVERAL, WHY, gpu_only
from plain_method import ADAPTER, write_method

from bench.cards.input_protocol import Pixels
from bench.cards.method_schema import EncoderFacts
from bench.data.loader import Batch
from bench.engine.device_encoder import DeviceEncoder
from bench.engine.transfer import CudaTransfer, on_device
from bench.models.ask import EMBED
from bench.models.network import Network, respond, respond_later
from bench.records.record import open_record

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = ("--methods", "clip,exp-clip", "--datasets", "tiny-faces,tiny-clips,tiny-videos")
CLIP = ("--methods", "clip", "--datasets", "tiny-faces,tiny-clips")
# An encoder whose every input takes a sixth of the memory that is free, or says so where there is no GPU to be filled.
LARGE = ADAPTER.replace(
    "        return pixels.flatten(1) @ self.map",
    """        if pixels.is_cuda:
            self.free = getattr(self, "free", 0) or torch.cuda.mem_get_info()[0]
            torch.empty(len(pixels) * self.free // 6, dtype=torch.uint8, device=pixels.device)
        elif len(pixels) > 5:
            raise torch.OutOfMemoryError("out of memory")
        return pixels.flatten(1) @ self.map.to(pixels.device)""",
)


def scores(record: Path) -> list[Any]:
    return [part.scores for part in open_record(record).predictions()]


def test_rows_are_the_cpus_but_for_rounding(world: Any, device: str) -> None:
    assert world.run(*EVERYTHING, "--device", "cpu").code == 0
    other = str(world.root / "other")
    flags = [other if flag == str(world.root / "store") else flag for flag in world.flags]
    answer = world.call("run", *EVERYTHING, *flags, "--device", device, "--out", str(world.root / "runs"))
    assert answer.code == 0, answer.err
    one, two = map(scores, world.records())
    for ours, theirs in zip(one, two, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(ours).max()
    used = open_record(world.records()[-1]).manifest.device.used
    assert used == torch.cuda.get_device_name() if device == "cuda" else used


def test_memory_that_does_not_suffice_halves_the_batch_and_changes_no_row(world: Any, device: str) -> None:
    write_method(world.root / "cards", "large", adapter=LARGE)
    for store, batch in (("a", "16"), ("b", "1")):
        flags = [str(world.root / store) if flag == str(world.root / "store") else flag for flag in world.flags]
        run = ("--methods", "large", "--datasets", "tiny-faces", "--batch", batch, "--device", device)
        answer = world.call("run", *run, *flags, "--out", str(world.root / "runs"))
        assert answer.code == 0, answer.err
    one, two = map(scores, world.records())
    for ours, theirs in zip(one, two, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_rows_that_are_not_waited_for_are_those_that_are(device: str) -> None:
    class Model:
        def encode_images(self, pixels: Any) -> Any:
            return pixels.flatten(1)[:, :5] * 2

    network = Network("mine", EncoderFacts(adapter="m:C", size=8), {}, {})
    batches = [torch.rand(7, 1, 3, 8, 8, device=device) for _ in range(5)]
    later = [respond_later(network, Model(), batch, [EMBED]) for batch in batches]
    for batch, rows in zip(batches, later, strict=True):
        assert np.array_equal(rows(), respond(network, Model(), batch, [EMBED]))
        assert np.array_equal(rows(), (batch.flatten(1)[:, :5] * 2).cpu().numpy())
    encoder = DeviceEncoder(network, Model(), Pixels(), device)
    raw = torch.randint(0, 256, (7, 1, 3, 8, 8), dtype=torch.uint8)
    assert np.allclose(encoder(raw), raw.flatten(1)[:, :5].numpy() / 255 * 2, rtol=0, atol=1e-6)


@gpu_only
def test_batches_come_whole_over_a_stream_of_their_own() -> None:
    """Each is changed on the device as soon as it is there, while the next ones are on their way."""
    rng = np.random.default_rng(0)
    sent = [rng.integers(0, 256, (64, 1, 3, 64, 64), dtype=np.uint8) for _ in range(20)]

    def batches() -> Any:
        for number, pixels in enumerate(sent):
            yield Batch([bytes([number])] * 64, pixels.copy(), [])

    for pixels, batch in zip(sent, on_device(batches(), CudaTransfer("cuda")), strict=True):
        assert batch.pixels.is_cuda and np.array_equal(batch.pixels.cpu().numpy(), pixels)
        batch.pixels.zero_()


@gpu_only
def test_a_batch_size_is_found_and_stands_in_the_manifest(world: Any) -> None:
    write_method(world.root / "cards", "small")
    for _ in range(80):
        pictures = world.root / "data" / "tiny-faces" / "anger"
        source = next(pictures.glob("*.jpg")).read_bytes()
        (pictures / f"more{_}.jpg").write_bytes(source + bytes([_]))
    run = ("--methods", "small", "--datasets", "tiny-faces", "--device", "cuda", "--allow-counts")
    answer = world.run(*run)
    assert answer.code == 0, answer.err
    (found,) = open_record(world.records()[-1]).manifest.batches
    assert found.measured and found.batch in (32, 64) and "the fastest of those tried" in answer.err


@gpu_only
def test_compiled_towers_give_rows_near_the_plain_ones_and_are_kept_apart(world: Any) -> None:
    for more in ((), ("--compile",)):
        answer = world.run(*CLIP, "--device", "cuda", *more)
        assert answer.code == 0, answer.err
    one, two = (open_record(path) for path in world.records())
    for ours, theirs in zip(one.predictions(), two.predictions(), strict=True):
        assert np.abs(ours.scores - theirs.scores).max() <= 1e-3 * np.abs(ours.scores).max()
    assert {each.artifact for each in one.manifest.networks}.isdisjoint(each.artifact for each in two.manifest.networks)


@pytest.mark.skipif(SEVERAL < 2, reason=WHY if not HERE else f"there are {SEVERAL} GPUs here, and it takes two")
def test_all_gpus_of_the_machine_give_the_rows_of_one(world: Any) -> None:
    assert world.run(*EVERYTHING, "--device", "cuda:0", "--batch", "4").code == 0
    flags = [str(world.root / "other") if flag == str(world.root / "store") else flag for flag in world.flags]
    run = (*EVERYTHING, "--device", "cuda:all", "--batch", "4")
    answer = world.call("run", *run, *flags, "--out", str(world.root / "runs"))
    assert answer.code == 0, answer.err
    for ours, theirs in zip(*map(scores, world.records()), strict=True):
        assert np.array_equal(ours, theirs)


@gpu_only
@pytest.mark.slow
def test_the_miniatures_tables_are_the_golden_ones_but_for_named_inputs_and_ties(tmp_path: Path) -> None:
    tables = [part for name in ("1", "2", "3", "4", "5", "A", "B") for part in ("--table", name)]
    places = ("--store", str(tmp_path / "store"), "--out", str(tmp_path / "runs"))
    run = [sys.executable, "-m", "bench", "run", *tables, "--mini", "--device", "cuda", *places]
    subprocess.run(run, check=True, cwd=ROOT)
    check = ["check", str(tmp_path / "runs"), "--against", str(ROOT / "results" / "golden"), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *check], cwd=ROOT, capture_output=True, text=True, check=False
    )
    facts = json.loads(done.stdout)
    assert facts["compared"] > 700 and {change["tier"] for change in facts["inputs"]} <= {"pixels"}
    named = facts["causes"]
    moved = [cell for cell in facts["cells"] if len(cell["flipped"]) > cell["ties"] and cell["dataset"] not in named]
    print(f"{facts['compared']} cells, {facts['ties']} ties; other pixels: {', '.join(named) or 'nowhere'}")
    assert not moved
