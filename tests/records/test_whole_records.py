"""A record, a golden file or a store's fact that is not as it was written is noticed before a number is taken from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RUN = ("--methods", "clip:backbone=B32", "--datasets", "tiny-faces", "--prompts", "P-1")
FLIPS = 12


@pytest.fixture
def record(world: Any) -> Path:
    """A run of one cell, and golden numbers of it."""
    assert world.run(*RUN).code == 0
    path = Path(world.records()[-1])
    assert world.call("check", path, "--against", world.root / "golden.json", "--update").code == 0
    return path


def check(world: Any, record: Path, *flags: str) -> Any:
    return world.call("check", record, "--against", world.root / "golden.json", *flags)


def verify(world: Any, record: Path) -> Any:
    return world.call("verify", record, "--cards", world.root / "cards")


@pytest.mark.parametrize(
    "name", ["manifest.json", "predictions.parquet", "checksums.txt", "metrics.csv", "table_run.md"]
)
def test_no_flipped_bit_goes_unnoticed(world: Any, record: Path, name: str) -> None:
    rng = np.random.default_rng(sum(map(ord, name)))
    whole = (record / name).read_bytes()
    assert verify(world, record).code == 0 and check(world, record).code == 0
    for place in [*rng.integers(0, len(whole), FLIPS).tolist(), whole.find(b"\n")]:
        data = bytearray(whole)
        data[place] ^= (
            1 << int(rng.integers(8)) if place != whole.find(b"\n") else 1
        )  # a newline becomes another line end
        (record / name).write_bytes(data)
        assert verify(world, record).code != 0, (name, place)
        if name in ("manifest.json", "predictions.parquet", "checksums.txt"):
            assert check(world, record).code != 0, (name, place)
            answer = world.call("table", "--run", record, "--cards", world.root / "cards")
            assert answer.code == 2 and str(record) in answer.err and answer.out == ""
    (record / name).write_bytes(whole)
    assert verify(world, record).code == 0


def test_a_changed_record_says_how_a_change_of_ones_own_is_stated(
    world: Any, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess

    path = record / "manifest.json"
    path.write_text(path.read_text().replace('"processor": "', '"processor": "not told: '))
    answer = verify(world, record)
    assert answer.code == 2 and f"{path} is not as it was written" in answer.err
    fix = answer.err.split("if the change was yours: ")[1].strip()
    subprocess.run(fix, shell=True, cwd=record, check=True)
    assert verify(world, record).code == 0


def test_a_logit_scale_that_was_changed_in_the_store_changes_no_score(world: Any, record: Path) -> None:
    before = (record / "predictions.parquet").read_bytes()
    changed = 0
    for about in (world.root / "store").rglob("about.json"):
        facts = json.loads(about.read_text())
        if "logit_scale" in facts["facts"]:
            facts["facts"]["logit_scale"] *= 9
            about.write_text(json.dumps(facts))
            changed += 1
    answer = world.run(*RUN)
    assert changed and answer.code == 0
    assert answer.err.count("its facts are not those that were written") == changed
    assert (Path(world.records()[-1]) / "predictions.parquet").read_bytes() == before


@pytest.mark.parametrize("lacking", [("metrics.csv", "table_run.md", "table_run.tex"), ("table_run.tex",)])
def test_a_record_whose_run_was_stopped_before_its_tables_says_that_it_is_incomplete(
    world: Any, record: Path, lacking: tuple[str, ...]
) -> None:
    for name in lacking:
        (record / name).unlink()
    said = f"incomplete, its run was stopped: it lacks {', '.join(lacking)}"
    answer = verify(world, record)
    assert answer.code == 1 and said in answer.err
    answer = check(world, record)
    assert answer.code == 2 and "is incomplete" in answer.err and "run it again" in answer.err
    assert check(world, record, "--update").code == 2
    answer = world.call("table", "--run", record, "--cards", world.root / "cards")
    assert answer.code == 0 and said in answer.err


@pytest.mark.parametrize("part", ["cells", "prompts", "pixels", "classes", "truth"])
def test_a_golden_file_that_lacks_a_part_does_not_pass(world: Any, record: Path, part: str) -> None:
    golden = world.root / "golden.json"
    facts = json.loads(golden.read_text())
    assert world.run("--methods", "clip:backbone=B32,clip:backbone=B16", *RUN[2:]).code == 0
    assert check(world, Path(world.records()[-1])).code == 1  # of two cells one is not held
    world.call("check", world.records()[-1], "--against", golden, "--update")
    facts = json.loads(golden.read_text())
    facts[part] = facts[part][1:] if part == "cells" else {}
    golden.write_text(json.dumps(facts))
    answer = check(world, Path(world.records()[-1]))
    assert answer.code in (1, 2) and "Traceback" not in answer.err
    if part in ("prompts", "pixels"):
        assert f"input changed ({part})" in answer.out and "was: not there" in answer.out


def test_a_golden_cell_shorter_than_its_samples_is_refused(world: Any, record: Path) -> None:
    golden = world.root / "golden.json"
    facts = json.loads(golden.read_text())
    facts["cells"][0]["predictions"]["1"] = facts["cells"][0]["predictions"]["1"][:-1]
    golden.write_text(json.dumps(facts))
    answer = check(world, record)
    assert answer.code == 2 and "golden.json is not a snapshot" in answer.err


def test_a_record_of_before_there_were_checksums_is_read_and_says_so(world: Any, record: Path) -> None:
    (record / "checksums.txt").unlink()
    answer = verify(world, record)
    assert answer.code == 0 and "has no checksums.txt" in answer.err
    shutil.rmtree(record)
