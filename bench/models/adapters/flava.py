"""FLAVA (facebook/flava-full): the two unimodal encoders and their contrastive projections, on transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import WeightsError
from bench.models import checkpoint
from bench.models.adapters.bert import coded, word_pieces
from bench.models.tensors import check_images, torch_dtype

if TYPE_CHECKING:
    from torch import Tensor

# Parts of the pre-training model that no embedding uses, and a table that older files carry.
_UNUSED = (
    "image_codebook.",
    "mim_head.",
    "mlm_head.",
    "itm_head.",
    "mmm_image_head.",
    "mmm_text_head.",
    "text_model.embeddings.position_ids",
)
_CONTEXT = 77


class Flava:
    """A dual encoder for pictures (`bench.models.contract.ImageEncoder`).

    The embedding is the contrastive projection of the first token, on either side (transformers' `FlavaForPreTraining`,
    contrastive branch); neither the tanh-pooled token nor the mean over tokens was trained for this.

    Args:
        weights: `model` -> hub folder with config.json, the weights and BERT's vocabulary.
        device: torch's name.
        dtype: precision of both encoders; outputs are float32.

    Raises:
        WeightsError: the folder lacks a file, or the weights do not fit the configuration.
    """

    version = "1"

    def __init__(self, weights: Mapping[str, Path], device: str = "cpu", dtype: str = "float32") -> None:
        folder = weights["model"]
        self._model = _network(folder)
        self._device, self._dtype = device, torch_dtype(dtype)
        self._model.to(device, self._dtype).requires_grad_(False).eval()
        self._tokenizer = word_pieces(folder, self._model.config.text_config.vocab_size)

    @property
    def logit_scale(self) -> float:
        """`exp` of the learned log-temperature."""
        return float(self._model.logit_scale.float().exp())

    def encode_images(self, pixels: Tensor) -> Tensor:
        """Encode pictures `[B, 3, S, S]` as `[B, D]` float32, not normalised."""
        import torch

        check_images(pixels, self._model.config.image_config.image_size)
        with torch.inference_mode():
            tokens = self._model.image_model(pixel_values=pixels.to(self._device, self._dtype)).last_hidden_state
            features: Tensor = self._model.image_projection(tokens[:, 0])
            return features.float()

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encode M texts as `[M, D]` float32, not normalised; padded or cut to 77 word pieces, as in pre-training."""
        import torch

        parts = []
        with torch.inference_mode():
            for batch in coded(self._tokenizer, texts, _CONTEXT, self._device):
                tokens = self._model.text_model(**batch).last_hidden_state
                parts.append(self._model.text_projection(tokens[:, 0]).float())
            return torch.cat(parts)


def _network(folder: Path) -> Any:
    from transformers import FlavaConfig, FlavaModel

    if not (folder / "config.json").is_file():
        raise WeightsError(
            f"{folder} holds no config.json", "give the whole hub folder facebook/flava-full as the weights"
        )
    state = checkpoint.state_dict(folder, strip="flava.", drop=_UNUSED)
    with checkpoint.uninitialized():
        model = FlavaModel(FlavaConfig.from_pretrained(str(folder)))
    checkpoint.load_into(model, state, source=folder)
    return model
