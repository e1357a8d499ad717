"""A teacher's pass over faces, into the store: query outputs once per face, targets once per face and instruction.

Rows are computed in blocks of fixed composition, and a block's rows are stored together: networks round differently in
batches of another make-up, so an interrupted pass must come back to the very same blocks to end with the same bits.

With `draw`, dropout is active: each draw has artifacts of its own, one per training epoch (see `teacher`). A query artifact takes
98 KB per face in float32 (32 x 768), a target artifact 16 KB (4096).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.cards.head_training import Draw, Instruction
from bench.heads.keys import target_key
from bench.models.contract import TeacherModel
from bench.models.draws import row_seeds
from bench.process.progress import bar
from bench.store.artifacts import Artifact, ArtifactKey, Store

BLOCK = 32
BYTES_PER_SHARD = 64 * 2**20


class Faces(NamedTuple):
    """A block of pictures: their digests, and their pixels `[B, 3, S, S]` float32 as the input protocol prepares them."""

    digests: Sequence[bytes]
    pixels: Tensor


def fill_queries(
    teacher: TeacherModel, store: Store, keys: Mapping[Draw | None, ArtifactKey], blocks: Iterable[Faces]
) -> None:
    """Put faces through the image tower once, and through the Q-Former once per draw.

    Args:
        keys: draw -> where its rows go; the draw None is the deterministic teacher.
        blocks: pictures of which some draw lacks the rows, always cut the same way.
    """
    with ExitStack() as stack:
        writers = {draw: stack.enter_context(store.writing(key)) for draw, key in keys.items()}
        held = 0
        for faces in blocks:
            lacking = {draw: set(writer.artifact.missing(faces.digests)) for draw, writer in writers.items()}
            if not any(lacking.values()):
                continue
            seen = teacher.see(faces.pixels)
            for draw, absent in lacking.items():
                if absent:
                    found = teacher.queries(seen, row_seeds(faces.digests, "queries", draw), dropout=draw is not None)
                    rows = found.flatten(1).cpu().numpy()
                    _add(writers[draw], faces.digests, rows, absent)
                    held += rows.nbytes
            if held > BYTES_PER_SHARD:
                for writer in writers.values():
                    writer.flush()
                held = 0


def fill_targets(
    teacher: TeacherModel,
    store: Store,
    queries: Artifact,
    digests: Sequence[bytes],
    instruction: Instruction,
    draw: Draw | None = None,
    *,
    show: bool = False,
) -> Artifact:
    """Put an instruction and every face's stored query outputs through the language model's encoder.

    Args:
        queries: where the query outputs of that draw lie.
        digests: the faces, each at most once, always in the same order.

    Returns:
        The artifact with the targets.
    """
    key = target_key(queries.key, instruction)
    told = instruction.model_dump_json()
    with store.writing(key) as writer, bar("teacher", len(digests), "faces", show=show) as progress:
        for start in range(0, len(digests), BLOCK):
            block = digests[start : start + BLOCK]
            absent = set(writer.artifact.missing(block))
            if absent:
                stored = torch.from_numpy(queries.rows(block)).reshape(-1, *teacher.shape)
                found = teacher.targets(stored, instruction, row_seeds(block, told, draw), dropout=draw is not None)
                _add(writer, block, found.cpu().numpy(), absent)
            progress.advance(len(block))
    return store.open(key)


def _add(writer: Any, digests: Sequence[bytes], rows: npt.NDArray[np.float32], absent: set[bytes]) -> None:
    """Hold the rows of a block that the artifact lacks; with them it has all of the block or none of it."""
    chosen = [row for row, digest in enumerate(digests) if digest in absent]
    writer.add([digests[row] for row in chosen], rows[chosen])
