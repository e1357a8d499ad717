"""EmotionCLIP (Xeaver/EmotionCLIP): a CLIP that is told where the subject stands, and a transformer over eight frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import BenchError, WeightsError
from bench.models import checkpoint
from bench.models.adapters import clip_tower
from bench.models.tensors import check_clips, torch_dtype

if TYPE_CHECKING:
    from torch import Tensor

_HEADS = 8


class EmotionClip:
    """A dual encoder for clips (`bench.models.contract.ClipEncoder`).

    Each frame goes through a plain-GELU CLIP with one token more: the sum of the patches' position embeddings, weighted
    by how much of each patch the subject covers. A transformer over the frames follows; its output plus its input,
    averaged over time, is the clip's embedding (the repository's `src/models/base.py`). The temporal part runs in fp32:
    its authors saw wrong results in mixed precision.

    Args:
        weights: `model` -> the authors' checkpoint, whose weights lie under `container`.
        device: torch's name.
        dtype: of the two towers.
        container: key under which the checkpoint keeps the weights.
        subject: `everywhere` for face crops, which the person fills; `nowhere` for frames without a person.

    Raises:
        WeightsError: the file cannot be read or does not fit.
    """

    version = "1"

    def __init__(
        self,
        weights: Mapping[str, Path],
        device: str = "cpu",
        dtype: str = "float32",
        *,
        container: str = "model",
        subject: Literal["everywhere", "nowhere"] = "everywhere",
    ) -> None:
        if subject not in ("everywhere", "nowhere"):
            raise BenchError(f"subject = {subject!r} is unknown", "use 'everywhere' or 'nowhere'")
        source = weights["model"]
        state = checkpoint.state_dict(source, container=container)
        backbone = checkpoint.under(state, "backbone.")
        self._clip = clip_tower.build(backbone, source=source, activation="gelu", device=device, dtype=dtype)
        head = {key: tensor for key, tensor in state.items() if not key.startswith("backbone.")}
        self._head = _head(head, source)
        checkpoint.load_into(self._head, head, source=source)
        self._head.to(device).requires_grad_(False).eval()
        self._device, self._dtype, self._covered = device, torch_dtype(dtype), float(subject == "everywhere")

    @property
    def logit_scale(self) -> float:
        """`exp` of the learned log-temperature."""
        return float(self._head.logit_scale.exp())

    def encode_clips(self, pixels: Tensor) -> Tensor:
        """Encode clips `[B, 8, 3, S, S]` as `[B, D]` float32, not normalised."""
        import torch

        positions = self._head.visual_head.frame_position_embedding.weight
        check_clips(pixels, self._clip.visual.image_size[0], len(positions))
        with torch.inference_mode():
            frames = self._encode_frames(pixels.flatten(0, 1).to(self._device, self._dtype)).float()
            frames = frames.reshape(*pixels.shape[:2], -1)
            fused: Tensor = self._head.visual_head.fusion_layer(frames + positions) + frames
            return fused.mean(1)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encode M texts as `[M, D]` float32, not normalised; a text longer than the context is cut.

        The authors' code cuts off the end mark as well, which garbles such a text; here it stays.
        """
        return clip_tower.encode_texts(self._clip, texts, self._device)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """For each of M texts, whether it is longer than the context."""
        return clip_tower.cut_texts(self._clip, texts)

    def _encode_frames(self, frames: Tensor) -> Tensor:
        """The image tower with the subject's token behind the patches: `[N, 3, S, S]` to `[N, D]`."""
        import torch

        tower = self._clip.visual
        patches = tower.conv1(frames).flatten(2).transpose(1, 2)
        positions = tower.positional_embedding.to(patches.dtype)
        start = tower.class_embedding.to(patches.dtype).expand(len(frames), 1, -1)
        tokens = torch.cat([start, patches], 1) + positions
        subject = self._covered * positions[1:].sum(0).expand(len(frames), 1, -1)
        tokens = tower.transformer(tower.ln_pre(torch.cat([tokens, subject], 1)))
        embedding: Tensor = tower.ln_post(tokens[:, 0]) @ tower.proj
        return embedding


def _head(state: Mapping[str, Tensor], source: Path) -> Any:
    """The part outside CLIP, its size read off the weights."""
    import torch
    from torch import nn

    try:
        frames, width = state["visual_head.frame_position_embedding.weight"].shape
        hidden = state["visual_head.fusion_layer.layers.0.linear1.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(f"{source} is not EmotionCLIP's: it has no {error.args[0]!r}") from error
    layers = clip_tower.count_layers(state, "visual_head.fusion_layer.layers.")
    with checkpoint.uninitialized():
        layer = nn.TransformerEncoderLayer(width, _HEADS, hidden, activation="gelu", batch_first=True)
        temporal: Any = nn.Module()
        temporal.fusion_layer = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        temporal.frame_position_embedding = nn.Embedding(frames, width)
        temporal.register_buffer("position_ids", torch.arange(frames))
        head: Any = nn.Module()
        head.visual_head = temporal
        head.logit_scale = nn.Parameter(torch.zeros(()))
    return head
