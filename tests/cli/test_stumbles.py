"""Where a newcomer would stumble: devices that are not here, places that cannot be written, names that nothing shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_world import World

from bench.cards.catalog import load
from bench.cards.variant import all_variants

RUN = ("--methods", "clip:backbone=B32", "--datasets", "tiny-faces")
ABSENT = {
    "gpu": "there is no such device",
    "cuda:1,": "there is no such device",
    "cuda:x": "there is no such device",
    "cuda:0,0": "cuda:0 is named twice",
    "cpu:2,1,2": "cpu:2 is named twice",
    "cpu:all": "only GPUs of NVIDIA are counted",
    "mps:0,1": "a Mac has one GPU",
    "cuda:0,1": "the NVIDIA driver shows no GPU",
    "cuda:all": "the NVIDIA driver shows no GPU",
    "mps": "this is not a Mac with Metal",
    "cuda": "the NVIDIA driver shows no GPU",
}


@pytest.mark.parametrize("device", ABSENT)
def test_a_device_that_is_not_here_is_refused_before_anything_also_when_all_is_stored(
    world: World, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    for _ in range(2):
        answer = world.run(*RUN, "--device", device)
        assert answer.code == 2 and f"--device {device}: {ABSENT[device]}" in answer.err
        assert len(list((world.root / "runs").glob("*/manifest.json"))) == int((world.root / "store").exists())
        world.run(*RUN, "--device", "cpu")


def test_a_card_number_that_is_not_here_is_refused_with_those_that_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    answer = world.run(*RUN, "--device", "cuda:2")
    assert answer.code == 2 and "this machine has 2 GPUs" in answer.err and "cuda:0 to cuda:1" in answer.err
    answer = world.run(*RUN, "--device", "cuda:0,7,5")
    assert answer.code == 2 and "has 2 GPUs, and no cuda:7, cuda:5" in answer.err and "cuda:0 to cuda:1" in answer.err


@pytest.mark.parametrize("command", ["embed", "predict", "prepare"])
def test_a_command_for_one_device_refuses_several_by_its_name(world: World, bench: Any, command: str) -> None:
    picture = world.root / "data" / "tiny-faces" / "anger" / "000.jpg"
    words = {
        "embed": (picture, "--method", "nobody", "--to", world.root / "a.npz"),
        "predict": (picture, "--method", "nobody", "--classes", "a,b"),
        "prepare": ("nothing",),
    }
    answer = bench(command, *words[command], "--device", "cpu:1,2")
    assert answer.code == 2 and f"bench {command} works on one device" in answer.err
    assert "use --device cpu:1" in answer.err


@pytest.mark.parametrize("command", ["train", "embed", "predict", "prepare", "figure"])
def test_every_command_refuses_a_device_that_is_not_here_first(world: World, bench: Any, command: str) -> None:
    picture = world.root / "data" / "tiny-faces" / "anger" / "000.jpg"
    words = {
        "train": ("exp-clip",),
        "embed": (picture, "--method", "nobody", "--to", world.root / "a.npz"),
        "predict": (picture, "--method", "nobody", "--classes", "a,b"),
        "prepare": ("nothing",),
        "figure": ("3",),
    }
    answer = bench(command, *words[command], "--device", "gpu")
    assert answer.code == 2 and "--device gpu: there is no such device" in answer.err


@pytest.mark.parametrize("option", ["--out", "--store"])
def test_a_place_that_cannot_be_written_is_refused_before_encoding(world: World, option: str) -> None:
    (world.root / "file").touch()
    place = world.root / "file" / "below"
    flags = [str(place) if name == str(world.root / "store") and option == "--store" else name for name in world.flags]
    out = place if option == "--out" else world.root / "runs"
    answer = world.call("run", *RUN, *flags, "--out", str(out), "--device", "cpu")
    assert answer.code == 2 and str(place) in answer.err and option in answer.err
    assert "went through the tower" not in answer.err
    assert not (world.root / "store" / "frames").exists()


def test_the_package_is_the_command_too() -> None:
    found = subprocess.run([sys.executable, "-m", "bench", "--help"], capture_output=True, text=True)
    assert found.returncode == 0 and found.stdout.startswith("Usage: bench")


def test_a_place_that_the_system_refuses_is_one_line_and_no_traceback(world: World, bench: Any, tmp_path: Path) -> None:
    world.run(*RUN, "--device", "cpu")
    (record,) = world.records()
    report = bench("report", record, "--to", "/proc/r.html", "--cards", world.root / "cards")
    assert report.code == 2 and "/proc/r.html" in report.err
    (tmp_path / "file").touch()
    here = Path.cwd()
    os.chdir("/proc")
    try:
        new = bench("new", "zz")
    finally:
        os.chdir(here)
    assert new.code == 2 and "zz" in new.err and "fix: " in new.err


def test_lists_are_as_wide_as_the_terminal_at_most(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for width in ("100", "140"):
        monkeypatch.setenv("COLUMNS", width)
        assert max(map(len, bench("list").out.splitlines())) <= int(width)


def test_doctor_names_the_weights_of_every_variant(world: World) -> None:
    found = json.loads(world.call("doctor", "siglip2", "dfn", *world.flags, "--json").out)
    listed = {state["file"] for state in found["weights"]}
    for name in ("siglip2", "dfn"):
        variants = all_variants(load().method(name), {}, defaults=False)
        assert len(variants) > 1
        assert {file for variant in variants for file in variant.card.encoder.weights.values()} <= listed


def test_rows_are_compared_by_name_or_label_and_a_wrong_one_lists_them(world: World, bench: Any) -> None:
    world.run("--methods", "clip,exp-clip:backbone=B32", "--datasets", "tiny-faces", "--device", "cpu")
    (record,) = world.records()
    cards = ("--cards", world.root / "cards")
    by_name = bench("compare", record, "--rows", "clip:backbone=B32", "clip:backbone=B16", *cards)
    assert by_name.code == 0 and "first: clip:backbone=B32" in by_name.out
    by_label = bench("compare", record, "--rows", "CLIP (B/32)", "CLIP (B/16)", *cards)
    assert by_label.code == 0
    assert by_label.out.splitlines()[3:] == by_name.out.splitlines()[3:]
    wrong = bench("compare", record, "--rows", "CLIP", "Exp-CLIP", *cards)
    assert wrong.code == 2 and "'clip:backbone=B32', 'clip:backbone=B16'" in wrong.err


def test_a_run_without_a_card_has_a_heading_and_a_caption(world: World) -> None:
    answer = world.run(*RUN, "--device", "cpu")
    (record,) = world.records()
    assert "Run" in answer.out
    assert (record / "table_run.md").read_text().startswith("**Run.** CLIP on Tiny Faces, UAR/WAR in percent.")
    assert r"\caption{CLIP on Tiny Faces, UAR/WAR in percent.}" in (record / "table_run.tex").read_text()
