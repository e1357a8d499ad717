"""VideoCLIP (facebookresearch/fairseq, examples/MMPT): S3D's seconds read by one BERT, the text by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, WeightsError
from bench.models import checkpoint
from bench.models.adapters.bert import coded, word_pieces
from bench.models.adapters.clip_tower import HEAD_WIDTH, count_layers
from bench.models.tensors import check_clips, torch_dtype

if TYPE_CHECKING:
    from torch import Tensor

FRAMES_PER_TOKEN = 30
MAX_TOKENS = 32
# [CLS], at most 61 word pieces, [SEP]: the authors' 96 positions less 32 for the video and the video's own [SEP].
_CONTEXT = 63
_SIZE = 224
_CHUNKS_AT_ONCE = 4


class VideoClip:
    """A dual encoder for clips (`bench.models.contract.ClipEncoder`) whose embeddings are compared by their dot product.

    Thirty frames make one S3D vector; the vectors stand between [CLS] and a [SEP] that always has the position after
    the 32 that a clip may fill. A clip's embedding is the mean over its vectors' places and that [SEP], a text's the
    mean over its word pieces and [SEP] (`mmpt/models/mmfusion.py`).

    Args:
        weights: `model` -> fairseq's checkpoint; `s3d` -> s3d_howto100m.pth; `tokenizer` -> folder with the vocabulary
            of bert-base-uncased.
        device: torch's name.
        dtype: precision of the three networks; outputs are float32.
        container: key under which fairseq's checkpoint keeps the weights.
        strip: fairseq's prefix on the keys.
        unit_features: whether S3D's vectors are scaled to length one, as the features were that the network was
            trained on; the authors' demonstration leaves them as they are.

    Raises:
        WeightsError: a file cannot be read or does not fit.
    """

    version = "1"
    logit_scale = 1.0

    def __init__(
        self,
        weights: Mapping[str, Path],
        device: str = "cpu",
        dtype: str = "float32",
        *,
        container: str = "model",
        strip: str = "mmmodel.",
        unit_features: bool = True,
    ) -> None:
        drop = ("video_encoder.bert.embeddings.position_ids", "text_encoder.embeddings.position_ids")
        source = weights["model"]
        state = checkpoint.state_dict(source, container=container, strip=strip, drop=drop)
        self._device, self._dtype, self._unit = device, torch_dtype(dtype), unit_features
        self._s3d = _s3d(weights["s3d"]).to(device, self._dtype)
        self._encoders = _encoders(state, source).to(device, self._dtype)
        self._tokenizer = word_pieces(weights["tokenizer"], self._encoders.text_encoder.config.vocab_size)

    def encode_clips(self, pixels: Tensor) -> Tensor:
        """Encode clips `[B, T, 3, 224, 224]` of 30 frames per second in [0, 1] as `[B, D]` float32, not normalised.

        The last second is filled up with black.

        Raises:
            BenchError: another shape, or more than 32 seconds.
        """
        import torch

        check_clips(pixels, _SIZE)
        batch, frames = pixels.shape[:2]
        tokens = -(-frames // FRAMES_PER_TOKEN)
        if tokens > MAX_TOKENS:
            raise BenchError(
                f"a clip of {frames} frames gives {tokens} vectors, and VideoCLIP reads {MAX_TOKENS}",
                f"set `count` in the card's [native.frames] to {MAX_TOKENS * FRAMES_PER_TOKEN} or less",
            )
        with torch.inference_mode():
            seconds = self._seconds(pixels.to(self._device, self._dtype), tokens)
            features = torch.cat([self._s3d(part) for part in torch.split(seconds, _CHUNKS_AT_ONCE)])
            if self._unit:
                features = torch.nn.functional.normalize(features, dim=-1)
            video = self._encoders.video_encoder.videomlp(features.reshape(batch, tokens, -1))
            bert = self._encoders.video_encoder.bert
            marks = torch.tensor([self._tokenizer.cls_token_id, self._tokenizer.sep_token_id], device=self._device)
            first, last = bert.embeddings.word_embeddings(marks).expand(batch, -1, -1).split(1, 1)
            places = torch.tensor([*range(tokens + 1), MAX_TOKENS + 1], device=self._device)
            seen = bert(inputs_embeds=torch.cat([first, video, last], 1), position_ids=places[None])
            return seen.last_hidden_state[:, 1:].float().mean(1)  # type: ignore[no-any-return]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encode M texts as `[M, D]` float32, not normalised; cut at 61 word pieces."""
        import torch

        parts = []
        with torch.inference_mode():
            for batch in coded(self._tokenizer, texts, _CONTEXT, self._device):
                hidden = self._encoders.text_encoder(**batch).last_hidden_state.float()
                weight = batch["attention_mask"][:, 1:, None].float()
                parts.append((hidden[:, 1:] * weight).sum(1) / weight.sum(1))
            return torch.cat(parts)

    def _seconds(self, pixels: Tensor, tokens: int) -> Tensor:
        """Clips cut into seconds: `[B, T, 3, S, S]` to `[B * tokens, 3, 30, S, S]`."""
        from torch.nn.functional import pad

        missing = tokens * FRAMES_PER_TOKEN - pixels.shape[1]
        filled = pad(pixels, (0, 0) * 3 + (0, missing))
        return filled.reshape(-1, FRAMES_PER_TOKEN, *pixels.shape[2:]).transpose(1, 2)


def _s3d(source: Path) -> Any:
    from bench.models.adapters.s3d import S3D, read_widths

    state = checkpoint.state_dict(source, strip="module.", drop=("text_module.",))
    try:
        widths = read_widths(state)
    except KeyError as error:
        raise WeightsError(f"{source} is not S3D's: it has no {error.args[0]!r}") from error
    with checkpoint.uninitialized():
        model = S3D(widths)
    checkpoint.load_into(model, state, source=source)
    return model.requires_grad_(False).eval()


def _encoders(state: Mapping[str, Tensor], source: Path) -> Any:
    """The video and the text side, their sizes read off the weights."""
    from torch import nn
    from transformers import BertConfig, BertModel

    def bert(prefix: str) -> BertModel:
        vocabulary, width = state[f"{prefix}embeddings.word_embeddings.weight"].shape
        config = BertConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            num_hidden_layers=count_layers(state, f"{prefix}encoder.layer."),
            num_attention_heads=width // HEAD_WIDTH,
            intermediate_size=state[f"{prefix}encoder.layer.0.intermediate.dense.weight"].shape[0],
            max_position_embeddings=state[f"{prefix}embeddings.position_embeddings.weight"].shape[0],
        )
        return BertModel(config)

    encoders: Any = nn.Module()
    try:
        with checkpoint.uninitialized():
            width, features = state["video_encoder.videomlp.linear1.weight"].shape
            encoders.video_encoder = nn.Module()
            encoders.video_encoder.videomlp = nn.Sequential()
            for name, layer in (
                ("linear1", nn.Linear(features, width)),
                ("activation", nn.GELU()),
                ("LayerNorm", nn.LayerNorm(width)),
                ("linear2", nn.Linear(width, width)),
            ):
                encoders.video_encoder.videomlp.add_module(name, layer)
            encoders.video_encoder.bert = bert("video_encoder.bert.")
            encoders.text_encoder = bert("text_encoder.")
    except KeyError as error:
        raise WeightsError(f"{source} is not VideoCLIP's: it has no {error.args[0]!r}") from error
    checkpoint.load_into(encoders, state, source=source)
    return encoders.requires_grad_(False).eval()
