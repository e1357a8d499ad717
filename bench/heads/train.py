"""Trains projection heads on stored embeddings by gradient descent with momentum.

Several heads that see the same pictures in the same order are trained in one pass: a batch of each distinct source is
read once, however many heads use it. A head comes out the same whether it is trained alone or in company.

Order: epoch e of seed s visits the N rows in `numpy.random.default_rng([s, e]).permutation(N)`, in batches from the
front; the last, incomplete batch is dropped. The head starts from `modules.started(design, D, H, s)`. So where a
training stands is a number of steps, and what it will do does not depend on when it was interrupted.

A step is that of `torch.optim.SGD`, one parameter at a time: v <- momentum v + (g + decay w); w <- w - rate v.

Determinism: on one machine, with one number of threads, a training gives the same bits each time, interrupted or not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.cards.head_training import Design, Loss, Schedule
from bench.errors import BenchError, DataError, counted
from bench.heads import checkpoint
from bench.heads.heads import Floats
from bench.heads.losses import loss_named
from bench.heads.modules import Projection, started, state_of
from bench.heads.rows import Positions, Rows, finite, probe
from bench.process.progress import bar

SECONDS_BETWEEN_CHECKPOINTS = 30.0


@dataclass(frozen=True)
class HeadToTrain:
    """One head to train.

    Attributes:
        name: distinct among the heads of one call, without a slash.
        features: the encoder's image embeddings `[N, D]`.
        targets: the teacher's embeddings `[N, H]` of the same pictures in the same order; where the teacher was run
            anew for each epoch, one entry an epoch, used in turn.
        design: the head's shape.
        scale: factor on the cosines, the encoder's own.
        loss: one of `losses.LOSSES`.
    """

    name: str
    features: Rows
    targets: tuple[Rows, ...]
    design: Design
    scale: float
    loss: Loss = "symmetric-contrastive"


class Trained(NamedTuple):
    """A trained head's tensors, as `heads.head_of` takes them, and the loss of every step `[steps]`."""

    state: dict[str, Floats]
    losses: Floats


