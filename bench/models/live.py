"""A network that its caller holds: an object in this process, used as it is and never built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.cards.method_schema import EncoderFacts
from bench.errors import BenchError
from bench.models import contract
from bench.models.network import CONTRACTS, Network

# In the order in which they are looked for: who encodes pictures is an encoder, whatever else it can do.
KINDS = (
    (contract.ImageEncoder, "dual-encoder", "images"),
    (contract.ClipEncoder, "dual-encoder", "clips"),
    (contract.JointScorer, "joint-scorer", "clips"),
    (contract.Generator, "generator", "images"),
)


@dataclass(frozen=True)
class LiveNetwork(Network):
    """A network whose model is there already.

    Attributes:
        model: it implements the protocol of `bench.models.contract` that the facts name.
        stored_as: what its outputs are stored under in the place of a checkpoint's hash.
    """

    model: Any = None
    stored_as: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """The object's class, and the name that its caller gives its outputs."""
        return {
            "adapter": f"live {class_name(self.model)}",
            "version": self.stored_as,
            "options": {},
            "weights": {},
            "dtype": self.dtype,
        }

    @property
    def compilable(self) -> bool:
        """Never: who holds the object compiles it."""
        return False

    def load(self, device: str, contract: type[Any] | None = None) -> Any:
        """The object."""
        return self.model


def class_name(model: Any) -> str:
    """An object's class, with its module."""
    return f"{type(model).__module__}.{type(model).__qualname__}"


def kind_of(model: Any) -> tuple[str, str]:
    """Which of the contract's protocols an object implements, and whether it sees `images` or `clips`.

    Raises:
        BenchError: none of them: what it lacks of the nearest one; or its `logit_scale` is the logarithm that CLIP learns.
    """
    for protocol, kind, sees in KINDS:
        if isinstance(model, protocol):
            _check_scale(model)
            return kind, sees
    nearest = max((protocol for protocol, _, _ in KINDS), key=lambda each: len(_names(each)) - len(_lacks(model, each)))
    raise BenchError(
        f"{class_name(model)} is no model that can be evaluated: as {nearest.__name__} it lacks {', '.join(_lacks(model, nearest))}",
        "give it encode_images, encode_texts and logit_scale (the factor on the similarity, 1.0 where there is none), or the methods"
        " of another protocol in bench.models.contract",
    )


def _check_scale(model: Any) -> None:
    from torch.nn import Parameter

    if isinstance(getattr(model, "logit_scale", None), Parameter):
        raise BenchError(
            f"logit_scale of {class_name(model)} is a parameter, as in CLIP, where it is the logarithm of the factor",
            "give an object whose logit_scale is the factor itself: float(model.logit_scale.exp())",
        )


def _lacks(model: Any, protocol: type[Any]) -> list[str]:
    return sorted(name for name in _names(protocol) if not hasattr(model, name))


def _names(protocol: type[Any]) -> set[str]:
    return {name for name in (*dir(protocol), *protocol.__annotations__) if not name.startswith("_")}


def live_network(method: str, facts: EncoderFacts, model: Any, *, dtype: str, stored_as: str) -> LiveNetwork:
    """The network of an object."""
    assert isinstance(model, CONTRACTS[facts.model, facts.sees])
    return LiveNetwork(method, facts, {}, {}, dtype, model=model, stored_as=stored_as)


def device_of(model: Any) -> str:
    """Where an object's parameters lie, or what its `device` says; the CPU where neither is there."""
    stated = getattr(model, "device", None)
    if stated is not None and not callable(stated):
        return str(stated)
    parameters = getattr(model, "parameters", None)
    first = next(iter(parameters()), None) if callable(parameters) else None
    return "cpu" if first is None else str(first.device)
