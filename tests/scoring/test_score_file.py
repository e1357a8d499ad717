"""`bench score` on files of other tools: what is not a class is named, what is accepted is told, nothing is guessed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest


@pytest.fixture
def score(bench: Any, tmp_path: Path) -> Any:
    """`bench score` on a text, with the file's name `mine.csv`."""

    def call(text: str, *args: str) -> Any:
        file = tmp_path / "mine.csv"
        file.write_text(text, encoding="utf-8")
        return bench("score", file, *args)

    return call


SYNONYMS = "dataset,label,prediction\nraf-db,Happiness,happy\nraf-db,Sadness,sad\n"


def test_words_that_are_not_classes_are_all_named_with_the_near_ones(score: Any) -> None:
    answer = score("dataset,label,prediction\nraf-db,happiness,happines\nraf-db,sadness,bored\n")
    assert answer.code == 2 and "not classes of raf-db" in answer.err
    assert "'happines' (line 2, near 'happiness')" in answer.err and "'bored' (line 3)" in answer.err
    assert score(SYNONYMS).code == 2


def test_synonyms_are_accepted_where_asked_for_and_what_they_were_taken_for_is_told(score: Any) -> None:
    answer = score(SYNONYMS, "--aliases", "basic-emotions", "--json")
    assert answer.code == 0 and json.loads(answer.out)[0]["war"] == 100.0
    assert "raf-db: 'happy' is taken for 'happiness'" in answer.err


def test_a_word_that_means_no_class_of_the_set_is_refused_with_synonyms_too(score: Any) -> None:
    answer = score("dataset,label,prediction\nraf-db,happiness,contempt\n", "--aliases", "basic-emotions")
    assert answer.code == 2 and "'contempt'" in answer.err


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_semicolons_and_tabs_separate_as_commas_do(score: Any, separator: str) -> None:
    text = "dataset,label,prediction\nraf-db,happiness,happiness\nraf-db,anger,fear\n".replace(",", separator)
    (group,) = json.loads(score(text, "--json").out)
    assert (group["dataset"], group["war"]) == ("raf-db", 50.0)


def test_a_file_without_a_dataset_is_one_set_that_can_be_named(score: Any) -> None:
    text = "sample,label,prediction\na,happiness,happiness\nb,sadness,happiness\n"
    assert json.loads(score(text, "--json").out)[0]["dataset"] == "mine"
    assert json.loads(score(text, "--dataset", "raf-db", "--json").out)[0]["dataset"] == "raf-db"
    refused = score("dataset,label,prediction\nraf-db,fear,fear\n", "--dataset", "raf-db")
    assert refused.code == 2 and "has a column 'dataset' already" in refused.err


def test_numbered_labels_of_a_known_set_need_their_order_and_it_is_told(score: Any) -> None:
    text = "dataset,label,prediction\nraf-db,0,0\nraf-db,1,1\n"
    refused = score(text)
    assert refused.code == 2 and "--classes card" in refused.err and "happiness, sadness, neutral" in refused.err
    by_card = score(text, "--classes", "card")
    assert "raf-db: classes in the order of the labels: happiness, sadness, neutral" in by_card.err
    own = score(text, "--classes", "surprise,fear,disgust,happiness,sadness,anger,neutral")
    assert own.code == 0 and "order of the labels: surprise, fear" in own.err
    assert score("dataset,label,prediction\nd,0,0\nd,1,1\n").code == 0  # nobody knows another order of it


def test_answers_in_words_are_read_by_the_rule_of_generators(score: Any) -> None:
    text = (
        'dataset,label,said\nraf-db,happiness,"She looks happy, not sad."\n'
        "raf-db,anger,I cannot tell.\nraf-db,fear,anger\n"
    )
    answer = score(text, "--answers", "said", "--json")
    (group,) = json.loads(answer.out)
    assert (group["n"], group["no_class"], round(group["war"], 2)) == (3, 1, 33.33)
    assert "raf-db: 1 answer of 3 named no class" in answer.err
    exact = json.loads(score(text, "--answers", "said", "--parser", "exact", "--json").out)[0]
    assert (exact["n"], exact["no_class"], exact["war"]) == (3, 2, 0.0)


def test_a_class_without_samples_is_told(score: Any) -> None:
    answer = score("dataset,label,prediction\nraf-db,happiness,happiness\n")
    assert "fold 1 has no sample of sadness, neutral, anger, surprise, disgust, fear" in answer.err


def test_a_records_own_predictions_need_no_order(world: Any) -> None:
    world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-faces")
    file = world.records()[-1] / "predictions.parquet"
    answer = world.call("score", file, "--cards", world.root / "cards", "--json")
    assert answer.code == 0, answer.err
    metrics = pd.read_csv(world.records()[-1] / "metrics.csv")
    assert json.loads(answer.out)[0]["uar"] == pytest.approx(metrics["uar"].iloc[-1], abs=1e-6)


def test_the_time_for_answers_grows_with_their_length_alone(score: Any) -> None:
    begun = time.monotonic()
    for words in ("happy or ", "sad ", "very ", "not happy or "):
        answer = score(
            f"dataset,label,said\nraf-db,happiness,{words * 100_000}sad\nraf-db,sadness,sad\n", "--answers", "said"
        )
        assert answer.code == 0, answer.err
    assert time.monotonic() - begun < 30


def test_more_classes_than_anybody_has_end_in_an_error(score: Any) -> None:
    rows = "".join(f"mine,word {number},word {number}\n" for number in range(33_000))
    answer = score(f"dataset,label,prediction\n{rows}")
    assert (
        answer.code == 2
        and "33000 class names, more than 1000: 'word 0', " in answer.err
        and "right columns" in answer.err
    )
    answer = score("dataset,label,prediction\nmine,999999999,0\n")
    assert answer.code == 2 and "999999999" in answer.err
