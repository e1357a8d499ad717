"""Training heads: the formulas, the order, company, interruption, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.cards.head_training import Design, Schedule
from bench.errors import BenchError, DataError
from bench.heads.rows import ArrayRows, ArtifactRows, Positions, Rows, npy
from bench.heads.train import HeadToTrain, Trained, order, train
from bench.store.artifacts import Artifact, ArtifactKey, Store
from bench.store.digests import BYTES

LM = Design()
N, D, H, SCALE = 200, 12, 20, 20.0
QUICK = Schedule(epochs=3, batch=32, rate=0.05)


def world(seed: int = 0, count: int = N, width: int = D, height: int = H) -> tuple[Any, Any]:
    """Features, and targets that follow from them."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, width)).astype(np.float32)
    targets = np.tanh(features @ rng.normal(size=(width, height)) / 2).astype(np.float32)
    return features, targets


def job(name: str = "head", design: Design = LM, **changes: Any) -> HeadToTrain:
    features, targets = world()
    facts = {"features": ArrayRows("features", features), "targets": (ArrayRows("targets", targets),), "scale": SCALE}
    return HeadToTrain(name, design=design, **{**facts, **changes})


def same(a: Trained, b: Trained) -> bool:
    return np.array_equal(a.losses, b.losses) and all(np.array_equal(a.state[key], b.state[key]) for key in a.state)


def plain(
    features: Any, targets: Any, weight: Any, schedule: Schedule, seed: int, scale: float
) -> tuple[Any, list[float]]:
    """The symmetric loss, its gradient and the update, written out in float64 from their formulas."""
    velocity = np.zeros_like(weight)
    losses = []
    eye = np.eye(schedule.batch)
    for epoch in range(schedule.epochs):
        visited = np.random.default_rng([seed, epoch]).permutation(len(features))
        for start in range(0, len(features) - schedule.batch + 1, schedule.batch):
            x, t = features[visited[start : start + schedule.batch]], targets[visited[start : start + schedule.batch]]
            z = x @ weight.T
            length = np.linalg.norm(z, axis=1, keepdims=True)
            u, v = z / length, t / np.linalg.norm(t, axis=1, keepdims=True)
            raised = np.exp(scale * u @ v.T)
            rows, columns = raised / raised.sum(1, keepdims=True), raised / raised.sum(0)
            losses.append(-(np.log(rows.diagonal()) + np.log(columns.diagonal())).mean() / 2)
            by_u = scale / (2 * schedule.batch) * (rows + columns - 2 * eye) @ v
            by_z = (by_u - u * (u * by_u).sum(1, keepdims=True)) / length
            velocity = schedule.momentum * velocity + by_z.T @ x + schedule.decay * weight
            weight = weight - schedule.rate * velocity
    return weight, losses


def test_200_steps_are_those_of_the_formulas() -> None:
    schedule = Schedule(epochs=8, batch=64, rate=1e-3)
    features, targets = world(count=64 * 25 + 17, width=32, height=48)
    scale = 100.0
    found = train(
        [HeadToTrain("lm", ArrayRows("x", features), (ArrayRows("t", targets),), Design(), scale)], schedule, seed=3
    )["lm"]
    torch.manual_seed(3)
    start = torch.nn.Linear(32, 48, bias=False).weight.detach().numpy()
    x, t, w = (a.astype(np.float64) for a in (features, targets, start))
    expected, losses = plain(x, t, w, schedule, 3, scale)
    assert len(found.losses) == len(losses) == 200
    difference = np.linalg.norm(found.state["mlp.weight"] - expected)
    assert difference / np.linalg.norm(expected) < 1e-6
    assert difference / np.linalg.norm(expected - start) < 1e-5
    np.testing.assert_allclose(found.losses, losses, rtol=2e-5, atol=1e-6)


def test_the_first_loss_is_the_logarithm_of_the_batch_at_a_random_start() -> None:
    rng = np.random.default_rng(0)
    # As with CLIP and T5, embeddings of faces differ from one another by a fraction of what they share.
    features, targets = (
        (rng.normal(size=width) + 0.1 * rng.normal(size=(512, width))).astype(np.float32) for width in (768, 1024)
    )
    schedule = Schedule(epochs=1, batch=512, rate=1e-3)
    first = train(
        [HeadToTrain("lm", ArrayRows("x", features), (ArrayRows("t", targets),), Design(), 100.0)], schedule, 1
    )["lm"]
    assert first.losses[0] == pytest.approx(math.log(512), rel=0.02)


