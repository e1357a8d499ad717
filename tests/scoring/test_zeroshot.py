"""The scoring rules, against the plain formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.heads.heads import LinearHead
from bench.scoring.zeroshot import TIE, decide, logits, pool, prototypes, unit

RULES = ("mean-logits", "mean-embeddings", "mean-normalized-embeddings")


def made(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def plain(z: Any, texts: list[Any], combine: str, scale: float) -> Any:
    """The three rules written out, one sample, class and prompt at a time, in float64."""
    scores = np.zeros((len(z), len(texts)))
    for n, sample in enumerate(z.astype(np.float64)):
        sample = sample / np.linalg.norm(sample)
        for k, prompts in enumerate(texts):
            rows = prompts.astype(np.float64)
            units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            if combine == "mean-logits":
                scores[n, k] = np.mean([scale * sample @ row for row in units])
            else:
                mean = rows.mean(0) if combine == "mean-embeddings" else units.mean(0)
                scores[n, k] = scale * sample @ (mean / np.linalg.norm(mean))
    return scores


@pytest.mark.parametrize("combine", RULES)
@pytest.mark.parametrize("with_head", [False, True])
def test_scores_follow_the_formulas(combine: Any, with_head: bool) -> None:
    frames, texts = made(0, 6, 4, 16), [made(1, 3, 16), made(2, 5, 16), made(3, 1, 16)]
    head = LinearHead(made(4, 40, 16)) if with_head else None
    compared = texts if head is None else [head.project(text) for text in texts]
    found = logits(pool(frames, head), compared, head, combine=combine, similarity="cosine", scale=100.0)
    if head is None:
        expected = plain(frames.mean(1), texts, combine, 100.0)
    else:
        projected = (frames.astype(np.float64) @ head.weight.T).mean(1)
        expected = plain(projected, [text @ head.weight.T for text in texts], combine, 100.0)
    assert np.allclose(found, expected, atol=2e-4)


def test_a_plain_dot_product_normalises_nothing() -> None:
    pooled, texts = made(0, 5, 8), [made(1, 2, 8), made(2, 2, 8)]
    found = logits(pooled, texts, None, combine="mean-logits", similarity="dot", scale=1.0)
    assert np.allclose(found, np.stack([pooled @ text.mean(0) for text in texts], 1), atol=1e-5)


def test_the_three_rules_agree_on_one_prompt_a_class() -> None:
    texts = [made(seed, 1, 8) for seed in range(4)]
    first, *others = [prototypes(texts, rule, "cosine") for rule in RULES]  # type: ignore[arg-type]
    assert all(np.allclose(first, other, atol=1e-6) for other in others)


class Squaring:
    linear = False

    def project(self, embeddings: Any) -> Any:
        return embeddings**2


def test_a_head_that_is_not_linear_is_applied_a_frame_at_a_time() -> None:
    frames = made(0, 3, 4, 8)
    assert np.allclose(pool(frames, Squaring()), (frames**2).mean(1), atol=1e-6)


def test_ties_go_to_the_first_class() -> None:
    scores = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0], [20.0, 20.0 + 20 * TIE / 4, 0.0]], np.float32)
    assert decide(scores).tolist() == [1, 0, 0]


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), noise=st.floats(-1, 1))
def test_rounding_of_the_towers_moves_no_decision_that_was_a_tie(seed: int, noise: float) -> None:
    scores = made(seed, 20, 5)
    scores[:, 3] = scores[:, 1]
    shaken = scores.copy()
    shaken[:, 3] += np.float32(noise * TIE / 4)
    assert decide(scores).tolist() == decide(shaken).tolist()


def test_a_vector_of_zeros_stays_one() -> None:
    assert unit(np.zeros((1, 4), np.float32)).tolist() == [[0.0] * 4]
