"""Two rows of one record, sample by sample; and bold only where the best is better beyond chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.metrics.paired import joint, mcnemar
from bench.records import record as records
from bench.records.predictions import FoldPredictions, read_predictions
from bench.records.record import open_record

RUN = ("--methods", "clip:backbone=B32,clip:backbone=B16", "--datasets", "tiny-faces,tiny-clips", "--prompts", "P-1")


@pytest.fixture
def record(world: Any) -> Path:
    """A run of two rows."""
    assert world.run(*RUN).code == 0
    path: Path = world.records()[-1]
    return path


def rows_of(record: Path) -> list[str]:
    return list(open_record(record).manifest.tables["run"].rows)


def rewrite(record: Path, wrong: dict[str, float], copies: int, seeds: int = 1) -> None:
    """Larger predictions: a backbone errs on this share of the samples, each on its own."""
    rng = np.random.default_rng(0)
    opened = open_record(record)
    parts = []
    for part in opened.predictions():
        labels = np.tile(part.labels, copies)
        samples = [f"{name}-{number}" for number in range(copies) for name in part.samples]
        share = next(share for name, share in wrong.items() if name in part.cell.variant)
        for seed in range(seeds):
            said = np.where(rng.random(len(labels)) < share, (labels + 1) % 3, labels).astype(np.int16)
            cell = part.cell._replace(seed=seed if seeds > 1 else None)
            parts.append(FoldPredictions(cell, part.fold, samples, labels, said))
    datasets = {
        name: facts.model_copy(update={"folds": {fold: count * copies for fold, count in facts.folds.items()}})
        for name, facts in opened.manifest.datasets.items()
    }
    manifest = opened.manifest.model_copy(update={"datasets": datasets})
    (record / "manifest.json").unlink()
    (record / "predictions.parquet").unlink()
    for path in record.iterdir():
        path.unlink()
    record.rmdir()
    records.write(record, manifest, parts)


def test_the_difference_its_tests_and_the_counts_are_those_of_the_predictions(world: Any, record: Path) -> None:
    rewrite(record, {"B32": 0.3, "B16": 0.5}, 8)
    first, second = rows_of(record)
    answer = world.call("compare", record, "--rows", first, second, "--json", "--cards", world.root / "cards")
    assert answer.code == 0, answer.err
    cells = {(cell["dataset"], cell["metric"]): cell for cell in json.loads(answer.out)["cells"]}
    parts = {(part.cell.variant, part.cell.dataset): part for part in read_predictions(record / "predictions.parquet")}
    one, two = (parts[f"backbone={name}", "tiny-faces"] for name in ("B32", "B16"))
    fold = joint(one.labels, one.predictions, two.predictions, 3)
    cell = cells["tiny-faces", "war"]
    assert (cell["only_first"], cell["only_second"]) == (fold.first.sum(), fold.second.sum())
    assert cell["p_value"] == pytest.approx(mcnemar(int(fold.first.sum()), int(fold.second.sum())))
    assert cell["difference"] == pytest.approx(cell["first"] - cell["second"])
    smallest = min(cell["p_value"] for cell in cells.values())
    assert min(cell["p_holm"] for cell in cells.values()) == pytest.approx(4 * smallest)


def test_the_table_says_how_many_cells_are_better_beyond_chance(world: Any, record: Path) -> None:
    rewrite(record, {"B32": 0.05, "B16": 0.6}, 40)
    first, second = rows_of(record)
    answer = world.call("compare", record, "--rows", first, second)
    assert "the first is better in 4 and worse in 0 of 4 cells" in answer.out
    answer = world.call("compare", record, "--rows", second, first)
    assert "the first is better in 0 and worse in 4 of 4 cells" in answer.out


def test_runs_of_the_same_seed_are_compared(world: Any, record: Path) -> None:
    rewrite(record, {"B32": 0.2, "B16": 0.6}, 5, seeds=2)
    first, second = rows_of(record)
    cells = json.loads(world.call("compare", record, "--rows", first, second, "--json").out)["cells"]
    assert sorted({tuple(cell["seeds"]) for cell in cells}) == [(0, 0), (1, 1)] and len(cells) == 8


def test_a_row_that_is_not_there_gets_those_that_are(world: Any, record: Path) -> None:
    first, second = rows_of(record)
    answer = world.call("compare", record, "--rows", first, second[:-4])
    assert answer.code == 2 and f"name two of one table: {first!r}, {second!r}" in answer.err


def test_one_record_without_rows_and_two_with_rows_are_refused(world: Any, record: Path) -> None:
    first, second = rows_of(record)
    assert world.call("compare", record).code == 2
    assert world.call("compare", record, record, "--rows", first, second).code == 2
    assert world.call("compare", record, record).code == 0


def test_bold_needs_a_difference_beyond_chance_where_that_is_asked_for(world: Any, record: Path) -> None:
    rewrite(record, {"B32": 0.05, "B16": 0.6}, 40)
    plain = world.call("table", "--run", record, "--format", "html")
    tested = world.call("table", "--run", record, "--format", "html", "--significance")
    assert plain.out.count("<b>") == tested.out.count("<b>") == 4
    assert "correction for 4 comparisons" in tested.out and "Holm" not in plain.out


def test_a_best_number_that_may_be_chance_is_not_bold(world: Any, record: Path) -> None:
    rewrite(record, {"B32": 0.5, "B16": 0.52}, 2)
    plain = world.call("table", "--run", record, "--format", "html")
    tested = world.call("table", "--run", record, "--format", "html", "--significance")
    assert plain.out.count("<b>") == 4 and "<b>" not in tested.out


def test_a_record_is_audited_with_the_counts_of_its_own_predictions(world: Any, record: Path) -> None:
    rewrite(record, {"B32": 0.5, "B16": 1.0}, 40)
    answer = world.call("audit", record, "--cards", world.root / "cards")
    assert answer.code == 0 and "2 UARs are below chance" in answer.out
    assert "0 errors" in answer.out


def test_a_record_that_compares_means_over_seeds_with_single_runs_is_told(world: Any, record: Path) -> None:
    rewrite(record, {"B32": 0.2, "B16": 0.6}, 40, seeds=3)
    opened = open_record(record)
    kept = [part for part in opened.predictions() if "B32" in part.cell.variant or part.cell.seed == 0]
    for path in record.iterdir():
        path.unlink()
    record.rmdir()
    records.write(record, opened.manifest, kept)
    answer = world.call("audit", record, "--cards", world.root / "cards")
    assert "compare means of several runs with single runs of the same method" in answer.out