@pytest.mark.parametrize(
    "design", [Design(), Design(kind="mlp", hidden=16), Design(kind="transformer", heads=4, hidden=16)]
)
def test_every_design_learns(design: Design) -> None:
    losses = train([job(design=design)], Schedule(epochs=20, batch=32, rate=0.05), 1)["head"].losses
    assert losses[-6:].mean() < 0.5 * losses[:6].mean()


@pytest.mark.parametrize("loss", ["one-sided-contrastive", "squared-error"])
def test_every_loss_is_minimised(loss: str) -> None:
    losses = train([job(loss=loss)], Schedule(epochs=20, batch=32, rate=0.05), 1)["head"].losses
    assert losses[-6:].mean() < 0.9 * losses[:6].mean()


def test_the_order_changes_with_seed_and_epoch_and_visits_every_row_once() -> None:
    orders = [order(50, seed, epoch).tolist() for seed in (1, 2) for epoch in (0, 1)]
    assert all(sorted(visited) == list(range(50)) for visited in orders)
    assert len({tuple(visited) for visited in orders}) == 4


def test_a_head_is_the_same_alone_and_in_company() -> None:
    company = [job("a"), job("b", Design(kind="mlp", hidden=16)), job("c", loss="squared-error")]
    together = train(company, QUICK, 2)
    for one in company:
        assert same(train([one], QUICK, 2)[one.name], together[one.name])
    assert not same(train([job()], QUICK, 1)["head"], train([job()], QUICK, 2)["head"])


class Counted:
    """Rows that count how often they are read, and can fail at a given time."""

    def __init__(self, rows: Rows, fails_at: int = 0) -> None:
        self.rows, self.name, self.width = rows, rows.name, rows.width
        self.reads, self.fails_at = 0, fails_at

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Positions) -> Any:
        if len(positions) == QUICK.batch:
            self.reads += 1
            if self.reads == self.fails_at:
                raise KeyboardInterrupt
        return self.rows.take(positions)


