import doctest
import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix

import bench.metrics.accuracy
from bench.errors import BenchError
from bench.metrics.accuracy import FoldScores, Scores, confusion, over_seeds, score_fold, summarise, uar, war


def test_the_examples_in_the_documentation_are_right() -> None:
    assert doctest.testmod(bench.metrics.accuracy).failed == 0


def test_confusion_counts_labels_in_rows_and_unusable_answers_in_the_last_column() -> None:
    matrix = confusion([0, 0, 1, 2, 2, 2], [0, 1, 1, -1, 2, -1], classes=4)

    assert matrix.tolist() == [[1, 1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 2], [0, 0, 0, 0, 0]]


def test_counts_weigh_as_many_equal_rows() -> None:
    labels, predictions, counts = [0, 1, 1], [0, 0, 1], [3, 0, 2]

    weighted = confusion(labels, predictions, 2, counts)

    assert (weighted == confusion(np.repeat(labels, counts), np.repeat(predictions, counts), 2)).all()


def test_an_answer_without_a_class_is_wrong_and_stays_in_the_denominator() -> None:
    matrix = confusion([0, 0, 0, 1], [0, -1, -1, 1], classes=2)

    assert war(matrix) == pytest.approx(50.0)
    assert uar(matrix) == pytest.approx((100 / 3 + 100) / 2)


def test_a_class_without_samples_is_left_out_of_uar() -> None:
    matrix = confusion([0, 0, 2, 2], [0, 1, 2, 2], classes=5)

    assert uar(matrix) == pytest.approx(75.0)


@pytest.mark.parametrize("seed", range(8))
def test_scores_equal_scikit_learn_on_random_predictions_with_missing_classes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 12))
    present = rng.choice(classes, size=int(rng.integers(1, classes + 1)), replace=False)
    labels = rng.choice(present, size=int(rng.integers(1, 400)))
    predictions = np.where(rng.random(len(labels)) < 0.4, labels, rng.integers(0, classes, len(labels)))

    matrix = confusion(labels, predictions, classes)

    assert (matrix[:, :-1] == confusion_matrix(labels, predictions, labels=range(classes))).all()
    assert war(matrix) == pytest.approx(100 * accuracy_score(labels, predictions))
    with warnings.catch_warnings(action="ignore"):  # scikit-learn warns of a class that is only predicted
        assert uar(matrix) == pytest.approx(100 * balanced_accuracy_score(labels, predictions))


def test_a_fold_with_a_single_class_has_that_class_recall_as_its_uar() -> None:
    fold = score_fold("3", confusion([1, 1, 1, 1], [1, 1, 1, 0], classes=7))

    assert fold == FoldScores("3", uar=75.0, war=75.0, n=4)


def test_folds_are_averaged_without_weights() -> None:
    small, large = FoldScores("1", 10.0, 20.0, n=1), FoldScores("2", 30.0, 60.0, n=9999)

    assert summarise([small, large]) == Scores(20.0, 40.0)


def test_seeds_are_averaged_with_their_population_deviation() -> None:
    result = over_seeds([Scores(10.0, 1.0), Scores(20.0, 1.0), Scores(30.0, 4.0)])

    assert (result.uar, result.war) == (pytest.approx(20.0), pytest.approx(2.0))
    assert result.uar_std == pytest.approx(np.std([10, 20, 30]))
    assert result.war_std == pytest.approx(np.sqrt(2.0))


def test_a_single_seed_has_no_deviation() -> None:
    assert over_seeds([Scores(10.0, 1.0)]) == Scores(10.0, 1.0)


@pytest.mark.parametrize(
    ("labels", "predictions", "counts", "expected"),
    [
        ([0, 3], [0, 0], None, r"label 3 of sample 1 is outside the 3 classes"),
        ([0, -1], [0, 0], None, r"label -1 of sample 1"),
        ([0, 1], [0, -2], None, r"prediction -2 of sample 1 .*or -1 for an answer"),
        ([0, 1], [0], None, r"2 labels, 1 predictions"),
        ([0, 1], [0, 1], [1, -4], r"a count is -4"),
        ([0.5, 1.0], [0, 1], None, r"labels: float64"),
    ],
)
def test_wrong_input_is_named(
    labels: list[int], predictions: list[int], counts: list[int] | None, expected: str
) -> None:
    with pytest.raises(BenchError, match=f"(?s){expected}"):
        confusion(labels, predictions, 3, counts)


def test_nothing_to_score_is_an_error_and_not_nan() -> None:
    with pytest.raises(BenchError, match="fold 'b': there are no samples to score"):
        score_fold("b", confusion([], [], 3))
    with pytest.raises(BenchError, match="no folds"):
        summarise([])
    with pytest.raises(BenchError, match="no runs"):
        over_seeds([])


def test_a_square_matrix_is_refused_since_its_last_class_would_be_taken_for_no_class() -> None:
    with pytest.raises(BenchError, match=r"shape \(2, 2\)"):
        war([[1, 0], [0, 1]])
