"""At its end a run says what it waited for most, and what would change that."""

from __future__ import annotations

import pytest
from plain_method import ADAPTER, write_method
from small_world import World

from bench.engine import groups
from bench.engine.groups import Outcome


@pytest.mark.parametrize(
    ("outcome", "limit"),
    [
        (Outcome(seconds=30, waited=9, kept=1), "the limit: the towers, 75% of 40 s (reading and decoding 22%"),
        (Outcome(seconds=3, waited=16, kept=1), "the limit: reading and decoding, 80% of 20 s"),
        (Outcome(seconds=3, waited=1, kept=16), "the limit: the store's disk, 80% of 20 s"),
        (Outcome(seconds=3), ""),
    ],
)
def test_the_slowest_part_is_named_with_what_makes_it_faster(outcome: Outcome, limit: str) -> None:
    assert outcome.limit.startswith(limit) and bool(limit) == bool(outcome.limit)


def test_a_slow_network_is_the_limit_of_its_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = ADAPTER.replace(
        "        return pixels.flatten(1)", "        __import__('time').sleep(0.2)\n        return pixels.flatten(1)"
    )
    write_method(world.root / "cards", adapter=slow)
    monkeypatch.setattr(groups, "SHORTEST", 0.1)
    answer = world.run("--methods", "plain", "--datasets", "tiny-faces", "--device", "cpu", "--batch", "4")
    assert answer.code == 0 and "the limit: the towers, " in answer.err
