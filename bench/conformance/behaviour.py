"""Checks of what a built network gives: its shapes, and that a row depends on its own input alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.conformance.subject import CLASSES, INPUTS, TEXTS, Subject, difference, fail, skip, warn
from bench.conformance.tensors import tensor_hashes
from bench.errors import BenchError
from bench.models.ask import Ask

LONG_TEXT = "a photo of a face with an expression of " + "very " * 200 + "great happiness."
REPEATED = 1e-6
PATIENCE = 120.0


def build(subject: Subject) -> str:
    """It can be built as the engine builds it, and its logit scale is a positive number."""
    subject.model = subject.network.load(subject.device)
    subject.hashes = tensor_hashes(subject.model)
    if subject.kind == "dual-encoder":
        scale = float(subject.model.logit_scale)
        if not (np.isfinite(scale) and scale > 0):
            fail(f"logit_scale is {scale}; it must be a positive number: exp of what was learned, or 1")
    return f"it could be built on {subject.device} in {subject.network.dtype}"


def shapes(subject: Subject) -> str:
    """One float32 row per input, or per text; scores and likelihoods have one column per text."""
    import torch

    subject.rows = subject.see(subject.pixels)
    model, sent = subject.model, subject.sent
    due: dict[str, tuple[int, int | None]]
    with torch.inference_mode():
        if subject.kind == "joint-scorer":
            found, due = [model.score(sent, list(TEXTS))], {"score": (INPUTS, len(TEXTS))}
        elif subject.kind == "generator":
            found = [model.loglikelihood(sent, subject.question, list(CLASSES))]
            due = {"loglikelihood": (INPUTS, len(CLASSES))}
        else:
            see = model.encode_images if sent.ndim == 4 else model.encode_clips
            found, due = [see(sent), model.encode_texts(list(TEXTS))], {see.__name__: (INPUTS, None)}
            due["encode_texts"] = (len(TEXTS), None)
    said = []
    for rows, (name, (height, width)) in zip(found, due.items(), strict=True):
        fits = isinstance(rows, torch.Tensor) and rows.ndim == 2 and len(rows) == height
        if not fits or width not in (None, rows.shape[1]):
            given = list(rows.shape) if isinstance(rows, torch.Tensor) else type(rows).__name__
            fail(f"{name} gives {given}; it must be [{height}, {'D' if width is None else width}]")
        if rows.dtype != torch.float32:
            fail(f"{name} gives {rows.dtype}; it must be torch.float32, whatever the towers run in: end with .float()")
        said.append(f"{name} gives {list(rows.shape)} float32")
    return ", ".join(said)


def finite(subject: Subject) -> str:
    """Ordinary input gives ordinary numbers."""
    numbers = [subject.rows, *([subject.read(TEXTS)] if subject.kind == "dual-encoder" else [])]
    if not all(np.isfinite(rows).all() for rows in numbers if rows.dtype.kind == "f"):
        fail("it gives NaN or infinity for ordinary pictures or texts")
    return "every number is finite"


def repeatable(subject: Subject) -> str:
    """The same call gives the same."""
    subject.same(
        subject.see(subject.pixels),
        subject.rows,
        "the same call gives other numbers the second time: is dropout on (call .eval()), or does it draw at random?",
        REPEATED,
    )
    return "the same call gives the same again"


def batch_size(subject: Subject) -> str:
    """A row does not depend on how many others come with it."""
    singles = [subject.see(subject.pixels[place : place + 1]) for place in range(INPUTS)]
    subject.same(
        np.concatenate(singles),
        subject.rows,
        "an input alone gives another row than within a batch: does a mean run over the batch, is batch norm training?",
    )
    return f"{INPUTS} inputs one by one give the rows of the batch"


def order(subject: Subject) -> str:
    """A row does not depend on its place among the others."""
    turned = [2, 0, 3, 1]
    subject.same(
        subject.see(subject.pixels[turned]),
        subject.rows[turned],
        "the inputs in another order give other rows than the same rows in that order",
    )
    return "the rows follow the order of the inputs"


def space(subject: Subject) -> str:
    """Pictures and texts lie in one space."""
    if subject.kind != "dual-encoder":
        skip(f"a {subject.kind} has no embeddings")
    seen, read = subject.rows.shape[1], subject.read(TEXTS).shape[1]
    if seen != read:
        fail(f"pictures become {seen} numbers and texts {read}: both must be projected into one space")
    return f"pictures and texts both become {seen} numbers"


def texts(subject: Subject) -> str:
    """A text's result does not depend on the texts beside it."""
    if subject.kind == "generator" and len(subject.asks) == 1:
        skip("a generator that answers is asked one question at a time")
    says = "a text alone gives another result than among others: is padding attended to?"
    if subject.kind == "dual-encoder":
        together, backwards = subject.read(TEXTS), subject.read(TEXTS[::-1])[::-1]
        alone = np.concatenate([subject.read([text]) for text in TEXTS])
    else:
        together, backwards = subject.rows, subject.see(subject.pixels, asks=subject.asks[::-1])[:, ::-1]
        alone = np.concatenate([subject.see(subject.pixels, asks=[ask]) for ask in subject.asks], axis=1)
    subject.same(alone, together, says)
    subject.same(backwards, together, "texts in another order give other results than in that order")
    return "a text's result depends on that text alone"


