"""`--device cpu:0,1`: the rows of one device to the bit, and what becomes of the work of a device that fails.

Devices of the CPU are processes like those of GPUs; a plug-in method makes them fail where the test says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_world import Answer, World

from bench.engine.device_encoder import Machine
from bench.process import wire
from bench.records.record import Record, open_record

CARD = """
kind = "method"
name = "NAME"
protocol = "native"
prompts = "P-3"
[encoder]
adapter = "mine.py:NAME"
size = 32
options = { log = "LOG" }
"""
ASKED = """
model = "generator"
[question]
template = "Which of {classes}?"
mode = "answer"
"""
ADAPTERS = '''
import os
import signal
import time
from pathlib import Path

import torch

ENDS = {
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "full": lambda: raised(torch.OutOfMemoryError("CUDA out of memory")),
    "broken": lambda: raised(torch.AcceleratorError("CUDA error: an illegal memory access was encountered", 700)),
    "wrong": lambda: raised(ValueError("out of ideas")),
}


def raised(error):
    raise error


class Watched:
    """Leaves a mark for each of a device's calls; a device with a file `NAME.fails` does as it says from its second call on,
    and the other waits for that."""

    logit_scale = 10.0

    def __init__(self, weights, device, dtype, log):
        self.log, self.device = Path(log), device
        self.map = torch.randn(3 * 32 * 32, 16, generator=torch.Generator().manual_seed(0))

    def note(self):
        mine = self.log / f"{self.device}.calls"
        with mine.open("a") as file:
            file.write("x")
        fails = self.log / f"{self.device}.fails"
        if fails.exists():
            if mine.stat().st_size > 1:
                ENDS[fails.read_text()]()
            return
        for other in self.log.glob("*.fails"):
            calls, end = other.with_suffix(".calls"), time.monotonic() + 60
            while not (calls.exists() and calls.stat().st_size > 1) and time.monotonic() < end:
                time.sleep(0.01)

    def encode_images(self, pixels):
        self.note()
        return pixels.flatten(1) @ self.map

    def encode_texts(self, texts):
        return torch.stack([torch.full((16,), float(len(text))).cos() for text in texts])


class encoder(Watched):
    pass


class asked(Watched):
    def answer(self, pixels, question):
        self.note()
        return [f"{value:.6g} happiness" for value in pixels.mean((1, 2, 3)).tolist()]

    def loglikelihood(self, pixels, question, options):
        return torch.zeros(len(pixels), len(options))
'''


@pytest.fixture
def watched(world: World) -> World:
    (world.root / "log").mkdir()
    for name, more in {"encoder": "", "asked": ASKED}.items():
        card = CARD.replace("NAME", name).replace("LOG", str(world.root / "log")) + more
        (world.root / "cards" / f"{name}.toml").write_text(card)
    (world.root / "cards" / "mine.py").write_text(ADAPTERS)
    return world


def run(world: World, device: str, store: str, methods: str = "encoder,asked", **fails: str) -> Answer:
    """`bench run` with a store of its own; `cpu_1="killed"` makes that device fail so."""
    for path in (world.root / "log").iterdir():
        path.unlink()
    for name, how in fails.items():
        (world.root / "log" / f"{name.replace('_', ':')}.fails").write_text(how)
    places = {name: world.root / name for name in ("cards", "data", "weights")}
    places |= {"store": world.root / store, "out": world.root / f"{store}-runs"}
    flags = [part for name, place in places.items() for part in (f"--{name}", str(place))]
    how = ("--device", device, "--workers", "2", "--batch", "3")
    return world.call("run", "--methods", methods, "--datasets", "tiny-faces", *how, *flags)


def record_of(runs: Path) -> Record:
    (path,) = runs.iterdir()
    return open_record(path)


def rows(store: Path) -> dict[tuple[str, bytes], bytes]:
    """Every row of a store's artifacts."""
    files = [path for step in ("frames", "clips", "texts") for path in store.glob(f"{step}/*/*.npy")]
    found = [(path.parent.name, record) for path in files for record in np.load(path)]
    kept = {(name, bytes(record["digest"])): record["row"].tobytes() for name, record in found}
    assert len(kept) == len(found)
    return kept


def same(one: Record, other: Record) -> None:
    assert other.manifest.encoded == one.manifest.encoded
    for here, there in zip(one.predictions(), other.predictions(), strict=True):
        assert here.cell == there.cell and here.predictions.tolist() == there.predictions.tolist()
        assert np.array_equal(here.scores, there.scores)


