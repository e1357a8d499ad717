"""What a run leaves behind comes back as it was, or not at all."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_manifest import small_manifest
from small_world import World

from bench.errors import BenchError
from bench.records import record as records
from bench.records.predictions import CellKey, FoldPredictions
from bench.records.record import open_record


def part(**changes: Any) -> FoldPredictions:
    facts: dict[str, Any] = {
        "cell": CellKey("m", "a=b", "P-3", "paper", "d", None),
        "fold": "1",
        "samples": ["x", "ÿ/é", ""],
        "labels": np.array([0, 1, 2], np.int16),
        "predictions": np.array([0, -1, 2], np.int16),
        "scores": np.arange(9, dtype=np.float32).reshape(3, 3),
    }
    return FoldPredictions(**{**facts, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scores": None, "answers": ["happy", "", "I ☺"]},
        {"cell": CellKey("m", "", "P-1", "native", "d", 3)},
        {"samples": [], "labels": np.empty(0, np.int16), "predictions": np.empty(0, np.int16), "scores": None},
    ],
)
def test_predictions_come_back_as_they_were_written(tmp_path: Path, changes: Any) -> None:
    written = part(**changes)
    record = records.write(tmp_path / "run", small_manifest(), [written])
    read = list(open_record(record.path).predictions())
    if not len(written.samples):
        assert read == []
        return
    (found,) = read
    assert (found.cell, found.fold, found.samples, found.answers) == (
        written.cell,
        written.fold,
        written.samples,
        written.answers,
    )
    assert np.array_equal(found.labels, written.labels) and np.array_equal(found.predictions, written.predictions)
    assert (found.scores is None and written.scores is None) or np.array_equal(found.scores, written.scores)  # type: ignore[arg-type]


def test_pandas_reads_the_predictions_file_too(tmp_path: Path) -> None:
    import pandas as pd

    record = records.write(tmp_path / "run", small_manifest(), [part(), part(fold="2")])
    frame = pd.read_parquet(record.path / "predictions.parquet")
    assert list(frame["fold"]) == ["1"] * 3 + ["2"] * 3
    assert list(frame["scores"][1]) == [3.0, 4.0, 5.0]


@pytest.mark.parametrize("stop", [RuntimeError("stop"), KeyboardInterrupt()])
def test_a_record_that_could_not_be_finished_is_not_there(tmp_path: Path, stop: BaseException) -> None:
    def failing() -> Any:
        yield part()
        raise stop

    with pytest.raises(type(stop)):
        records.write(tmp_path / "run", small_manifest(), failing())
    assert list(tmp_path.iterdir()) == []


def test_a_record_of_a_later_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(BenchError, match="schema 99"):
        open_record(tmp_path)


def test_a_folder_that_is_no_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no manifest\.json"):
        open_record(tmp_path)


def test_names_of_runs_sort_by_age_and_never_collide(tmp_path: Path) -> None:
    first = records.new_folder(tmp_path, "x")
    first.mkdir()
    assert records.new_folder(tmp_path, "x") != first


def test_a_run_after_the_clock_was_set_back_is_still_the_newest(tmp_path: Path) -> None:
    (tmp_path / "29990101-000000-x").mkdir()
    (tmp_path / "99999999-999999-not-a-run").mkdir()
    for name in ("29990101-000001-x", "29990101-000002-y"):
        folder = records.new_folder(tmp_path, name[-1])
        assert folder.name == name
        records.write(folder, small_manifest(), [])
        assert records.latest(tmp_path) == folder


def test_a_name_that_was_taken_meanwhile_gets_a_number(tmp_path: Path) -> None:
    names = [records.write(tmp_path / "run", small_manifest(), [part()]).path.name for _ in range(3)]
    assert names == ["run", "run-2", "run-3"]
    assert {path.name for path in tmp_path.iterdir()} == set(names)


def test_what_a_killed_run_left_half_written_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    dead, living, elsewhere = (
        tmp_path / f".other.{host}.{process}.partial"
        for host, process in ((platform.node(), ended.pid), (platform.node(), os.getpid()), ("elsewhere", ended.pid))
    )
    for path in (dead, living, elsewhere):
        path.mkdir()
    records.write(tmp_path / "run", small_manifest(), [part()])
    assert not dead.exists() and living.exists() and elsewhere.exists()


SAVED_AGAIN: dict[str, Any] = {
    "by pandas": lambda file: pd.read_parquet(file).to_parquet(file),
    "in groups of one row": lambda file: pq.write_table(pq.read_table(file), file, row_group_size=1),
    "in groups that are no cells": lambda file: pq.write_table(pq.read_table(file), file, row_group_size=7),
    "by sample": lambda file: pq.write_table(pq.read_table(file).sort_by("sample"), file),
    "in another order": lambda file: pd.read_parquet(file).sample(frac=1, random_state=0).to_parquet(file),
}


def stated_anew(record: Path) -> None:
    """The checksums of the files as they are now, as the message says of a change of one's own."""
    words = "sha256sum manifest.json predictions.parquet > checksums.txt"
    subprocess.run(words, shell=True, cwd=record, check=True)


@pytest.mark.parametrize("how", SAVED_AGAIN)
def test_a_predictions_file_that_was_saved_again_gives_the_same_tables(world: World, how: str) -> None:
    run = world.run("--methods", "clip,exp-clip", "--datasets", "tiny-faces,tiny-clips", "--device", "cpu")
    assert run.code == 0, run.err
    (record,) = world.records()
    before = world.call("table", "--run", str(record), "--format", "markdown").out
    assert "Tiny Faces" in before
    SAVED_AGAIN[how](record / "predictions.parquet")
    stated_anew(record)
    assert world.call("table", "--run", str(record), "--format", "markdown").out == before


def test_rows_that_are_there_twice_or_gone_are_told(world: World) -> None:
    world.run("--methods", "clip", "--datasets", "tiny-faces", "--device", "cpu")
    (record,) = world.records()
    file = record / "predictions.parquet"
    whole = pq.read_table(file)
    for rows, said in (
        (pa.concat_tables([whole, whole]), "30 rows for 15 samples"),
        (whole.slice(1), "14 rows for 14"),
    ):
        pq.write_table(rows, file)
        stated_anew(record)
        answer = world.call("table", "--run", str(record))
        assert answer.code == 2 and said in answer.err and "the manifest states 15" in answer.err
