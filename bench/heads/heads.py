"""Projection heads: what is put on both sides of a dual encoder before they are compared.

This is the side that scores, in numpy; `modules` holds the side that trains. A head's file is safetensors: the tensors
under the names that its module gives them, and in the metadata its design and the record of how it was made. The
authors' own files hold the linear head alone, as a PyTorch state dict with one key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from bench.cards.head_training import Design
from bench.errors import WeightsError
from bench.store.files import write_whole

Floats = npt.NDArray[np.float32]

LAST = "mlp.weight"
FORMAT = "fer-bench head 1"
LAYER_NORM_EPS = 1e-5


class Head(Protocol):
    """Maps embeddings `[..., D]` to `[..., H]`; `linear` heads commute with the mean over a clip's frames."""

    @property
    def linear(self) -> bool:
        """Whether projecting is one matrix product."""
        ...

    @property
    def width(self) -> int:
        """D, the width of the embeddings that it takes."""
        ...

    def project(self, embeddings: Floats) -> Floats:
        """Project embeddings, float32 in and out."""
        ...


@dataclass(frozen=True)
class LinearHead:
    """The published head: one bias-free linear map, `mlp.weight` `[H, D]`."""

    weight: Floats
    linear: bool = True

    @property
    def width(self) -> int:
        """The width of the embeddings that it takes."""
        return int(self.weight.shape[1])

    @cached_property
    def gram(self) -> Floats:
        """`weight.T @ weight` `[D, D]`: with it lengths and products are known without projecting."""
        return self.weight.T @ self.weight

    def project(self, embeddings: Floats) -> Floats:
        """`embeddings @ weight.T`."""
        return embeddings @ self.weight.T


class Map(NamedTuple):
    """A linear map with a bias: `weight` `[O, I]`, `bias` `[O]`."""

    weight: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        """`x @ weight.T + bias`."""
        return np.asarray(x @ self.weight.T + self.bias, np.float32)


@dataclass(frozen=True)
class MlpHead:
    """Linear maps with a GELU behind each, then the last, bias-free map `[H, hidden]`."""

    hidden: tuple[Map, ...]
    last: Floats
    linear: bool = False

    @property
    def width(self) -> int:
        """The width of the embeddings that it takes."""
        return int(self.hidden[0].weight.shape[1])

    def project(self, embeddings: Floats) -> Floats:
        """Project embeddings `[..., D]` to `[..., H]`."""
        x = embeddings
        for layer in self.hidden:
            x = gelu(layer(x))
        return x @ self.last.T


@dataclass(frozen=True)
class TransformerHead:
    """One transformer-encoder layer on a single embedding, then a bias-free map `[H, D]`.

    A softmax over one position is 1, so attention gives that position's own value: queries and keys do not matter here.
    """

    value: Map
    output: Map
    attended: Map
    wide: Map
    narrow: Map
    fed: Map
    last: Floats
    linear: bool = False

    @property
    def width(self) -> int:
        """The width of the embeddings that it takes."""
        return int(self.value.weight.shape[1])

    def project(self, embeddings: Floats) -> Floats:
        """Project embeddings `[..., D]` to `[..., H]`, each by itself."""
        x = layer_norm(embeddings + self.output(self.value(embeddings)), self.attended)
        x = layer_norm(x + self.narrow(gelu(self.wide(x))), self.fed)
        return x @ self.last.T


def gelu(x: Floats) -> Floats:
    """The exact Gaussian error linear unit, x times the normal distribution function at x."""
    from scipy.special import erf

    return np.asarray(x * (0.5 * (1.0 + erf(x * np.float32(np.sqrt(0.5))))), np.float32)


def layer_norm(x: Floats, scale: Map) -> Floats:
    """Rows scaled to mean 0 and variance 1, then by `scale.weight` and `scale.bias` `[D]`."""
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + LAYER_NORM_EPS)
    return np.asarray(centred / spread * scale.weight + scale.bias, np.float32)