@pytest.mark.slow
def test_the_miniature_on_two_devices_has_the_rows_of_one_to_the_bit(
    bench: Callable[..., Answer], tmp_path: Path, one_thread: None
) -> None:
    records = []
    for device in ("cpu", "cpu:0,1"):
        place = tmp_path / device.replace(":", "-")
        table = (
            "--table",
            "1",
            "--methods",
            "exp-clip:backbone=B32",
            "--datasets",
            "raf-db,afew",
            "--mini",
            "--limit",
            "9",
        )
        places = ("--store", str(place / "store"), "--out", str(place / "runs"))
        answer = bench("run", *table, "--device", device, "--batch", "8", *places)
        assert answer.code == 0, answer.err
        records.append(record_of(place / "runs"))
    same(*records)
    assert rows(tmp_path / "cpu" / "store") == rows(tmp_path / "cpu-0,1" / "store")
    facts = json.loads((records[1].path / "manifest.json").read_text())["device"]
    assert facts["asked"] == "cpu:0,1" and facts["used"].startswith("cpu:0 (") and ", cpu:1 (" in facts["used"]


@pytest.mark.slow
def test_a_device_that_is_killed_hands_its_work_on_and_changes_no_bit(watched: World, one_thread: None) -> None:
    assert run(watched, "cpu", "one").code == 0
    answer = run(watched, "cpu:0,1", "two", cpu_1="killed")
    assert answer.code == 0, answer.err
    assert "cpu:1 failed (its process ended: SIGKILL); its work, 3 items for " in answer.err
    assert "is handed on to cpu:0" in answer.err
    assert rows(watched.root / "two") == rows(watched.root / "one")
    one, two = (record_of(watched.root / f"{store}-runs") for store in ("one", "two"))
    same(one, two)
    assert ", cpu:1 (" in two.manifest.device.used and two.manifest.device.used.endswith(", failed)")


@pytest.mark.slow
def test_where_no_device_is_left_each_is_told_with_its_reason_and_what_was_done_is_kept(
    watched: World, one_thread: None
) -> None:
    answer = run(watched, "cpu:0,1", "two", "encoder", cpu_0="full", cpu_1="broken")
    assert answer.code == 2 and "Traceback" not in answer.err
    assert "no device is left: " in answer.err and "the same command goes on from there" in answer.err
    assert "one input does not fit into the memory of cpu:0" in answer.err
    assert "cpu:1: encoder: encode_images of " in answer.err and "CUDA error: an illegal memory access" in answer.err
    kept = rows(watched.root / "two")
    assert len(kept) >= 6

    assert run(watched, "cpu", "one", "encoder").code == 0
    assert run(watched, "cpu", "two", "encoder").code == 0
    whole = rows(watched.root / "one")
    assert rows(watched.root / "two").keys() == whole.keys() and kept.items() <= whole.items()


def test_heads_are_trained_on_the_first_device_that_has_not_failed() -> None:
    machine = Machine("cuda:0", beside=("cuda:1", "cuda:2"))
    assert machine.without(["cuda:0"]).devices == ("cuda:1", "cuda:2")
    assert machine.without([]).device == "cuda:0"


def test_workers_are_shared_out_among_devices() -> None:
    shares = [each.workers for each in Machine("cuda:0", workers=8, beside=("cuda:1", "cuda:2")).each()]
    assert shares == [3, 3, 2]
    assert [each.workers for each in Machine("cpu:0", workers=1, beside=("cpu:1",)).each()] == [1, 1]


def test_an_adapter_at_fault_ends_the_run_as_on_one_device(watched: World, one_thread: None) -> None:
    answer = run(watched, "cpu:0,1", "two", "encoder", cpu_0="wrong", cpu_1="wrong")
    assert answer.code == 2 and "Traceback" not in answer.err and "failed (" not in answer.err
    assert "encode_images of " in answer.err and "ValueError: out of ideas" in answer.err
    assert "the adapter is at fault" in answer.err


def test_a_process_ends_when_whoever_asked_is_gone() -> None:
    serve = [sys.executable, "-m", "bench.engine.several.serve"]
    process = subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None and process.stdout is not None
    first = {"device": "cpu:1", "workers": 1, "threads": 1, "path": [], "level": 20}
    wire.send(process.stdin, first)  # type: ignore[arg-type]
    assert wire.receive(process.stdout).body["name"]  # type: ignore[arg-type]
    process.stdin.close()
    assert process.wait(20) == 1
    process.stdout.close()
