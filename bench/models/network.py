"""A network that a plan needs: which code, which bytes, which precision; known without loading it, loaded when missing.

Its identity is what its results are stored under. Loading is the only place where an adapter is built.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.cards.environment import EnvironmentFacts
from bench.cards.method_schema import EncoderFacts
from bench.errors import BenchError, DeviceError
from bench.models import contract
from bench.models.ask import Ask
from bench.models.compiling import compile_networks, require_compiler
from bench.models.faults import of_device
from bench.models.precision import arithmetic, check_precision, stored
from bench.models.resolve import adapter_class, identity
from bench.process.patience import word_when_late

if TYPE_CHECKING:
    from torch import Tensor

CONTRACTS: Mapping[tuple[str, str], type[Any]] = {
    ("dual-encoder", "images"): contract.ImageEncoder,
    ("dual-encoder", "clips"): contract.ClipEncoder,
    ("joint-scorer", "clips"): contract.JointScorer,
    ("joint-scorer", "images"): contract.JointScorer,
    ("generator", "images"): contract.Generator,
    ("generator", "clips"): contract.Generator,
}


@dataclass(frozen=True)
class Network:
    """One network in one precision.

    Attributes:
        method: the card that names it, for messages.
        facts: the card's `[encoder]`.
        weights: role -> file or folder.
        hashes: role -> sha256 of it.
        dtype: what the towers run in, of `bench.models.precision.PRECISIONS`; features come out as float32.
        environment: the card's `[environment]`: the adapter then runs in it, in a worker process.
        compiled: whether it goes through `torch.compile`; for networks that are `compilable`.
    """

    method: str
    facts: EncoderFacts
    weights: Mapping[str, Path]
    hashes: Mapping[str, str]
    dtype: str = "float32"
    environment: EnvironmentFacts | None = None
    compiled: bool = False
    _identity: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def identity(self) -> dict[str, Any]:
        """What can change an output of this network, as JSON-able facts: part of a store key."""
        if not self._identity:
            if self.environment is not None:
                from bench.models.isolated.proxy import isolated_identity

                code = isolated_identity(self.facts.adapter, self.environment)
            else:
                code = identity(self.facts.adapter)
            options = self.facts.options
            self._identity.update({**code, "options": options, "weights": dict(self.hashes), "dtype": self.dtype})
            if self.compiled:  # a key of its own, since it rounds in another way; without it keys are as they were
                self._identity["compiled"] = True
        return self._identity

    @property
    def compilable(self) -> bool:
        """Whether it is a dual encoder in this process: the others take texts of any length, or run elsewhere."""
        return self.facts.model == "dual-encoder" and self.environment is None

    @property
    def key(self) -> str:
        """A short hash of the identity, for grouping."""
        import json

        text = json.dumps(self.identity, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def load(self, device: str, contract: type[Any] | None = None) -> Any:
        """Build the adapter on a device.

        Args:
            device: torch's name.
            contract: the protocol it must implement, where that is not the one that its card's facts say.

        Raises:
            BenchError: the device does not have the precision, its options are not those of the card, or it does not implement the protocol it should, or its
                environment cannot be built, or it is to be compiled and there is no compiler.
            WeightsError: the checkpoint is not what the adapter can load.
            DeviceError: the device failed, or has too little memory for it.
        """
        check_precision(self.dtype, device)
        contract = contract or CONTRACTS[self.facts.model, self.facts.sees]
        if self.environment is not None:
            return self._load_isolated(self.environment, contract, device)
        if self.compiled:
            require_compiler(device)
        cls = adapter_class(self.facts.adapter)
        try:
            with word_when_late(f"{self.method}: building {self.facts.adapter}"):
                model = cls(weights=dict(self.weights), device=device, dtype=stored(self.dtype), **self.facts.options)
        except BenchError:
            raise
        except Exception as error:
            what = f"{self.method}: {self.facts.adapter} could not be built: {type(error).__name__}: {error}"
            if of_device(error):
                raise DeviceError(what, "use another device, or --dtype float16") from error
            raise BenchError(what, "check [encoder.options] of its card, and its weights") from error
        if not isinstance(model, contract):
            raise BenchError(
                f"{self.method}: {self.facts.adapter} is not a {contract.__name__}",
                f"it needs {', '.join(sorted(_members(contract)))} as bench.models.contract describes them",
            )
        if self.compiled:
            compile_networks(model)
        return model

    def _load_isolated(self, environment: EnvironmentFacts, contract: type[Any], device: str) -> Any:
        from bench.models.isolated.proxy import load_isolated
        from bench.settings import cache_home

        return load_isolated(
            environment,
            self.facts.adapter,
            self.weights,
            device,
            self.dtype,
            self.facts.options,
            contract=contract,
            method=self.method,
            root=cache_home() / "environments",
        )


def _members(contract: type[Any]) -> set[str]:
    return {name for name in (*dir(contract), *contract.__annotations__) if not name.startswith("_")}


Later = Callable[[], npt.NDArray[Any]]


def respond(network: Network, model: Any, pixels: Tensor, asks: Sequence[Ask]) -> npt.NDArray[Any]:
    """`respond_later`, waited for."""
    return respond_later(network, model, pixels, asks)()


def respond_later(network: Network, model: Any, pixels: Tensor, asks: Sequence[Ask]) -> Later:
    """What a network gives for every pair of an input and an ask, input by input; on a GPU it may not be there yet.

    Args:
        network: says which of the protocols the model implements.
        model: the loaded adapter.
        pixels: `[B, T, 3, S, S]`; the time axis is dropped for a network that sees pictures.
        asks: `[EMBED]` for an encoder; texts for a joint scorer; questions for a generator, with an option each where it
            ranks them.

    Returns:
        What gives, once, float32 `[B * len(asks), D]` (D is 1 for scores), or bytes `[B * len(asks)]` for answers.

    Raises:
        BenchError: the adapter raised, or returned something of another shape than it must.
        DeviceError: the device failed.
    """
    seen = pixels[:, 0] if network.facts.sees == "images" else pixels
    if network.facts.model == "dual-encoder":
        call = model.encode_images if network.facts.sees == "images" else model.encode_clips
        return _later(network, _checked(network, call, seen), len(seen))
    if network.facts.model == "joint-scorer":
        scores = _later(network, _checked(network, model.score, seen, [ask.text for ask in asks]), len(seen), len(asks))
        return lambda: scores().reshape(-1, 1)
    if asks[0].option is not None:
        ranked = _ranked(network, model, seen, asks)
        return lambda: ranked
    columns = [_texts(network, _checked(network, model.answer, seen, ask.text), len(seen)) for ask in asks]
    answers = np.array([text.encode() for row in zip(*columns, strict=True) for text in row])
    return lambda: answers


def _ranked(network: Network, model: Any, pixels: Tensor, asks: Sequence[Ask]) -> npt.NDArray[Any]:
    """Likelihoods of options, one call a question, in the order of the asks."""
    found = np.empty((len(pixels), len(asks)), np.float32)
    for question in dict.fromkeys(ask.text for ask in asks):
        spots = [spot for spot, ask in enumerate(asks) if ask.text == question]
        options = [asks[spot].option for spot in spots]
        rows = _checked(network, model.loglikelihood, pixels, question, options)
        found[:, spots] = _rows(network, rows, len(pixels), len(options))
    return found.reshape(-1, 1)


def encode_texts(network: Network, model: Any, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Texts through a dual encoder's text side, `[M, D]` float32."""
    return _rows(network, _checked(network, model.encode_texts, list(texts)), len(texts))