def head_of(design: Design, state: Mapping[str, Floats]) -> Head:
    """The head of a module's state, float32 arrays under the names that `modules.Projection` gives them.

    Raises:
        WeightsError: a tensor is missing, left over or not finite, or shapes do not follow from one another.
    """
    left = dict(state)

    def take(*names: str) -> list[Floats]:
        missing = [name for name in names if name not in left]
        if missing:
            raise WeightsError(f"a {design.kind} head without {', '.join(missing)} (it holds {sorted(state)[:12]})")
        return [left.pop(name) for name in names]

    def linear(name: str) -> Map:
        return Map(*take(f"body.{name}.weight", f"body.{name}.bias"))

    (last,) = take(LAST)
    head: Head
    if design.kind == "linear":
        head = LinearHead(last)
    elif design.kind == "mlp":
        head = MlpHead(tuple(linear(str(2 * number)) for number in range(design.layers - 1)), last)
    else:
        stacked = Map(*take("body.self_attn.in_proj_weight", "body.self_attn.in_proj_bias"))
        width = len(stacked.bias) // 3
        head = TransformerHead(
            value=Map(stacked.weight[2 * width :], stacked.bias[2 * width :]),
            output=linear("self_attn.out_proj"),
            attended=linear("norm1"),
            wide=linear("linear1"),
            narrow=linear("linear2"),
            fed=linear("norm2"),
            last=last,
        )
    if left:
        raise WeightsError(f"a {design.kind} head with {', '.join(sorted(left))} left over")
    for name, tensor in state.items():
        if not np.isfinite(tensor).all():
            raise WeightsError(f"a head whose {name} is not finite", "train it again")
    try:
        head.project(np.zeros((1, head.width), np.float32))
    except (ValueError, IndexError) as error:
        shapes = {name: list(tensor.shape) for name, tensor in state.items()}
        raise WeightsError(f"a {design.kind} head whose tensors do not fit each other: {shapes}") from error
    return head


def write_head(path: Path, design: Design, state: Mapping[str, Floats], record: Mapping[str, Any]) -> None:
    """Write a head file, whole or not at all.

    Args:
        path: a `.safetensors` file.
        design: the head's shape.
        state: its tensors, as `head_of` takes them.
        record: JSON-able facts: data, teacher, instruction, seed, versions, loss curve.
    """
    from safetensors.numpy import save

    head_of(design, state)
    metadata = {"format": FORMAT, "design": design.model_dump_json(), "record": json.dumps(dict(record))}
    data = save({name: np.ascontiguousarray(tensor) for name, tensor in state.items()}, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)


class HeadFile(NamedTuple):
    """What a head file holds."""

    head: Head
    design: Design
    record: dict[str, Any]


def read_head(path: Path) -> HeadFile:
    """Read a file that `write_head` wrote.

    Raises:
        WeightsError: there is no such file, or it is broken, or it is another kind of file.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"there is no head file {path}", "train it, or name another file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
            names: list[str] = file.keys()
            state = {name: np.asarray(file.get_tensor(name), np.float32) for name in names}
    except SafetensorError as error:
        raise WeightsError(f"{path} is a broken or truncated safetensors file: {error}", "train it again") from error
    if metadata.get("format") != FORMAT:
        raise WeightsError(
            f"{path} says format {metadata.get('format')!r} in its metadata, not {FORMAT!r}",
            "name a file that was trained here; the authors' own files are read with head.key",
        )
    try:
        design = Design.model_validate_json(metadata.get("design", ""))
        return HeadFile(head_of(design, state), design, json.loads(metadata.get("record", "{}")))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error.what}", error.fix) from error
    except (ValidationError, ValueError) as error:
        raise WeightsError(f"{path}: its metadata cannot be read: {error}", "train it again") from error


def read_linear(path: Path, key: str) -> LinearHead:
    """Read a published head file.

    Args:
        path: a PyTorch state dict (loaded without running code from it) or a safetensors file.
        key: the weight's name in it.

    Raises:
        WeightsError: the key is not there, or what lies there is no finite matrix.
    """
    from bench.models.checkpoint import state_dict

    state = state_dict(path)
    if key not in state:
        raise WeightsError(
            f"{path}: no {key!r} in this head file (it holds {sorted(state)[:8]})", "set head.key in the card"
        )
    weight: Floats = state[key].detach().float().numpy()
    if weight.ndim != 2 or not np.isfinite(weight).all():
        raise WeightsError(f"{path}: {key} is not a finite matrix (shape {list(weight.shape)})", "get the file again")
    return LinearHead(weight)


def fitting(head: Head, path: Path, width: int) -> Head:
    """The head itself, if it was made for embeddings of that width.

    Raises:
        WeightsError: it was made for an encoder of another width.
    """
    if head.width != width:
        raise WeightsError(
            f"{path}: this head takes embeddings {head.width} wide, but this encoder's are {width} wide",
            "use the head that was trained for this backbone",
        )
    return head
