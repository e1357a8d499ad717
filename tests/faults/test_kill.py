"""SIGKILL at any moment, then a restart: the same numbers, no half files, nothing finished done twice.

A few moments by default; `KILLS=50` draws fifty. The same ones every time, as parts of a whole run's time or rows.
"""

from __future__ import annotations

import os
import random
import time
from multiprocessing.process import BaseProcess

import pytest
from places import Place, Whole, encoded, results

KILLS = int(os.environ.get("KILLS", "2"))


def wait(process: BaseProcess, place: Place, whole: Whole, number: int) -> None:
    """Until the moment of that number: now a part of the whole run's time, now a part of its rows."""
    part = random.Random(number).random()
    begun = time.monotonic()
    while process.is_alive():
        if number % 2 and time.monotonic() - begun >= part * whole.seconds:
            return
        if not number % 2 and place.rows_stored() >= part * whole.encoded:
            return
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_goes_on_where_it_was(place: Place, whole: Whole, number: int) -> None:
    process = place.start()
    wait(process, place, whole, number)
    process.kill()
    process.join()
    kept = place.rows_stored()
    assert bool(place.records()) <= (kept == whole.encoded)

    record = place.run()
    assert encoded(record) == whole.encoded - kept
    assert results(record) == whole.results
    assert place.left_over() == []
    assert not (place.store / "broken").exists()


@pytest.mark.slow
@pytest.mark.skipif(KILLS < 10, reason="KILLS=50 includes it")
def test_a_run_that_is_killed_again_and_again_ends_all_the_same(place: Place, whole: Whole) -> None:
    for kept in (100, 200):
        process = place.start()
        while process.is_alive() and place.rows_stored() < kept:
            time.sleep(0.005)
        process.kill()
        process.join()
    kept = place.rows_stored()
    record = place.run()
    assert encoded(record) == whole.encoded - kept < whole.encoded
    assert results(record) == whole.results
    assert place.left_over() == []


@pytest.mark.slow
def test_two_runs_share_a_store_and_a_folder_at_the_same_time(place: Place, whole: Whole) -> None:
    both = [place.start(), place.start()]
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0], place.said
    assert len(place.records()) == 2
    assert sum(encoded(record) for record in place.records()) == whole.encoded == place.rows_stored()
    for record in place.records():
        assert results(record) == whole.results
    assert place.left_over() == []
