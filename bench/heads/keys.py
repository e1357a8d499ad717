"""What a teacher's artifacts are made of: query outputs, and targets under an instruction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.cards.head_training import Draw, Instruction
from bench.store.artifacts import ArtifactKey


def query_key(
    teacher: Mapping[str, Any], pixels: Mapping[str, Any], size: int, draw: Draw | None = None
) -> ArtifactKey:
    """What query outputs are made of.

    Args:
        teacher: the network's identity: adapter, version, weights' hashes, precision.
        pixels: the input protocol's facts.
        size: side of the input.
        draw: of active dropout.
    """
    inputs = {**teacher, "pixels": dict(pixels), "size": size}
    return ArtifactKey("queries", inputs if draw is None else {**inputs, "dropout": list(draw)})


def target_key(queries: ArtifactKey, instruction: Instruction) -> ArtifactKey:
    """What targets are made of: their draw is that of the query outputs."""
    return ArtifactKey("targets", {"queries": queries.hash, "instruction": instruction.model_dump()})
