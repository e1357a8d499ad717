"""A network that a plan needs: which code, which bytes, which precision; known without loading it, loaded when missing.

Its identity is what its results are stored under. Loading is the only place where an adapter is built.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cards.schema import EncoderFacts
from bench.errors import BenchError
from bench.models import base
from bench.models.resolve import adapter_class, identity

if TYPE_CHECKING:
    from torch import Tensor

CONTRACTS: Mapping[tuple[str, str], type[Any]] = {
    ("dual-encoder", "images"): base.ImageEncoder,
    ("dual-encoder", "clips"): base.ClipEncoder,
    ("joint-scorer", "clips"): base.JointScorer,
    ("joint-scorer", "images"): base.JointScorer,
    ("generator", "images"): base.Generator,
    ("generator", "clips"): base.Generator,
}


@dataclass(frozen=True)
class Network:
    """One network in one precision.

    Attributes:
        method: the card that names it, for messages.
        facts: the card's `[encoder]`.
        weights: role -> file or folder.
        hashes: role -> content hash of it.
        dtype: `float32`, `float16` or `bfloat16`: what the towers run in; features come out as float32.
    """

    method: str
    facts: EncoderFacts
    weights: Mapping[str, Path]
    hashes: Mapping[str, str]
    dtype: str = "float32"
    _identity: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def identity(self) -> dict[str, Any]:
        """What can change an output of this network, as JSON-able facts: part of a store key."""
        if not self._identity:
            code = identity(self.facts.adapter)
            options = self.facts.options
            self._identity.update({**code, "options": options, "weights": dict(self.hashes), "dtype": self.dtype})
        return self._identity

    @property
    def key(self) -> str:
        """A short hash of the identity, for grouping."""
        import json

        text = json.dumps(self.identity, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def load(self, device: str) -> Any:
        """Build the adapter on a device.

        Raises:
            BenchError: its options are not those of the card, or it does not implement the protocol it should.
            WeightsError: the checkpoint is not what the adapter can load.
        """
        cls = adapter_class(self.facts.adapter)
        try:
            model = cls(weights=dict(self.weights), device=device, dtype=self.dtype, **self.facts.options)
        except BenchError:
            raise
        except Exception as error:
            raise BenchError(
                f"{self.method}: {self.facts.adapter} could not be built: {type(error).__name__}: {error}",
                "check [encoder.options] of its card, and its weights",
            ) from error
        contract = CONTRACTS[self.facts.model, self.facts.sees]
        if not isinstance(model, contract):
            raise BenchError(
                f"{self.method}: {self.facts.adapter} is not a {contract.__name__}",
                f"it needs {', '.join(sorted(_members(contract)))} as bench.models.base describes them",
            )
        return model


def _members(contract: type[Any]) -> set[str]:
    return {name for name in (*dir(contract), *contract.__annotations__) if not name.startswith("_")}


def encode(network: Network, model: Any, pixels: Tensor) -> Tensor:
    """Pixels `[B, T, 3, S, S]` through a dual encoder's vision side, `[B, D]` float32 on the CPU.

    Raises:
        BenchError: the adapter raised, or returned another number of rows than it was given.
    """
    call = model.encode_images if network.facts.sees == "images" else model.encode_clips
    rows = _checked(network, call, pixels[:, 0] if network.facts.sees == "images" else pixels)
    return _rows(network, rows, len(pixels))


def encode_texts(network: Network, model: Any, texts: Sequence[str]) -> Tensor:
    """Texts through a dual encoder's text side, `[M, D]` float32 on the CPU."""
    return _rows(network, _checked(network, model.encode_texts, list(texts)), len(texts))


def _checked(network: Network, call: Any, argument: Any) -> Any:
    import torch

    try:
        with torch.inference_mode():
            return call(argument)
    except (BenchError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        shape = f" on input {list(argument.shape)}" if hasattr(argument, "shape") else ""
        raise BenchError(
            f"{network.method}: {call.__name__} of {network.facts.adapter} failed{shape}: {type(error).__name__}: {error}",
            "the adapter is at fault, not the data",
        ) from error


def _rows(network: Network, rows: Any, expected: int) -> Tensor:
    import torch

    if not isinstance(rows, torch.Tensor) or rows.ndim != 2 or len(rows) != expected:
        found = list(rows.shape) if isinstance(rows, torch.Tensor) else type(rows).__name__
        raise BenchError(
            f"{network.method}: {network.facts.adapter} returned {found} for {expected} inputs",
            f"it must return [{expected}, D]: one row an input, in order",
        )
    return rows.detach().to("cpu", torch.float32)
