"""Any dual encoder of pictures and texts that transformers knows (CLIP, SigLIP, SigLIP 2, ALIGN and their like), from its hub folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import WeightsError
from bench.models.adapters.bert import TEXTS_AT_ONCE
from bench.models.adapters.transformers_folder import NO_CODE, check_report, config_of, is_dual_encoder, tokenizer_of
from bench.models.tensors import check_images, torch_dtype

if TYPE_CHECKING:
    from torch import Tensor


class TransformersDual:
    """A dual encoder for pictures (`bench.models.contract.ImageEncoder`).

    Features are the model's own `get_image_features` and `get_text_features`. Texts are padded to the context, as SigLIP's must be
    and as makes no difference elsewhere, since a model sees the mask if its tokenizer gives one. A sigmoid's `logit_bias` is left out of
    the scores: it moves all classes alike.

    Args:
        weights: `model` -> hub folder with config.json, safetensors and the tokenizer's files.
        device: torch's name.
        dtype: precision of both towers; outputs are float32.

    Raises:
        WeightsError: the folder holds no dual encoder that transformers can build without code from it, its weights do not fit, or
            nothing states the length of its texts.
    """

    version = "1"

    def __init__(self, weights: Mapping[str, Path], device: str = "cpu", dtype: str = "float32") -> None:
        folder = weights["model"]
        self._device, self._dtype = device, torch_dtype(dtype)
        self._model = _built(folder, self._dtype).to(device).requires_grad_(False).eval()
        self._tokenizer = tokenizer_of(folder)
        self._context = _context(self._model.config, self._tokenizer, folder)
        vision: Any = getattr(self._model.config, "vision_config", None)
        self._patch: int | None = vision.patch_size if getattr(vision, "num_patches", None) else None

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied by: `exp` of the learned log-temperature, or one over ALIGN's temperature."""
        if hasattr(self._model, "logit_scale"):
            return math.exp(float(self._model.logit_scale.float()))
        return 1 / float(self._model.temperature.float())

    def encode_images(self, pixels: Tensor) -> Tensor:
        """Encode pictures `[B, 3, S, S]` as `[B, D]` float32, not normalised."""
        import torch

        check_images(pixels, pixels.shape[-1])
        given = pixels.to(self._device, self._dtype)
        inputs = {"pixel_values": given} if self._patch is None else _patches(given, self._patch)
        with torch.inference_mode():
            return _pooled(self._model.get_image_features(**inputs)).float()

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encode M texts as `[M, D]` float32, not normalised; a text longer than the context is cut."""
        import torch

        rows = []
        with torch.inference_mode():
            for start in range(0, len(texts), TEXTS_AT_ONCE):
                batch = self._tokenizer(
                    list(texts[start : start + TEXTS_AT_ONCE]),
                    padding="max_length",
                    max_length=self._context,
                    truncation=True,
                    return_tensors="pt",
                ).to(self._device)
                rows.append(_pooled(self._model.get_text_features(**batch)).float())
        return torch.cat(rows)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """For each of M texts, whether it is longer than the context."""
        found = self._tokenizer(list(texts), verbose=False).input_ids
        return [len(ids) > self._context for ids in found]


def _patches(pixels: Tensor, side: int) -> dict[str, Tensor]:
    """What a tower of any number of patches takes: each patch's values row by row, and the shape of the picture in patches."""
    import torch

    batch, channels, size, _ = pixels.shape
    count = size // side
    cut = pixels.reshape(batch, channels, count, side, count, side).permute(0, 2, 4, 3, 5, 1)
    shape = torch.tensor([[count, count]] * batch, device=pixels.device)
    mask = torch.ones(batch, count * count, dtype=torch.int32, device=pixels.device)
    return {
        "pixel_values": cut.reshape(batch, count * count, side * side * channels),
        "pixel_attention_mask": mask,
        "spatial_shapes": shape,
    }


def _pooled(features: Any) -> Tensor:
    """The features: transformers wraps them in an output of the tower since version 5."""
    pooled: Tensor = getattr(features, "pooler_output", features)
    return pooled


def _context(config: Any, tokenizer: Any, folder: Path) -> int:
    """Tokens a text may have: as many as the text tower has positions for, or fewer where the tokenizer says so."""
    text = config.get_text_config()
    stated = [getattr(text, "max_position_embeddings", None), tokenizer.model_max_length]
    known = [int(length) for length in stated if isinstance(length, int) and 0 < length < 1_000_000]
    if not known:
        raise WeightsError(f"{folder} does not state how long a text may be", "give the tokenizer's model_max_length")
    return min(known)


def _built(folder: Path, dtype: Any) -> Any:
    from transformers import AutoModel

    config = config_of(folder)
    if not is_dual_encoder(config):
        raise WeightsError(f"{folder} holds no dual encoder, but {config.architectures}", NO_CODE)
    models: Any = AutoModel
    try:
        model, report = models.from_pretrained(
            str(folder),
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below
            output_loading_info=True,
        )
    except Exception as error:
        raise WeightsError(
            f"{folder} holds no weights that can be loaded: {type(error).__name__}: {error!s:.300}", NO_CODE
        ) from error
    check_report(report, model, folder)
    if not (hasattr(model, "logit_scale") or hasattr(model, "temperature")):
        raise WeightsError(f"{type(model).__name__} in {folder} has neither a logit_scale nor a temperature", NO_CODE)
    return model
