"""What holds for any predictions: the order of rows and names of classes change nothing, and counts are rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.metrics.accuracy import confusion, score_fold, uar, war
from bench.metrics.predictions import tidy
from bench.metrics.score import score_frame

rows = st.integers(2, 6).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(
            st.tuples(st.integers(0, classes - 1), st.integers(-1, classes - 1), st.integers(1, 4)),
            min_size=1,
            max_size=40,
        ),
    )
)
quick = settings(max_examples=50)


def columns(pairs: list[tuple[int, int, int]]) -> tuple[list[int], list[int], list[int]]:
    labels, said, counts = (list(column) for column in zip(*pairs, strict=True))
    return labels, said, counts


@given(rows)
def test_scores_are_percentages_that_only_full_marks_bring_to_a_hundred(drawn: Any) -> None:
    classes, pairs = drawn
    labels, said, counts = columns(pairs)
    matrix = confusion(labels, said, classes, counts)
    assert matrix.sum() == sum(counts)
    for score in (uar(matrix), war(matrix)):
        assert 0 <= score <= 100
        assert (score == pytest.approx(100)) == (labels == said)


@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_and_of_classes_changes_no_score(drawn: Any, draw: Any) -> None:
    classes, pairs = drawn
    before = score_fold("1", confusion(*columns(pairs)[:2], classes))
    places = list(range(classes))
    draw.shuffle(places)
    draw.shuffle(pairs)
    turned = [(places[label], places[said] if said >= 0 else -1, count) for label, said, count in pairs]
    after = score_fold("1", confusion(*columns(turned)[:2], classes))
    assert (after.uar, after.war, after.n) == (pytest.approx(before.uar), pytest.approx(before.war), before.n)


@given(rows)
def test_one_more_right_answer_never_lowers_a_score(drawn: Any) -> None:
    classes, pairs = drawn
    labels, said, _ = columns(pairs)
    before = confusion(labels, said, classes)
    wrong = [spot for spot, (label, answer) in enumerate(zip(labels, said, strict=True)) if label != answer]
    for spot in wrong[:3]:
        said[spot] = labels[spot]
        after = confusion(labels, said, classes)
        assert war(after) > war(before) and uar(after) > uar(before)
        before = after


@quick
@given(rows)
def test_a_table_with_counts_scores_as_one_with_as_many_rows(drawn: Any) -> None:
    _, pairs = drawn
    names = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust")
    short = pd.DataFrame(
        [("raf-db", names[label], names[said] if said >= 0 else -1, count) for label, said, count in pairs],
        columns=["dataset", "label", "prediction", "count"],
    )
    long = short.loc[short.index.repeat(short["count"])].drop(columns="count").reset_index(drop=True)
    (one,), (two,) = (score_frame(frame) for frame in (short, long))
    assert (one.uar, one.war, one.n, one.no_class) == (two.uar, two.war, two.n, two.no_class)


cells = (
    st.text(max_size=12)
    | st.integers()
    | st.floats()
    | st.none()
    | st.sampled_from(["1" * 400, "²", "-1", "1.0", "nan"])
)


@quick
@given(st.lists(st.tuples(cells, cells, cells, cells), max_size=6))
def test_whatever_stands_in_a_table_is_scored_or_refused(drawn: list[tuple[Any, ...]]) -> None:
    frame = pd.DataFrame(drawn, columns=["dataset", "label", "prediction", "count"], dtype=object)
    try:
        groups = score_frame(tidy(frame))
    except BenchError:
        return
    assert all(0 <= score <= 100 for group in groups for score in (group.uar, group.war))
    assert np.isfinite([group.uar for group in groups]).all()
