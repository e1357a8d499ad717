"""X-CLIP (microsoft/VideoX): frames that talk to each other, and texts that are prompted by the clip they describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import WeightsError
from bench.models import checkpoint
from bench.models.adapters import clip_tower
from bench.models.tensors import check_clips, torch_dtype

if TYPE_CHECKING:
    from torch import Tensor

_POSITION_IDS = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")

# From the authors' names to transformers', applied in this order.
_NAMES = (
    ("visual.conv1.", "vision_model.embeddings.patch_embedding."),
    ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
    ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
    ("visual.ln_pre.", "vision_model.pre_layernorm."),
    ("visual.ln_post.", "vision_model.post_layernorm."),
    ("visual.proj", "visual_projection.weight"),
    ("visual.transformer.resblocks.", "vision_model.encoder.layers."),
    ("mit.positional_embedding", "mit.position_embedding"),
    ("mit.resblocks.", "mit.encoder.layers."),
    ("transformer.resblocks.", "text_model.encoder.layers."),
    ("token_embedding.", "text_model.embeddings.token_embedding."),
    ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("ln_final.", "text_model.final_layer_norm."),
    ("text_projection", "text_projection.weight"),
    ("prompts_visual_ln.", "prompts_visual_layernorm."),
    ("prompts_visual_proj", "prompts_visual_projection"),
    ("prompts_generator.norm.", "prompts_generator.layernorm."),
)
_BLOCK_NAMES = (
    (".attn.", ".self_attn."),
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
)
_TRANSPOSED = ("visual_projection.weight", "text_projection.weight")


class XClip:
    """A joint scorer for clips (`bench.models.contract.JointScorer`).

    The authors' checkpoint and transformers' hub folder are both read; the number of frames is part of the weights.

    Args:
        weights: `model` -> the authors' file, whose weights lie under `container`, or a hub folder.
        device: torch's name.
        dtype: precision of the whole network; scores are float32.
        container: key under which a pickled checkpoint keeps the weights.

    Raises:
        WeightsError: the file cannot be read or does not fit.
    """

    version = "1"

    def __init__(
        self, weights: Mapping[str, Path], device: str = "cpu", dtype: str = "float32", *, container: str = "model"
    ) -> None:
        source = weights["model"]
        container = "" if source.is_dir() else container
        state = checkpoint.state_dict(source, container=container, drop=(*clip_tower.SCALARS, *_POSITION_IDS))
        if "visual.conv1.weight" in state:
            state = to_transformers(state)
        self._model = _network(state, source)
        self._device, self._dtype = device, torch_dtype(dtype)
        self._model.to(device, self._dtype).requires_grad_(False).eval()
        self._last_texts: tuple[tuple[str, ...], Tensor] | None = None

    def score(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        """Score clips `[B, T, 3, S, S]` against M texts as `[B, M]` float32: the cosine times the logit scale.

        Each text is shifted by what it attends to in the clip before the two are compared (`models/xclip.py`).
        """
        import torch
        from torch.nn.functional import normalize

        vision = self._model.config.vision_config
        check_clips(pixels, vision.image_size, vision.num_frames)
        with torch.inference_mode():
            seen = self._model.vision_model(pixel_values=pixels.flatten(0, 1).to(self._device, self._dtype))
            frames = self._model.visual_projection(seen.pooler_output).reshape(*pixels.shape[:2], -1)
            clips = self._model.mit(frames).pooler_output
            patches = self._model.prompts_visual_layernorm(seen.last_hidden_state[:, 1:])
            patches = patches @ self._model.prompts_visual_projection
            patches = patches.reshape(*pixels.shape[:2], *patches.shape[1:]).mean(1)
            prompted = self._encode(texts).expand(len(pixels), -1, -1)
            prompted = prompted + self._model.prompts_generator(prompted, patches)
            cosine = torch.einsum("bd,bmd->bm", normalize(clips.float(), dim=-1), normalize(prompted.float(), dim=-1))
            scores: Tensor = cosine * self._model.logit_scale.float().exp()
            return scores

    def _encode(self, texts: Sequence[str]) -> Tensor:
        """The texts before they meet a clip, `[M, D]`; kept, since every batch is scored against the same ones."""
        from open_clip import tokenize

        wanted = tuple(texts)
        if self._last_texts is None or self._last_texts[0] != wanted:
            context = self._model.config.text_config.max_position_embeddings
            tokens = tokenize(list(wanted), context_length=context).to(self._device)
            encoded = self._model.text_projection(self._model.text_model(input_ids=tokens).pooler_output)
            self._last_texts = (wanted, encoded)
        return self._last_texts[1]


def _network(state: Mapping[str, Tensor], source: Path) -> Any:
    from transformers import XCLIPConfig, XCLIPModel

    with checkpoint.uninitialized():
        model = XCLIPModel(XCLIPConfig(**_config(state, source)))
    checkpoint.load_into(model, state, source=source)
    return model


def to_transformers(state: Mapping[str, Tensor]) -> checkpoint.StateDict:
    """The authors' keys as transformers names them; joint query-key-value weights are split in three."""
    result: checkpoint.StateDict = {}
    for key, tensor in state.items():
        name = next((new + key.removeprefix(old) for old, new in _NAMES if key.startswith(old)), key)
        if ".layers." in name:
            for old, new in _BLOCK_NAMES:
                name = name.replace(old, new)
        if ".in_proj_" in name:
            stem, _, kind = name.rpartition("in_proj_")
            for part, piece in zip("qkv", tensor.chunk(3), strict=True):
                result[f"{stem}{part}_proj.{kind}"] = piece
        else:
            result[name] = tensor.T if name in _TRANSPOSED else tensor
    return result


def _config(state: Mapping[str, Tensor], source: Path) -> dict[str, Any]:
    """The network's size, read off the shapes of weights in transformers' naming; heads are 64 wide."""
    try:
        text_width = state["text_model.final_layer_norm.weight"].shape[0]
        patches = state["vision_model.embeddings.patch_embedding.weight"]
        width, side = patches.shape[0], patches.shape[-1]
        grid = round((state["vision_model.embeddings.position_embedding.weight"].shape[0] - 1) ** 0.5)
        _, frames, dim = state["mit.position_embedding"].shape
        vocabulary = state["text_model.embeddings.token_embedding.weight"].shape[0]
        context = state["text_model.embeddings.position_embedding.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(f"{source} is not X-CLIP's: it has no {error.args[0]!r}") from error
    return {
        "projection_dim": dim,
        "prompt_layers": clip_tower.count_layers(state, "prompts_generator.decoder."),
        "prompt_num_attention_heads": dim // clip_tower.HEAD_WIDTH,
        "text_config": {
            "vocab_size": vocabulary,
            "max_position_embeddings": context,
            **_transformer(text_width, clip_tower.count_layers(state, "text_model.encoder.layers.")),
        },
        "vision_config": {
            "patch_size": side,
            "image_size": side * grid,
            "num_frames": frames,
            "mit_hidden_size": dim,
            "mit_intermediate_size": 4 * dim,
            "mit_num_hidden_layers": clip_tower.count_layers(state, "mit.encoder.layers."),
            "mit_num_attention_heads": dim // clip_tower.HEAD_WIDTH,
            **_transformer(width, clip_tower.count_layers(state, "vision_model.encoder.layers.")),
        },
    }


def _transformer(width: int, layers: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // clip_tower.HEAD_WIDTH,
    }
