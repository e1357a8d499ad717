"""What is examined, and how a check says what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from bench.cards.catalog import Catalog
from bench.cards.variant import Variant
from bench.data.transforms import finish, prepare
from bench.models.ask import EMBED, Ask
from bench.models.network import Network, encode_texts, respond
from bench.models.precision import stored
from bench.plan.cells import protocol_of

if TYPE_CHECKING:
    from torch import Tensor

State = Literal["passed", "failed", "warned", "skipped"]
Array = npt.NDArray[Any]

INPUTS = 4
FRAMES_OF_CHUNKS = 40
TEXTS = ("a photo of a face with an expression of happiness.", "fear.", "an expression of sadness.", "anger")
CLASSES = ("happiness", "fear", "sadness")
TOLERANCE = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}


class Finding(NamedTuple):
    """What one check found.

    Attributes:
        check: its name.
        state: `failed` where a promise is broken, `warned` where it is kept but something looks wrong.
        says: a sentence for whoever writes the method.
    """

    check: str
    state: State
    says: str


class Verdict(Exception):
    """Raised by a check that does not pass."""

    def __init__(self, state: State, says: str) -> None:
        super().__init__(says)
        self.state, self.says = state, says


def fail(says: str) -> NoReturn:
    """A promise is broken."""
    raise Verdict("failed", says)


def warn(says: str) -> NoReturn:
    """The promise is kept, but something looks wrong."""
    raise Verdict("warned", says)


def skip(says: str) -> NoReturn:
    """The promise is none of this method's."""
    raise Verdict("skipped", says)


@dataclass
class Subject:
    """A method variant under test; the checks before have filled in what comes after `device`.

    Attributes:
        variant: the method with its axes fixed.
        network: its network, whose weights are here.
        catalog: the cards that its own refers to.
        device: where it runs.
        pixels: `[INPUTS, T, 3, S, S]`, as the method's protocol prepares them.
        model: the loaded adapter.
        rows: what it gives for `pixels`.
        hashes: its tensors before the first call.
        attempts: what it tried to reach over the network.
    """

    variant: Variant
    network: Network
    catalog: Catalog
    device: str
    pixels: Tensor = field(init=False)
    model: Any = None
    rows: Array = field(default_factory=lambda: np.empty((0, 0)))
    hashes: dict[str, int] = field(default_factory=dict)
    attempts: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """`dual-encoder`, `joint-scorer` or `generator`."""
        return self.network.facts.model

    @property
    def isolated(self) -> bool:
        """Whether it runs in an environment and a process of its own."""
        return self.network.environment is not None

    @property
    def sent(self) -> Tensor:
        """The pixels in the shape in which the adapter gets them."""
        return self.pixels[:, 0] if self.network.facts.sees == "images" else self.pixels

    @property
    def asks(self) -> list[Ask]:
        """What goes with each input: texts, a question, or a question with each of its options."""
        question = self.variant.card.question
        if question is None:
            return [EMBED] if self.kind == "dual-encoder" else [Ask(text) for text in TEXTS]
        asked = question.about(CLASSES)
        return [Ask(asked)] if question.mode == "answer" else [Ask(asked, name) for name in CLASSES]

    @property
    def question(self) -> str:
        """What a generator is asked."""
        return self.asks[0].text

    def see(self, pixels: Tensor, model: Any = None, asks: Sequence[Ask] = ()) -> Array:
        """One row per input: an embedding, scores, or answers."""
        found = respond(self.network, self.model if model is None else model, pixels, asks or self.asks)
        return found.reshape(len(pixels), -1)

    def read(self, texts: Sequence[str]) -> Array:
        """One row per text."""
        return encode_texts(self.network, self.model, texts)

    def same(self, found: Array, expected: Array, otherwise: str, tolerance: float | None = None) -> None:
        """Fail unless two results are the same up to rounding."""
        allowed = TOLERANCE[stored(self.network.dtype)] if tolerance is None else tolerance
        apart = difference(found, expected)
        if not apart <= allowed:  # a NaN must not pass
            fail(f"{otherwise} (they differ by {apart:.2g} of the largest number, and {allowed:g} is allowed)")

    def draw(self) -> Tensor:
        """Random pictures or clips, prepared by the method's own protocol."""
        import torch
        from PIL import Image

        protocol = protocol_of(self.variant.card, self.variant.card.protocol, self.catalog)
        frames = 1 if self.network.facts.sees == "images" else protocol.frames.count
        if protocol.frames.rule == "chunks":
            frames = min(frames, FRAMES_OF_CHUNKS)
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 256, (INPUTS * frames, 9, 7, 3), np.uint8)
        pictures = [Image.fromarray(picture).resize((97, 131)) for picture in coarse]
        prepared = np.stack([prepare(picture, protocol.pixels, self.network.facts.size) for picture in pictures])
        pixels = torch.from_numpy(finish(prepared, protocol.pixels)).to(self.device)
        return pixels.reshape(INPUTS, frames, *pixels.shape[1:])


def difference(found: Array, expected: Array) -> float:
    """The largest difference within a row, as a share of that row's largest number; 1 where texts differ."""
    if found.shape != expected.shape:
        return float("inf")
    if found.dtype.kind != "f":
        return float((found != expected).any())
    largest = np.maximum(np.abs(expected).max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return float((np.abs(found - expected) / largest).max())
