import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from bench.errors import BenchError
from bench.metrics.predictions import read_predictions
from bench.metrics.score import score_frame

DATA = Path(__file__).parent / "data"


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"dataset": "set", "label": [0, 0, 1], "prediction": [0, 1, 1], **columns})


def test_the_authors_confusion_matrices_give_all_their_logged_scores() -> None:
    published = pd.read_csv(DATA / "official_metrics.csv").set_index(["method", "variant", "prompt_set", "dataset"])

    scores = score_frame(read_predictions(DATA / "official_confusions.csv.gz"))

    assert len(scores) == len(published) == 120
    for score in scores:
        uar, war = published.loc[(score.method, score.variant, score.prompt_set, score.dataset)]
        assert round(score.uar, 2) == pytest.approx(uar, abs=1e-9)
        assert round(score.war, 2) == pytest.approx(war, abs=1e-9)
    assert {score.dataset for score in scores if len(score.folds) == 5} == {"dfew", "mafw"}


def test_each_run_and_dataset_is_scored_on_its_own_in_the_order_of_the_file() -> None:
    rows = frame(method=["b", "b", "a"], variant=["x=1", "x=2", "x=1"], prompt_set="P-1", seed=[2, 2, 1])

    scores = score_frame(rows)

    assert [(s.method, s.variant, s.seed, s.war) for s in scores] == [
        ("b", "x=1", 2, 100.0),
        ("b", "x=2", 2, 0.0),
        ("a", "x=1", 1, 100.0),
    ]


def test_two_protocols_of_one_method_are_not_pooled() -> None:
    scores = score_frame(frame(protocol=["paper", "native", "paper"]))

    assert [(s.protocol, s.n) for s in scores] == [("paper", 2), ("native", 1)]


def test_folds_are_averaged_and_kept() -> None:
    (score,) = score_frame(frame(fold=["2", "1", "1"]))

    assert [(fold.fold, fold.war, fold.n) for fold in score.folds] == [("2", 100.0, 1), ("1", 50.0, 2)]
    assert (score.war, score.n) == (75.0, 3)


def test_missing_fold_column_is_one_fold() -> None:
    (score,) = score_frame(frame())

    assert [fold.fold for fold in score.folds] == ["1"]
    assert (score.method, score.variant, score.prompt_set, score.seed) == (None, None, None, None)


def test_counts_stand_for_equal_rows() -> None:
    (counted,) = score_frame(frame(count=[4, 1, 2]))
    (written_out,) = score_frame(frame().loc[[0, 0, 0, 0, 1, 2, 2]])

    assert counted == written_out
    assert counted.n == 7


def test_names_and_their_indices_give_the_same_scores() -> None:
    classes = {"set": ["happiness", "sadness", "fear"]}
    named = frame().replace({0: "happiness", 1: "sadness"})

    assert score_frame(named, classes) == score_frame(frame(), classes)
    (stated,), (spoken,) = score_frame(named, classes), score_frame(named)
    assert dataclasses.replace(stated, notes=()) == spoken
    assert stated.notes == ("fold 1 has no sample of fear: left out of the mean recall",)


def test_an_answer_without_a_class_counts_as_wrong_and_is_told() -> None:
    (score,) = score_frame(frame(prediction=[0, -1, 1]))
    (named,) = score_frame(frame(label=["a", "a", "b"], prediction=["a", "-1", "b"]))

    assert (score.war, score.no_class) == (pytest.approx(200 / 3), 1)
    assert (named.uar, named.no_class) == (75.0, 1)


def test_a_predicted_name_that_no_sample_has_is_told() -> None:
    (score,) = score_frame(frame(label=["joy", "joy", "fear"], prediction=["joy", "happy", "fear"]))

    assert score.notes == ("predicted, but no sample's label: happy",)


def test_a_score_goes_into_json_and_back() -> None:
    (score,) = score_frame(frame(seed=[3, 3, 3]))

    read = json.loads(json.dumps(score.as_dict()))

    assert (read["uar"], read["seed"], read["n"]) == (75.0, 3, 3)
    assert read["folds"] == [{"fold": "1", "uar": 75.0, "war": pytest.approx(200 / 3), "n": 3}]
    assert read["war_interval"] == list(score.war_interval)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"label": [0, 0, 9]}, r"row 2: the label 9 is not a class\n  fix: indices are 0..2"),
        ({"label": [0, -1, 0]}, r"row 1: the label -1 is not a class"),
        ({"prediction": [0, 3, 0]}, r"row 1: the prediction 3 is not a class"),
        ({"prediction": ["fear", "sadnes", "-1"]}, r"row 1: the prediction 'sadnes' .*did you mean 'sadness'"),
    ],
)
def test_a_value_outside_the_given_classes_is_named(columns: dict[str, object], expected: str) -> None:
    with pytest.raises(BenchError, match=f"(?s){expected}"):
        score_frame(frame(**columns), {"set": ["happiness", "sadness", "fear"]})


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"label": ["a", "a", "b"]}, "the index 0 stands among class names"),
        ({"label": ["Joy", "joy", "b"], "prediction": "b"}, "a class is written 'Joy' and 'joy'"),
        ({"sample": ["1", "2", "1"]}, r"row 2: sample '1' of set, fold 1, has a prediction already"),
        ({"fold": ["1", "2", "1"], "count": [1, 0, 1]}, "set, fold '2': there are no samples"),
    ],
)
def test_contradictions_are_errors(columns: dict[str, object], expected: str) -> None:
    with pytest.raises(BenchError, match=expected):
        score_frame(frame(**columns))


def test_a_sample_may_come_again_in_another_fold_or_run() -> None:
    scores = score_frame(frame(sample=["7", "7", "7"], fold=["1", "2", "1"], seed=[1, 1, 2]))

    assert [score.n for score in scores] == [2, 1]
