"""A table with rows that are chosen on the test set, from the command line to its files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

TABLE = """
kind = "table"
name = "1"
columns = [{ title = "Still", datasets = ["tiny-faces"] }]
rows = [
    { id = "three", cells = ["CLIP"], method = "clip", variant = { backbone = "B32" }, prompts = "P-3" },
    { id = "one", cells = ["CLIP"], method = "clip", variant = { backbone = "B32" }, prompts = "P-1", shown = false },
    { id = "two", cells = ["CLIP"], method = "clip", variant = { backbone = "B32" }, prompts = "P-2", shown = false },
    { id = "best", cells = ["Best"], best_of = ["one", "two", "three"], mark = "†", rank = false },
]
[notes]
"†" = "Chosen on the test set."
"""


@pytest.fixture
def table(world: Any) -> str:
    folder: Path = world.root / "cards" / "study"
    folder.mkdir()
    (folder / "paper.toml").write_text('kind = "paper"\nname = "study"\n')
    (folder / "table-1.toml").write_text(TABLE)
    return "study:1"


def scores(record: Path) -> dict[str, tuple[float, float]]:
    lines = csv.DictReader((record / "metrics.csv").read_text().splitlines())
    return {line["prompt_set"]: (float(line["war"]), float(line["uar"])) for line in lines if line["fold"] == "mean"}


def test_hidden_rows_are_run_and_the_best_of_them_is_shown_with_its_note(world: Any, table: str) -> None:
    answer = world.run("--table", table, "--limit", "2")
    assert answer.code == 0, answer.err
    (record,) = world.records()
    found = scores(record)
    war, uar = max(found.values(), key=lambda pair: pair[0])
    text = (record / "table_study-1.md").read_text()
    assert set(found) == {"P-1", "P-2", "P-3"}
    (line,) = [line for line in text.splitlines() if line.startswith("| Best")]
    assert f"{uar:.2f}/{war:.2f}" in line and len(text.split("| CLIP")) == 2


def test_a_mark_of_the_run_takes_another_sign_than_the_tables_own(world: Any, table: str) -> None:
    world.run("--table", table, "--limit", "2")
    text = (world.records()[0] / "table_study-1.md").read_text()
    assert "<sup>†</sup> Chosen on the test set." in text
    (mark,) = (line for line in text.splitlines() if line.startswith("<sup>‡</sup>"))
    assert "at most 2 samples per fold" in mark and "no sample of" in mark


def test_where_the_user_names_the_prompts_there_is_nothing_to_choose(world: Any, table: str) -> None:
    answer = world.run("--table", table, "--prompts", "P-2", "--dry-run", "--json")
    assert answer.code == 0 and json.loads(answer.out)
    world.run("--table", table, "--prompts", "P-2")
    text = (world.records()[0] / "table_study-1.md").read_text()
    assert "| CLIP" in text and "| Best" not in text


def test_choosing_a_method_keeps_the_best_of_its_rows(world: Any, table: str) -> None:
    world.run("--table", table, "--methods", "clip")
    assert "| Best" in (world.records()[0] / "table_study-1.md").read_text()