def test_a_batch_of_a_source_is_read_once_however_many_heads_use_it() -> None:
    features, targets = world()
    x, t = Counted(ArrayRows("x", features)), Counted(ArrayRows("t", targets))
    train([job(name, features=x, targets=(t,)) for name in "abc"], QUICK, 1)
    assert x.reads == t.reads == QUICK.epochs * (N // QUICK.batch)


@pytest.mark.parametrize("every", [0.0, 1e9])
@pytest.mark.parametrize("stop", [1, 5, 9, 18])
def test_an_interrupted_training_ends_with_the_same_bits(stop: int, every: float, tmp_path: Path) -> None:
    company = [job("a"), job("b", Design(kind="transformer", heads=4, hidden=16))]
    whole = train(company, QUICK, 1)
    saved = tmp_path / "deep" / "training.ckpt"
    features = Counted(company[0].features, fails_at=stop)
    with pytest.raises(KeyboardInterrupt):
        train([job(one.name, one.design, features=features) for one in company], QUICK, 1, saved=saved, every=every)
    assert saved.exists() == (every == 0 and stop > 1)
    resumed = Counted(company[0].features)
    again = train([job(one.name, one.design, features=resumed) for one in company], QUICK, 1, saved=saved, every=every)
    assert all(same(whole[name], again[name]) for name in "ab")
    assert resumed.reads == len(whole["a"].losses) - (stop - 1 if every == 0 else 0)
    assert not list(tmp_path.rglob("*.ckpt*"))


def interrupted(saved: Path, **changes: Any) -> None:
    features = Counted(job(**changes).features, fails_at=4)
    with pytest.raises(KeyboardInterrupt):
        train([job(**{**changes, "features": features})], QUICK, 1, saved=saved, every=0)


CHANGES: dict[str, Callable[[Path], Any]] = {
    "seed": lambda saved: train([job()], QUICK, 2, saved=saved),
    "schedule": lambda saved: train([job()], QUICK.model_copy(update={"rate": 0.1}), 1, saved=saved),
    "jobs": lambda saved: train([job(features=ArrayRows("features", world(1)[0]))], QUICK, 1, saved=saved),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_checkpoint_of_another_training_is_refused(what: str, tmp_path: Path) -> None:
    saved = tmp_path / "training.ckpt"
    interrupted(saved)
    with pytest.raises(BenchError, match=f"checkpoint of another training: its {what} is"):
        CHANGES[what](saved)


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    saved = tmp_path / "training.ckpt"
    interrupted(saved)
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(BenchError, match=r"training.ckpt is not a checkpoint that can be read"):
        train([job()], QUICK, 1, saved=saved)


def artifact_of(store: Path, rows: Any) -> tuple[Artifact, list[bytes]]:
    digests = [number.to_bytes(BYTES, "big") for number in range(1, len(rows) + 1)]
    key = ArtifactKey("targets", {"test": 1})
    with Store(store).writing(key) as writer:
        for start in range(0, len(rows), 64):
            writer.add(digests[start : start + 64], rows[start : start + 64])
            writer.flush()
    return Store(store).open(key), digests


def test_artifacts_mapped_files_and_arrays_train_the_same_head(tmp_path: Path) -> None:
    features, targets = world()
    np.save(tmp_path / "features.npy", features)
    artifact, digests = artifact_of(tmp_path / "store", targets)
    mapped = job(features=npy(tmp_path / "features.npy"), targets=(ArtifactRows("targets", artifact, digests),))
    assert same(train([mapped], QUICK, 1)["head"], train([job()], QUICK, 1)["head"])


def test_targets_of_their_own_for_each_epoch_are_used_in_turn() -> None:
    _, targets = world()
    draws = tuple(Counted(ArrayRows(f"draw {epoch}", targets + 0.1 * epoch)) for epoch in range(3))
    drawn = train([job(targets=draws)], QUICK, 1)["head"]
    assert [draw.reads for draw in draws] == [N // QUICK.batch] * 3
    assert not same(drawn, train([job()], QUICK, 1)["head"])
    assert np.array_equal(drawn.losses[:6], train([job()], QUICK, 1)["head"].losses[:6])


def rows(shape: tuple[int, int], name: str) -> ArrayRows:
    return ArrayRows(name, np.ones(shape, np.float32))


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "NaN": (
        lambda: job(targets=(ArrayRows("shard", np.where(world()[1] == world()[1][77, 3], np.nan, world()[1])),)),
        "shard: row 77 is not finite",
    ),
    "few": (
        lambda: job(features=rows((31, D), "few"), targets=(rows((31, H), "t"),)),
        "few has 31 rows, fewer than one batch of 32",
    ),
    "count": (lambda: job(targets=(rows((N - 1, H), "short"),)), "short has 199 rows, and features has 200"),
    "width": (
        lambda: job(targets=(rows((N, H), "one"), rows((N, H + 1), "two"))),
        "targets of different widths: .*'one': 20, 'two': 21",
    ),
    "shape": (
        lambda: job(features=ArrayRows("cube", np.ones((N, 2, 2), np.float32))),
        r"cube: embeddings \[N, D\] are needed",
    ),
    "none": (lambda: job(targets=()), "no targets"),
    "name": (lambda: job("a/b"), "without a slash"),
    "diverged": (lambda: job(scale=math.inf), "the loss of step 1 is"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_an_error_that_names_it(what: str) -> None:
    make, message = BAD[what]
    with pytest.raises(BenchError, match=message):
        train([make()], QUICK, 1)


def test_an_artifact_that_lacks_rows_says_how_many(tmp_path: Path) -> None:
    artifact, digests = artifact_of(tmp_path, world()[1])
    with pytest.raises(DataError, match="faces: 1 of 201 rows are not in the store"):
        ArtifactRows("faces", artifact, [*digests, b"\xff" * BYTES])


def test_a_training_leaves_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train([job(design=Design(kind="mlp", hidden=16))], QUICK, 1)
    assert torch.equal(before, torch.get_rng_state())
