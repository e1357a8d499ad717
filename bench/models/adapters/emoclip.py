"""EmoCLIP (NickyFot/EmoCLIP): OpenAI's CLIP B/32 on every frame, and a transformer with a class token over the frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError, WeightsError, counted
from bench.models import checkpoint
from bench.models.adapters import clip_tower
from bench.models.tensors import check_clips, torch_dtype

if TYPE_CHECKING:
    from torch import Tensor

_HEADS = 8


class EmoClip:
    """A dual encoder for clips (`bench.models.contract.ClipEncoder`).

    Two layouts of the authors' weights are read: the whole network, and the one for downstream tasks, which has no
    text tower; then the text tower of OpenAI's file takes its place. The temporal part runs in fp32.

    Args:
        weights: `model` -> the authors' state dict, and where it has no text tower `text` -> OpenAI's ViT-B/32.
        device: torch's name.
        dtype: of the two towers.
        strip: prefix that distributed training left on the keys.

    Raises:
        WeightsError: a file cannot be read or does not fit, or there is no text tower.
    """

    version = "1"

    def __init__(
        self, weights: Mapping[str, Path], device: str = "cpu", dtype: str = "float32", *, strip: str = "module."
    ) -> None:
        source = weights["model"]
        state = checkpoint.state_dict(source, strip=strip)
        backbone = checkpoint.under(state, "backbone.")
        if "conv1.weight" in backbone:
            backbone = _with_text(backbone, source, weights.get("text"))
        self._clip = clip_tower.build(backbone, source=source, activation="quick_gelu", device=device, dtype=dtype)
        rest = {key: tensor for key, tensor in state.items() if not key.startswith("backbone.")}
        self._scale = float(rest.pop("logit_scale", backbone["logit_scale"]).float().exp())
        self._depth = _check_temporal(rest, self._clip.visual.output_dim, source)
        self._temporal = {key: tensor.to(device).float() for key, tensor in rest.items()}
        self._device, self._dtype = device, torch_dtype(dtype)

    @property
    def logit_scale(self) -> float:
        """`exp` of the network's own learned log-temperature; of CLIP's where the file has none."""
        return self._scale

    def encode_clips(self, pixels: Tensor) -> Tensor:
        """Encode clips `[B, T, 3, S, S]` as `[B, D]` float32, not normalised.

        Raises:
            BenchError: more frames than the network has positions for (1,023).
        """
        import torch

        check_clips(pixels, self._clip.visual.image_size[0])
        batch, count = pixels.shape[:2]
        places = self._temporal["temporal.pos_embedding"]
        if count >= places.shape[1]:
            raise BenchError(
                f"a clip of {counted(count, 'frame')} is too long: EmoCLIP has room for {places.shape[1] - 1}",
                "lower `count` in the card's [native.frames]",
            )
        with torch.inference_mode():
            frames = self._clip.encode_image(pixels.flatten(0, 1).to(self._device, self._dtype)).float()
            start = self._temporal["temporal.cls_token"].expand(batch, -1, -1)
            tokens = torch.cat([start, frames.reshape(batch, count, -1)], 1) + places[:, : count + 1]
            for layer in range(self._depth):
                tokens = self._block(tokens, f"temporal.temporal_transformer.layers.{layer}.")
            return tokens[:, 0]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encode M texts as `[M, D]` float32, not normalised; a text longer than the context is cut."""
        return clip_tower.encode_texts(self._clip, texts, self._device)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """For each of M texts, whether it is longer than the context."""
        return clip_tower.cut_texts(self._clip, texts)

    def _block(self, tokens: Tensor, layer: str) -> Tensor:
        """A pre-norm transformer block: attention with wide heads and no bias, then an MLP with tanh-GELU."""
        from torch.nn import functional as F

        w = {key.removeprefix(layer): tensor for key, tensor in self._temporal.items() if key.startswith(layer)}
        width = tokens.shape[-1:]
        normed = F.layer_norm(tokens, width, w["0.fn.norm.weight"], w["0.fn.norm.bias"])
        query, key, value = (
            part.reshape(*part.shape[:2], _HEADS, -1).transpose(1, 2)
            for part in F.linear(normed, w["0.fn.fn.to_qkv.weight"]).chunk(3, -1)
        )
        attended = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1) @ value
        attended = attended.transpose(1, 2).flatten(2)
        tokens = tokens + F.linear(attended, w["0.fn.fn.to_out.0.weight"], w["0.fn.fn.to_out.0.bias"])
        normed = F.layer_norm(tokens, width, w["1.fn.norm.weight"], w["1.fn.norm.bias"])
        hidden = F.gelu(F.linear(normed, w["1.fn.fn.net.0.weight"], w["1.fn.fn.net.0.bias"]), approximate="tanh")
        return tokens + F.linear(hidden, w["1.fn.fn.net.3.weight"], w["1.fn.fn.net.3.bias"])


def _with_text(visual: checkpoint.StateDict, source: Path, text: Path | None) -> checkpoint.StateDict:
    """A whole CLIP from the image tower in one file and the text tower in another."""
    if text is None:
        raise WeightsError(
            f"{source} holds the image side only", "take the variant whose text side is OpenAI's: emoclip:text=openai"
        )
    other = checkpoint.state_dict(text, drop=(*clip_tower.SCALARS, "visual."))
    return {**{f"visual.{key}": tensor for key, tensor in visual.items()}, **other}


def _check_temporal(state: Mapping[str, Tensor], width: int, source: Path) -> int:
    """Require a whole temporal transformer of the towers' width; returns its depth."""
    prefix = "temporal.temporal_transformer.layers."
    depth = clip_tower.count_layers(state, prefix)
    places, qkv, hidden = (
        state[key].shape[axis] if key in state else 0
        for key, axis in (
            ("temporal.pos_embedding", 1),
            (prefix + "0.0.fn.fn.to_qkv.weight", 0),
            (prefix + "0.1.fn.fn.net.0.weight", 0),
        )
    )
    shapes: dict[str, tuple[int, ...]] = {
        "temporal.cls_token": (1, 1, width),
        "temporal.pos_embedding": (1, places, width),
    }
    for layer in range(max(depth, 1)):
        for key, shape in (
            ("0.fn.norm.weight", (width,)),
            ("0.fn.norm.bias", (width,)),
            ("0.fn.fn.to_qkv.weight", (qkv, width)),
            ("0.fn.fn.to_out.0.weight", (width, qkv // 3)),
            ("0.fn.fn.to_out.0.bias", (width,)),
            ("1.fn.norm.weight", (width,)),
            ("1.fn.norm.bias", (width,)),
            ("1.fn.fn.net.0.weight", (hidden, width)),
            ("1.fn.fn.net.0.bias", (hidden,)),
            ("1.fn.fn.net.3.weight", (width, hidden)),
            ("1.fn.fn.net.3.bias", (width,)),
        ):
            shapes[f"{prefix}{layer}.{key}"] = shape
    checkpoint.require(state, shapes, source=source, network="EmoCLIP's temporal transformer")
    return depth