def _checked(network: Network, call: Any, *arguments: Any) -> Any:
    import torch

    try:
        with torch.inference_mode(), arithmetic(network.dtype), word_when_late(f"{network.method}: {call.__name__}"):
            return call(*arguments)
    except (BenchError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        shape = getattr(arguments[0], "shape", None)
        where = "" if shape is None else f" on input {list(shape)}"
        what = f"{network.method}: {call.__name__} of {network.facts.adapter} failed{where}: {type(error).__name__}: {error}"
        if of_device(error):
            raise DeviceError(what, "use another device; where it fails too, the adapter is at fault") from error
        raise BenchError(
            what,
            "leave --compile out to see whether it is at fault"
            if network.compiled
            else "the adapter is at fault, not the data",
        ) from error


def _rows(network: Network, rows: Any, expected: int, width: int | None = None) -> npt.NDArray[np.float32]:
    return _later(network, rows, expected, width)()


def _later(network: Network, rows: Any, expected: int, width: int | None = None) -> Later:
    """Rows of the right shape on their way to the host: a GPU goes on meanwhile."""
    import torch

    due = f"[{expected}, {'D' if width is None else width}]"
    if (
        not isinstance(rows, torch.Tensor)
        or rows.ndim != 2
        or len(rows) != expected
        or width not in (None, rows.shape[1])
    ):
        found = list(rows.shape) if isinstance(rows, torch.Tensor) else type(rows).__name__
        raise BenchError(
            f"{network.method}: {network.facts.adapter} returned {found} for {expected} inputs",
            f"it must return {due}: one row per input, in order",
        )
    if rows.device.type != "cuda":
        # A copy: a row may be a corner of a tensor of every layer's size, which would be held with it.
        array: npt.NDArray[np.float32] = rows.detach().to("cpu", torch.float32).numpy().copy()
        return lambda: array
    there = torch.empty(rows.shape, dtype=torch.float32, pin_memory=True)
    there.copy_(rows.detach().float(), non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record(torch.cuda.current_stream(rows.device))

    def arrived() -> npt.NDArray[np.float32]:
        try:
            copied.synchronize()
        except RuntimeError as error:  # what a GPU fails on it may tell as late as here
            raise DeviceError(
                f"{network.method}: {network.facts.adapter} failed on the device: {error}",
                "run it with CUDA_LAUNCH_BLOCKING=1",
            ) from error
        found: npt.NDArray[np.float32] = there.numpy()
        return found

    return arrived


def _texts(network: Network, texts: Any, expected: int) -> list[str]:
    if not isinstance(texts, list) or len(texts) != expected or not all(isinstance(text, str) for text in texts):
        raise BenchError(
            f"{network.method}: {network.facts.adapter} did not return a list of {expected} texts",
            "answer() must return one text per input, in order",
        )
    return [text.replace("\0", "") for text in texts]