def order(count: int, seed: int, epoch: int) -> Positions:
    """The order in which an epoch visits `count` rows."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def train(
    heads: Sequence[HeadToTrain],
    schedule: Schedule,
    seed: int,
    *,
    device: str = "cpu",
    saved: Path | None = None,
    every: float = SECONDS_BETWEEN_CHECKPOINTS,
    show: bool = False,
) -> dict[str, Trained]:
    """Train heads side by side.

    Args:
        heads: all see equally many rows.
        schedule: epochs, batch and the optimiser's numbers.
        seed: of the start and of the order.
        device: torch's name.
        saved: a checkpoint: read where it exists, written every so often, deleted at the end.
        every: seconds between two writings of it.
        show: whether progress is shown.

    Returns:
        The heads, by their names.

    Raises:
        DataError: numbers of rows or widths differ, there are fewer rows than one batch, or a row is not finite.
        BenchError: a loss is not finite any more, or the checkpoint is of another training.
    """
    count = _checked(heads, schedule)
    running = [_Running(head, seed, device, schedule) for head in heads]
    fingerprint = {
        "seed": seed,
        "rows": count,
        "schedule": schedule.model_dump(),
        "jobs": [_facts(head) for head in heads],
    }
    steps = count // schedule.batch
    done = 0
    if saved is not None and saved.exists():
        done = checkpoint.restore(saved, fingerprint, {run.head.name: run.tensors() for run in running})
    last = time.monotonic()
    with bar("training heads", schedule.epochs * steps, "steps", show=show) as progress:
        progress.advance(done)
        for epoch in range(done // steps, schedule.epochs):
            visited = order(count, seed, epoch)
            for step in range(done - epoch * steps, steps):
                positions = visited[step * schedule.batch : (step + 1) * schedule.batch]
                _step(running, epoch, positions, done, device)
                done += 1
                progress.advance(1)
                if saved is not None and time.monotonic() - last >= every:
                    checkpoint.write(saved, fingerprint, done, {run.head.name: run.tensors() for run in running})
                    last = time.monotonic()
    if saved is not None:
        saved.unlink(missing_ok=True)
    return {run.head.name: Trained(state_of(run.module), run.losses.numpy()) for run in running}


def _checked(heads: Sequence[HeadToTrain], schedule: Schedule) -> int:
    """The number of rows, which all jobs share."""
    names = [head.name for head in heads]
    if not names or len(set(names)) < len(names) or any("/" in name or not name for name in names):
        raise BenchError(f"heads called {names}", "give each head a name of its own, without a slash")
    count = len(heads[0].features)
    for head in heads:
        if not head.targets:
            raise DataError(f"{head.name}: no targets", "give one source of targets, or one per epoch")
        for rows in (head.features, *head.targets):
            if len(rows) != count:
                raise DataError(
                    f"{rows.name} has {counted(len(rows), 'row')}, and {heads[0].features.name} has {count}",
                    "heads that are trained together need one row per picture in every source",
                )
        widths = {rows.name: rows.width for rows in head.targets}
        if len(set(widths.values())) > 1:
            raise DataError(f"{head.name}: targets of different widths: {widths}", "use one teacher for all epochs")
    if count < schedule.batch:
        raise DataError(
            f"{heads[0].features.name} has {counted(count, 'row')}, fewer than one batch of {schedule.batch}",
            "use more pictures, or a smaller batch",
        )
    return count


def _facts(head: HeadToTrain) -> dict[str, object]:
    """What tells a training apart, as far as a checkpoint must know."""
    return {
        "name": head.name,
        "features": [head.features.width, probe(head.features)],
        "targets": [[rows.width, probe(rows)] for rows in head.targets],
        "design": head.design.model_dump(),
        "scale": head.scale,
        "loss": head.loss,
    }


class _Running:
    """A head in training: its module, the momentum of each parameter, and the losses so far."""

    def __init__(self, head: HeadToTrain, seed: int, device: str, schedule: Schedule) -> None:
        self.head = head
        self.loss = loss_named(head.loss)
        self.module: Projection = started(head.design, head.features.width, head.targets[0].width, seed).to(device)
        self.optimizer = torch.optim.SGD(
            self.module.parameters(),
            lr=schedule.rate,
            momentum=schedule.momentum,
            weight_decay=schedule.decay,
            foreach=False,
        )
        for weight in self.module.parameters():  # there from the start, so that a checkpoint always has them
            self.optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        steps = len(head.features) // schedule.batch * schedule.epochs
        self.losses = torch.zeros(steps)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a step changes, in place."""
        weights = {f"weight/{name}": weight.data for name, weight in self.module.named_parameters()}
        momenta = {
            f"velocity/{name}": self.optimizer.state[weight]["momentum_buffer"]
            for name, weight in self.module.named_parameters()
        }
        return {**weights, **momenta, "losses": self.losses}

    def step(self, features: Tensor, targets: Tensor, number: int) -> None:
        loss = self.loss(self.module(features), targets, self.head.scale)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise BenchError(
                f"{self.head.name}: the loss of step {number + 1} is {value}",
                "lower the learning rate, or look at the data",
            )
        self.losses[number] = value
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()


def _step(running: Sequence[_Running], epoch: int, positions: Positions, number: int, device: str) -> None:
    """One batch through every head; each distinct source is read once."""
    taken: dict[int, Tensor] = {}

    def batch(rows: Rows) -> Tensor:
        if id(rows) not in taken:
            taken[id(rows)] = torch.from_numpy(finite(rows, positions)).to(device)
        return taken[id(rows)]

    for run in running:
        targets = run.head.targets[epoch % len(run.head.targets)]
        run.step(batch(run.head.features), batch(targets), number)
