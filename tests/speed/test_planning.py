"""How long a plan takes when nothing has changed, and what memory it needs for each picture."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from class_folders import class_folders
from peak import peak_of
from plain_method import write_method

COUNT = int(os.environ.get("BENCH_SPEED_PLANNED", "20000"))
# So many files of which all others are hard links: a file system allows some tens of thousands to one.
FILES = 500
BOUND_20K, BYTES = 0.5, 400


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("many")
    write_method(root / "cards", size=64, width=512)
    for name, count in (("few", FILES), ("many", COUNT)):
        (root / "cards" / f"{name}.toml").write_text(class_folders(name))
        for label in ("happiness", "sadness"):
            (root / "data" / name / label).mkdir(parents=True)
        for number in range(count):
            path = root / "data" / name / ("happiness", "sadness")[number % 2] / f"{number:07d}.jpg"
            if number < FILES:
                path.write_bytes(number.to_bytes(4, "big"))
            else:
                path.hardlink_to(
                    root / "data" / name / ("happiness", "sadness")[number % 2] / f"{number % FILES:07d}.jpg"
                )
    return root


def test_a_plan_of_20000_pictures_takes_half_a_second_when_nothing_has_changed(many: Path, benchmark: Any) -> None:
    from bench.plan.cells import Choices, distinct_cells, free_table, sources
    from bench.run.planner import plan
    from bench.run.session import open_session

    def planned() -> float:
        session = open_session(cards=[many / "cards"], data=[str(many / "data")], store=many / "store")
        cards = {"run": free_table(["plain"], ["many"], [], session.catalog)}
        rows = {ref: sources(table, session.catalog, Choices()) for ref, table in cards.items()}
        cells = distinct_cells(cards, rows, session.catalog)
        begun = time.perf_counter()
        made = plan(session, cells)
        assert len(next(iter(made.corpora.values())).samples) == COUNT
        return time.perf_counter() - begun

    time.sleep(2.1)  # files as young as the clock's grain are not remembered
    planned()
    seconds = min(benchmark.pedantic(planned, rounds=1), planned(), planned())
    print(f"\n{COUNT:,} pictures planned in {seconds:.2f} s")
    assert seconds < BOUND_20K * max(1, COUNT / 20_000)


def test_a_planned_picture_needs_a_few_hundred_bytes(many: Path) -> None:
    flags = [
        "--methods",
        "plain",
        "--cards",
        str(many / "cards"),
        "--data",
        str(many / "data"),
        "--store",
        str(many / "store"),
    ]
    peaks = {name: peak_of("run", "--datasets", name, *flags, "--dry-run").kib * 1024 for name in ("few", "many")}
    slope = (peaks["many"] - peaks["few"]) / (COUNT - FILES)
    print(
        f"\n{peaks['few'] / 2**20:.0f} MiB for {FILES}, {peaks['many'] / 2**20:.0f} MiB for {COUNT:,}: {slope:.0f} bytes a picture"
    )
    assert slope < BYTES
