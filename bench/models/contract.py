"""What a model, or a face detector, has to be. A few small protocols; an adapter implements one and inherits from nothing.

An adapter is a class that the engine builds as

    Adapter(weights={"model": Path(...)}, device="cpu", dtype="float32", **options)

where `weights` maps the roles named in the card's `[encoder.weights]` (a detector's `[weights]`) to files that exist, and
`options` is the card's `[encoder.options]` (a detector's `[options]`). It may state `version`, a string that is bumped
whenever its output changes: it is part of the key under which embeddings are stored. Without one the adapter's source text
takes its place. Importing an adapter's module should be cheap: import heavy libraries in `__init__`.

A model's pixels arrive as the input protocol prepared them: float32 on the model's device, already normalised where the
protocol normalises. Outputs are float32, on any device, one row per input row, in order, and finite. No method changes the
model, and a row's result depends on that row alone. Several threads call a detector's `detect` at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    from bench.cards.head_training import Instruction


Pictures = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]


@runtime_checkable
class TextEncoder(Protocol):
    """Puts texts where a dual encoder puts images."""

    @property
    def logit_scale(self) -> float:
        """The factor that the model's authors put on the similarity: `exp(logit_scale)` for the CLIP family, 1 else."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encode M texts as `[M, D]` float32, not normalised."""
        ...


@runtime_checkable
class ContextLimited(Protocol):
    """A text encoder that can say which texts it does not read to their end. An adapter may leave this out."""

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """For each of M texts, whether it is longer than the context, so that `encode_texts` sees its beginning only."""
        ...


@runtime_checkable
class ImageEncoder(TextEncoder, Protocol):
    """A dual encoder that sees one picture at a time."""

    def encode_images(self, pixels: Tensor) -> Tensor:
        """Encode pictures `[B, 3, H, W]` as `[B, D]` float32, not normalised."""
        ...


@runtime_checkable
class ClipEncoder(TextEncoder, Protocol):
    """A dual encoder that sees a whole clip at once."""

    def encode_clips(self, pixels: Tensor) -> Tensor:
        """Encode clips `[B, T, 3, H, W]` as `[B, D]` float32, not normalised."""
        ...


@runtime_checkable
class JointScorer(Protocol):
    """A model in which text and vision meet inside the network, so that only scores come out."""

    def score(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        """Score clips `[B, T, 3, H, W]` against M texts as `[B, M]` float32; higher is nearer."""
        ...


@runtime_checkable
class Generator(Protocol):
    """A model that answers a question about a picture in words."""

    def answer(self, pixels: Tensor, question: str) -> list[str]:
        """Answer `question` for each of `[B, 3, H, W]`; the raw text, unparsed."""
        ...

    def loglikelihood(self, pixels: Tensor, question: str, options: Sequence[str]) -> Tensor:
        """Log-likelihood `[B, M]` of each option as the answer, in nats, summed over its tokens."""
        ...


@runtime_checkable
class CacheBound(Protocol):
    """A generator that can say what memory an input takes while it answers. An adapter may leave this out."""

    def cache_bytes(self, pixels: Tensor, question: str) -> int:
        """Bytes that each of `[B, 3, H, W]` takes until its longest answer has ended."""
        ...


@runtime_checkable
class TeacherModel(Protocol):
    """A model whose reading of a face, under an instruction, a projection head is trained towards.

    Its work is cut where instructions part, so that a face goes through the image tower once; see
    `bench.heads.teacher`. Seeds, one per row, are for dropout and for an instruction of noise.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Number and width of a face's query outputs."""
        ...

    def see(self, pixels: Tensor) -> Tensor:
        """Pictures `[B, 3, S, S]` to the image tower's outputs `[B, P, V]`."""
        ...

    def queries(self, seen: Tensor, seeds: Sequence[int], *, dropout: bool = False) -> Tensor:
        """These to query outputs `[B, Q, W]`."""
        ...

    def targets(
        self, queries: Tensor, instruction: Instruction, seeds: Sequence[int], *, dropout: bool = False
    ) -> Tensor:
        """These and an instruction to targets `[B, H]`."""
        ...


@runtime_checkable
class FaceDetector(Protocol):
    """Finds faces in pictures."""

    def detect(self, pictures: Any) -> Any:
        """Find the faces in each of `[B, H, W, 3]` RGB pictures, uint8.

        Returns:
            `[N, 16]` float32, one row per face: the picture's index in the batch, the box as left, top, right, bottom in
            pixels of that picture (0 is its left or upper edge), the score from 0 to 1, and five landmarks as x and y
            in pixels, in this order: left eye, right eye, nose, left and right corner of the mouth, where left is the
            picture's left.
            A detector without landmarks puts NaN there. What one picture gives depends on that picture alone.
        """
        ...
