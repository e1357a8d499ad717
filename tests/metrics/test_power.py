"""How many samples a difference needs, against running the test many times."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bench.errors import BenchError
from bench.metrics.accuracy import confusion
from bench.metrics.intervals import intervals
from bench.metrics.paired import mcnemar
from bench.metrics.power import detectable, effective_samples, mcnemar_power, needed, standard_errors


def test_balanced_classes_make_uar_worth_all_samples() -> None:
    worth = effective_samples([[50, 50, 50]])
    assert worth.uar == pytest.approx(150) and worth.war == pytest.approx(150)


def test_a_class_of_few_makes_uar_worth_few_and_folds_add_up() -> None:
    one = effective_samples([[900, 10]])
    assert one.uar < 40 and one.war == pytest.approx(910)
    five = effective_samples([[900, 10]] * 5)
    assert five.uar == pytest.approx(5 * one.uar) and five.war == pytest.approx(5 * 910)


def test_what_is_detectable_needs_just_the_samples_there_are() -> None:
    for samples, discordance in ((381, 0.2), (3000, 0.1), (9000, 0.4)):
        least = detectable(samples, discordance)
        assert least is not None
        assert needed(least, discordance) == pytest.approx(samples, rel=1e-6)


def test_a_set_too_small_for_any_difference_says_so() -> None:
    assert detectable(10, 0.1) is None


def test_the_samples_needed_give_the_power_asked_for() -> None:
    for difference, discordance in ((0.05, 0.2), (0.03, 0.1), (0.1, 0.4)):
        samples = round(needed(difference, discordance))
        assert mcnemar_power(samples, difference, discordance) == pytest.approx(0.8, abs=0.04)


def test_the_exact_power_is_how_often_the_test_finds_it() -> None:
    rng = np.random.default_rng(0)
    samples, difference, discordance = 150, 0.1, 0.25
    better, worse = (discordance + difference) / 2, (discordance - difference) / 2
    drawn = rng.multinomial(samples, [better, worse, 1 - discordance], 3000)
    found = np.mean([mcnemar(int(lost), int(gained)) <= 0.05 for lost, gained, _ in drawn])
    assert mcnemar_power(samples, difference, discordance) == pytest.approx(found, abs=0.03)


def test_without_a_difference_to_speak_of_the_test_keeps_its_level() -> None:
    assert mcnemar_power(400, 1e-9, 0.2) < 0.05


def test_standard_errors_are_those_of_the_bootstrap() -> None:
    sizes = [400, 100, 40]
    labels = np.repeat(range(3), sizes)
    said = np.concatenate(
        [
            np.r_[np.full(size // 2, label), np.full(size - size // 2, (label + 1) % 3)]
            for label, size in enumerate(sizes)
        ]
    )
    drawn = intervals([confusion(labels, said, 3)])
    errors = standard_errors([sizes], 50.0, 50.0)
    assert (drawn.uar.high - drawn.uar.low) / 2 == pytest.approx(1.96 * errors.uar, rel=0.03)
    assert (drawn.war.high - drawn.war.low) / 2 == pytest.approx(1.96 * errors.war, rel=0.03)


@pytest.mark.parametrize("wrong", [(0.0, 0.2), (0.3, 0.2), (0.1, 1.2)])
def test_a_difference_that_cannot_be_is_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(BenchError, match="a difference of"):
        needed(*wrong)


def test_the_command_shows_every_test_set_and_what_a_difference_needs(bench: Any) -> None:
    answer = bench("power")
    assert answer.code == 0 and "AFEW" in answer.out and "CAER" not in answer.out
    facts = json.loads(
        bench("power", "--dataset", "ferplus,afew", "--difference", "3", "--discordance", "20", "--json").out
    )
    found = {(fact["dataset"], fact["metric"]): fact for fact in facts["sets"]}
    assert found["ferplus", "war"]["cases"][0]["samples_needed"] == pytest.approx(needed(0.03, 0.2), abs=2)
    assert (
        found["ferplus", "uar"]["cases"][0]["samples_needed"]
        > 5 * found["ferplus", "war"]["cases"][0]["samples_needed"]
    )
    assert found["afew", "war"]["cases"][0]["detectable"] == pytest.approx(6.4, abs=0.05)
    more = json.loads(bench("power", "--dataset", "afew", "--comparisons", "16", "--json").out)["sets"]
    assert more[0]["cases"][1]["detectable"] > 6.5


def test_a_set_without_class_counts_is_refused(bench: Any) -> None:
    answer = bench("power", "--dataset", "caer-s")
    assert answer.code == 2 and "no class counts" in answer.err
