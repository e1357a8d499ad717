"""`bench run --table N --methods mine --paper`: a row of one's own beside the paper's numbers, without anybody's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plain_method import write_method

from bench.records.record import open_record


def test_the_papers_rows_are_printed_and_only_the_named_one_is_run(bench: Any, tmp_path: Path) -> None:
    write_method(tmp_path / "cards")
    places = ("--mini", "--cards", tmp_path / "cards", "--store", tmp_path / "store", "--out", tmp_path / "runs")
    run = ("run", "--table", "2", "--methods", "plain", "--paper", "--datasets", "raf-db,ferplus", *places)
    plan = bench(*run, "--dry-run", "--no-measure")
    assert plan.code == 0 and "2 cells need" in plan.out and "clip" not in plan.out
    answer = bench(*run)
    assert answer.code == 0, answer.err
    (folder,) = (tmp_path / "runs").iterdir()
    record = open_record(folder)
    assert set(record.manifest.encoded) == {"plain"} and {part.cell.method for part in record.predictions()} == {
        "plain"
    }
    assert "34.97/30.05  36.05/33.89" in answer.out and "§ as the paper prints it" in answer.out
    assert "CLIP§" in answer.out and "plain§" not in answer.out
    # Rows that are computed are computed from the printed ones, as the paper's own arrow row is.
    assert "4.59/12.09" in answer.out
    assert bench("verify", folder, "--cards", tmp_path / "cards").code == 0
    again = bench("table", "2", "--run", folder, "--cards", tmp_path / "cards", "--format", "latex")
    assert "34.97" in again.out and "as the paper prints it" in again.out


def test_a_method_that_the_table_has_is_run_as_ever(bench: Any, tmp_path: Path) -> None:
    run = ("run", "--table", "2", "--methods", "clip:backbone=B32", "--paper", "--datasets", "raf-db", "--mini")
    plan = bench(*run, "--store", tmp_path, "--dry-run", "--no-measure")
    assert "1 cells need 72 encodes" in plan.out
    write_method(tmp_path / "cards")
    several = (
        "run",
        "--table",
        "2",
        "--methods",
        "plain",
        "--datasets",
        "raf-db",
        "--mini",
        "--cards",
        tmp_path / "cards",
    )
    answer = bench(*several, "--store", tmp_path, "--dry-run")
    assert answer.code == 2 and "write +plain to add one" in answer.err
