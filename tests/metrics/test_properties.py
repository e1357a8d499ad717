"""What holds for any predictions: the order of rows and names of classes change nothing, and counts are rows."""

from __future__ import annotations

import re
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


def as_table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["dataset", "label", "prediction", "count"], dtype=object)


def in_words(text: str) -> bool:
    """Whether a text can only be read as a name: neither a gap nor any number."""
    return text.strip() not in ("", "<NA>") and not re.fullmatch(
        r"[+-]?([\d.]*(e[+-]?\d+)?|nan|inf)", text.strip(), re.I
    )


printable = st.characters(exclude_categories=["Cs"])
names = st.text(printable, min_size=1, max_size=12).filter(in_words).map(str.strip)
name_lists = st.lists(names, min_size=1, max_size=6, unique_by=str.casefold)
index_lists = st.lists(st.integers(0, 40), min_size=1, max_size=6, unique=True)
sound_rows = st.tuples(st.lists(names, min_size=1, max_size=3), name_lists | index_lists).flatmap(
    lambda known: st.lists(
        st.tuples(
            st.sampled_from(known[0]),
            st.sampled_from(known[1]),
            st.sampled_from([*known[1], -1, "-1", -1.0]),
            st.integers(1, 5) | st.sampled_from(["2", "3.0", 4.0]),
        ),
        min_size=1,
        max_size=8,
    )
)


@quick
@given(sound_rows)
def test_whatever_names_and_indices_stand_in_a_sound_table_it_is_scored(drawn: list[tuple[Any, ...]]) -> None:
    groups = score_frame(tidy(as_table(drawn)))
    assert [group.dataset for group in groups] == list(dict.fromkeys(dataset for dataset, *_ in drawn))
    assert sum(group.n for group in groups) == sum(int(float(count)) for *_, count in drawn)
    for group in groups:
        own = [(label, said, int(float(count))) for dataset, label, said, count in drawn if dataset == group.dataset]
        right = sum(count for label, said, count in own if said == label)
        assert group.war == pytest.approx(100 * right / group.n)
        assert group.no_class == sum(count for _, said, count in own if said in (-1, "-1"))
        assert 0 <= group.uar <= 100 and (group.uar == pytest.approx(100)) == (right == group.n)


# What a table is refused for, and what puts it there: the column, and what takes the place of a sound value in it.
FAULTS = {
    "is empty": ((0, 1, 2, 3), st.sampled_from([None, float("nan"), "", "  ", "nan", "<NA>"])),
    "is neither a class index nor a name": ((1, 2), st.sampled_from([0.5, "1e3", ".5", float("inf"), "-inf"])),
    "is a number beyond all counting": ((1, 2, 3), st.sampled_from([10**15, "1" * 400, 10**30])),
    "would make more than 1000 classes": ((1, 2), st.integers(1000, 10**15 - 1)),
    "is not a whole number of 0 or more": ((3,), st.sampled_from([-1, "-2.0", 0.5, "many", float("inf")])),
    "is not a class": ((1,), st.integers(-40, -1)),
    "stands among class names": ((1, 2), names),
}


@pytest.mark.parametrize("said", FAULTS)
@quick
@given(st.data())
def test_a_table_with_one_fault_is_refused_for_that_fault(said: str, data: st.DataObject) -> None:
    columns_of_fault, values = FAULTS[said]
    table = data.draw(
        st.lists(
            st.tuples(*[st.sampled_from(["raf-db"]), *2 * [st.integers(0, 6)], st.integers(1, 5)]),
            min_size=2,
            max_size=6,
        )
    )
    row, column = data.draw(st.integers(0, len(table) - 1)), data.draw(st.sampled_from(columns_of_fault))
    faulty = list(table[row])
    faulty[column] = data.draw(values)
    table[row] = tuple(faulty)
    with pytest.raises(BenchError) as refused:
        score_frame(tidy(as_table(table)))
    assert said in refused.value.what


cells = (
    st.text(max_size=12)
    | st.integers()
    | st.floats()
    | st.none()
    | st.sampled_from(["1" * 400, "²", "-1", "1.0", "nan"])
)
REFUSALS = (*FAULTS, "is written", "has no rows", "there are no samples to score")


@quick
@given(st.lists(st.tuples(cells, cells, cells, cells), max_size=6))
def test_whatever_stands_in_a_table_is_scored_or_refused(drawn: list[tuple[Any, ...]]) -> None:
    """Almost all of these are refused, each for one of the known reasons; the sound ones have a test of their own."""
    frame = as_table(drawn)
    try:
        groups = score_frame(tidy(frame))
    except BenchError as refused:
        assert any(reason in refused.what for reason in REFUSALS), refused.what
        return
    assert all(0 <= score <= 100 for group in groups for score in (group.uar, group.war))
    assert np.isfinite([group.uar for group in groups]).all()
