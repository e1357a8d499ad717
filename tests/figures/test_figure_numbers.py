"""The numbers behind each figure, against hand-made cases and independent computations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench.errors import BenchError
from bench.figures.confusions import percentages
from bench.figures.embedding_map import points
from bench.figures.probabilities import median_samples
from bench.figures.retrieval import precision_at
from bench.figures.style import short_names
from bench.figures.variances import variances
from bench.run.features import Features


def features(vectors: object, labels: object) -> Features:
    rows = np.asarray(vectors, np.float32)
    return Features(rows, np.asarray(labels, np.int64), tuple(map(str, range(len(rows)))))


def clouds(seed: int, count: int = 40) -> Features:
    """Three well separated classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    return features(np.eye(3)[labels] * 4 + rng.normal(0, 0.1, (count, 3)), labels)


def test_maps_keep_separate_classes_apart_and_are_the_same_each_time() -> None:
    one, two = points(clouds(0)), points(clouds(0))
    assert np.array_equal(one.at, two.at) and one.at.shape == (40, 2)
    assert one.neighbours == 1.0
    centres = np.stack([one.at[one.labels == label].mean(axis=0) for label in range(3)])
    spread = max(one.at[one.labels == label].std() for label in range(3))
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(centres, 2)) > spread


def test_the_share_of_like_neighbours_is_counted_among_the_features() -> None:
    angles = np.deg2rad([0, 1, 90, 91, 180, 182])
    found = points(features(np.stack([np.cos(angles), np.sin(angles)], axis=1), [0, 0, 1, 1, 0, 1]))
    assert found.neighbours == pytest.approx(4 / 6)


def test_a_map_of_three_samples_is_refused() -> None:
    with pytest.raises(BenchError, match="too few"):
        points(features(np.eye(3), [0, 1, 2]))


def test_variance_is_a_share_of_the_whole_and_does_not_see_length() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], float)
    labels = [0, 0, 1, 1]
    # Class 0 has squared distances of a half from its middle; all four have 3/8 on average.
    assert variances(features(vectors, labels), 3) == pytest.approx([0.5 / 0.375, 0.0, np.nan], nan_ok=True)
    scaled = vectors * np.array([[1], [7], [0.1], [30]])
    assert variances(features(scaled, labels), 3) == pytest.approx([0.5 / 0.375, 0.0, np.nan], nan_ok=True, abs=1e-6)


def test_weighted_class_variances_never_exceed_the_whole() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    found = variances(features(rng.normal(size=(200, 9)), labels), 4)
    assert float((found * np.bincount(labels) / 200).sum()) <= 1.0


def test_percentages_are_of_each_true_class_and_drop_an_empty_last_column() -> None:
    matrix = np.array([[3, 1, 0], [0, 0, 0]])
    assert percentages(matrix) == pytest.approx(np.array([[75.0, 25.0], [np.nan, np.nan]]), nan_ok=True)
    assert percentages(np.array([[3, 0, 1], [0, 1, 0]])).shape == (2, 3)


def test_precision_at_k_by_hand() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.1, 0.2, 0.3, 0.4]])
    relevant = np.array([[True, False, True, False], [False, False, False, True]])
    assert precision_at(scores, relevant, [1, 2, 3, 4]).tolist() == pytest.approx([100, 50, 50, 37.5])


def test_precision_at_k_agrees_with_sorting() -> None:
    rng = np.random.default_rng(0)
    scores, relevant = rng.normal(size=(20, 30)), rng.random((20, 30)) < 0.2
    for k in (1, 7, 30):
        hits = [relevant[row, np.argsort(-scores[row])[:k]].mean() for row in range(20)]
        assert precision_at(scores, relevant, [k])[0] == pytest.approx(100 * np.mean(hits))


def test_ties_count_as_their_expectation_whatever_the_order_of_the_texts() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 3, (6, 5)).astype(float)
    relevant = rng.random((6, 5)) < 0.4
    orders = list(itertools.permutations(range(5)))
    for k in (1, 2, 3, 4):
        # The mean over every order of the texts, each sorted without regard to ties.
        found = [
            relevant[row, list(order)][np.argsort(-scores[row, list(order)], kind="stable")[:k]].mean()
            for order in orders
            for row in range(6)
        ]
        assert precision_at(scores, relevant, [k])[0] == pytest.approx(100 * np.mean(found))


@pytest.mark.parametrize(
    ("scores", "relevant", "k", "said"),
    [
        (np.ones((2, 3)), np.ones((2, 2), bool), 1, "shape"),
        (np.ones((0, 3)), np.ones((0, 3), bool), 1, "empty"),
        (np.full((1, 2), np.nan), np.ones((1, 2), bool), 1, "finite"),
        (np.ones((1, 2)), np.ones((1, 2), bool), 3, "k = 3"),
        (np.ones((1, 2)), np.ones((1, 2), bool), 0, "k = 0"),
    ],
)
def test_retrieval_refuses_what_cannot_be_ranked(scores: np.ndarray, relevant: np.ndarray, k: int, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        precision_at(scores, relevant, [k])


def test_the_median_sample_of_each_class_is_shown() -> None:
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.3, 0.7], [0.1, 0.9]])
    assert median_samples(shares, np.array([0, 1, 0, 0, 1])) == [2, 1]


def test_short_names_stay_distinct() -> None:
    names = ["happiness", "disgust", "disappointment", "fear", "fearful", "x"]
    assert short_names(names) == ["Hap", "Disg", "Disa", "Fear", "Fearf", "X"]