def long(subject: Subject) -> str:
    """A text longer than the context is cut, as published code does."""
    if subject.kind == "generator":
        skip("class names are short")
    try:
        if subject.kind == "dual-encoder":
            subject.read([LONG_TEXT])
        else:
            subject.see(subject.pixels[:1], asks=[Ask(LONG_TEXT)])
    except BenchError as error:
        warn(f"a text of {len(LONG_TEXT.split())} words is refused; cut it at the network's context: {error.what}")
    return f"a text of {len(LONG_TEXT.split())} words is taken"


def apart(subject: Subject) -> str:
    """It looks at its input."""
    if subject.rows.dtype.kind != "f":
        skip("two pictures may well get the same answer")
    if difference(subject.rows[1:], subject.rows[:-1]) < REPEATED:
        warn("very different pictures all give the same row: does it look at its input?")
    if subject.kind == "dual-encoder" and difference(subject.read(TEXTS[:1]), subject.read(TEXTS[1:2])) < REPEATED:
        warn("different texts give the same row: does it read them?")
    return "different inputs give different rows"


def calls(subject: Subject) -> str:
    """A call leaves nothing behind that changes the next."""
    other = subject.pixels.flip(0, -1)
    if subject.kind == "dual-encoder":
        subject.read(TEXTS[::-1])
    subject.see(other[:2], asks=subject.asks[:1])
    subject.same(
        subject.see(subject.pixels),
        subject.rows,
        "after a call with other inputs the first call gives other numbers: something is kept between calls",
    )
    return "a call leaves nothing behind that changes the next"


def instances(subject: Subject) -> str:
    """Built twice it gives the same, and neither disturbs the other."""
    second = subject.network.load(subject.device)
    subject.same(
        subject.see(subject.pixels, second),
        subject.rows,
        "built a second time it gives other numbers: something is drawn at random without a seed, or not loaded",
    )
    subject.see(subject.pixels.flip(0, -1), second)
    subject.same(
        subject.see(subject.pixels),
        subject.rows,
        "a call to a second instance changes the first: they share something, perhaps on the class or the module",
    )
    return "two instances give the same and do not disturb each other"


def parameters(subject: Subject) -> str:
    """No call changes the model."""
    if not subject.hashes:
        skip("no tensors of its own can be seen")
    after = tensor_hashes(subject.model)
    changed = [name for name, value in subject.hashes.items() if after.get(name) != value]
    if changed:
        fail(f"calls have changed {', '.join(changed[:3])}: a call must leave the model as it is")
    return f"{len(after)} tensors are as they were before the first call"


def odd(subject: Subject) -> str:
    """Odd input may raise anything; it must not hang, nor give another number of rows than it was given."""
    import torch

    sent = subject.sent
    grey, asked, model = sent.narrow(-3, 0, 1), subject.question, subject.model
    tries: dict[str, tuple[Callable[[], Any], tuple[int, ...]]]
    if subject.kind == "dual-encoder":
        see = model.encode_images if sent.ndim == 4 else model.encode_clips
        tries = {"one channel": (lambda: see(grey), (INPUTS,)), "no text": (lambda: model.encode_texts([]), (0,))}
    elif subject.kind == "joint-scorer":
        tries = {
            "one channel": (lambda: model.score(grey, list(TEXTS)), (INPUTS, len(TEXTS))),
            "no text": (lambda: model.score(sent, []), (INPUTS, 0)),
        }
    else:
        tries = {
            "one channel": (lambda: model.answer(grey, asked), (INPUTS,)),
            "no option": (lambda: model.loglikelihood(sent, asked, []), (INPUTS, 0)),
        }
    said = []
    for name, (call, due) in tries.items():
        found, error = _patiently(call, name)
        if error is not None:
            said.append(f"{name}: {type(error).__name__}")
            continue
        shape = (
            tuple(found.shape) if isinstance(found, torch.Tensor) else (len(found),) if isinstance(found, list) else ()
        )
        if shape[: len(due)] != due:
            given = list(shape) if shape else type(found).__name__
            fail(f"{name}: it gives {given} where {list(due)} rows are due; better to raise an error")
        said.append(f"{name}: {list(shape)}")
    return "; ".join(said)


def _patiently(call: Callable[[], Any], name: str) -> tuple[Any, Exception | None]:
    """What a call gives or raises; one that does not end is left behind."""
    import torch

    answer: list[tuple[Any, Exception | None]] = []

    def run() -> None:
        try:
            with torch.inference_mode():
                answer.append((call(), None))
        except Exception as error:
            answer.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if not answer:
        fail(f"{name}: it has not come back after {PATIENCE:g} s; raise an error instead")
    return answer[0]
