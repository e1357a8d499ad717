"""`--dry-run` says what a run will take, by a few batches of it, and remembers that."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from bench.plan.cost import Cost, GroupCost, Pace, in_words, size_in_words

RUN = ("--methods", "clip,exp-clip", "--datasets", "tiny-faces,tiny-clips,tiny-videos")
PLAN = (*RUN, "--dry-run", "--json")


def expected(world: Any, *flags: str) -> dict[str, Any]:
    answer = world.run(*PLAN, *flags)
    assert answer.code == 0, answer.err
    found: dict[str, Any] = json.loads(answer.out)["expected"]
    return found


def test_a_plan_says_what_a_run_will_take_and_a_second_one_the_same(world: Any) -> None:
    first = expected(world)
    facts = json.loads(world.run(*PLAN).out)
    assert facts["expected"] == first
    assert first["seconds"] > 0 and first["devices"] == 1 and first["device"] and first["left_out"] == []
    # One decode serves the three towers of one size; each of their rows is 512 or 768 float32, with its digest.
    (group,) = first["groups"]
    assert group["items"] == max(work["to_do"] for work in facts["vision"]) and 0 < group["sampled"] <= group["items"]
    rows = [work["to_do"] for work in facts["vision"]]
    world.run(*RUN)
    files = [file for file in (world.root / "store").rglob("*") if file.is_file() and "paces" not in file.name]
    grown = sum(file.stat().st_size for file in files if "frames" in str(file) or "vision" in str(file))
    assert len(rows) == 3 and first["store_bytes"] == pytest.approx(grown, rel=0.25)


def test_processes_on_the_cpu_are_expected_to_be_no_faster_than_one(world: Any) -> None:
    found = expected(world, "--device", "cpu:0,1", "--batch", "4")
    assert found["devices"] == 1 and len(found["groups"]) == 1


def test_nothing_is_expected_of_a_plan_that_is_done(world: Any) -> None:
    world.run(*RUN)
    assert expected(world)["groups"] == [] and expected(world)["seconds"] == 0
    assert "Expected" not in world.run(*RUN, "--dry-run").out


def test_nothing_is_measured_where_nobody_wants_it(world: Any) -> None:
    answer = world.run(*PLAN, "--no-measure")
    assert json.loads(answer.out)["expected"] is None and not (world.root / "store" / "paces.json").exists()


def test_what_was_remembered_is_measured_again_where_the_file_is_damaged_or_the_batch_is_another(world: Any) -> None:
    expected(world)
    kept = world.root / "store" / "paces.json"
    known = json.loads(kept.read_bytes())
    assert len(known) == 1
    for text in ("{", "[]", json.dumps({key: {"load": "soon"} for key in known})):
        kept.write_text(text)
        assert expected(world)["seconds"] > 0
        assert json.loads(kept.read_bytes()).keys() == known.keys()
    expected(world, "--batch", "3")
    assert len(json.loads(kept.read_bytes())) == 2


def test_what_is_not_in_the_expected_time_is_named(world: Any) -> None:
    shutil.rmtree(world.root / "data" / "tiny-clips")
    (world.root / "weights" / "ViT-B-16.pt").unlink()
    (world.root / "weights" / "ViT-L-14.pt").write_bytes(b"nothing")
    left_out = expected(world)["left_out"]
    assert any("datasets that are not here: tiny-clips" in line for line in left_out)
    assert any("weights are not here" in line or "ViT-L-14.pt" in line for line in left_out)
    assert "Not in it: datasets that are not here: tiny-clips." in world.run(*RUN, "--dry-run").out


def test_a_cost_adds_up_over_groups_and_devices() -> None:
    pace = Pace(load=2.0, item=0.5, waiting=0.8, text=0.25, row_bytes=1000, sampled=8)
    groups = [GroupCost("a, b", 100, 4, pace), GroupCost("c", 20, 0, pace)]
    assert groups[0].seconds == 2 + 50 + 1
    assert Cost("card", 1, groups).seconds == 53 + 12
    assert Cost("card", 2, groups).seconds == 4 + (51 + 10) / 2
    assert Cost("card", 2, groups).store_bytes == 120_000
    assert Cost("card", 2, groups).lines()[0] == (
        "Expected on 2 x card: 34 s, measured with 16 of the items; the limit is reading and decoding."
    )
    assert Cost("card").lines() == []


def test_compiling_is_worth_it_where_it_saves_more_than_it_takes() -> None:
    pace = Pace(load=1, item=0.001, waiting=0.5, text=0, row_bytes=1, sampled=8)
    long, short = (Cost("card", 1, [GroupCost("a", items, 0, pace, compilable=1)]) for items in (1_000_000, 1000))
    assert (
        long.compiling_saves == pytest.approx(0.12 * 500 - 20)
        and "--compile would save about 40 s of it." in long.lines()
    )
    assert short.compiling_saves < 0 and not any("--compile" in line for line in short.lines())
    assert Cost("card", 1, [GroupCost("a", 1_000_000, 0, pace)]).compiling_saves == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "under a second"), (42.4, "42 s"), (420, "7 min"), (12_000, "3 h 20 min"), (183_600, "2 days, 3 h"), (90_000, "1 day, 1 h")],
)  # fmt: skip
def test_a_span_of_time_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 bytes"), (999, "999 bytes"), (4200, "4.2 kB"), (9_960, "10 kB"), (310e9, "310 GB"), (5e15, "5,000 TB")]
)  # fmt: skip
def test_a_size_in_words(count: float, words: str) -> None:
    assert size_in_words(count) == words
