"""Any CLIP that open_clip can hold, from files on disk: OpenAI's, fine-tuned ones in its layout, open_clip's own."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bench.errors import UnknownName, WeightsError
from bench.models import checkpoint
from bench.models.adapters import clip_tower, open_clip_folder
from bench.models.tensors import check_images, torch_dtype
from bench.models.torchscript import is_torchscript

if TYPE_CHECKING:
    from torch import Tensor


class Tokenizer(Protocol):
    """What open_clip's tokenizers have in common: texts to token ids `[M, context]`, padded at the end."""

    context_length: int

    def __call__(self, texts: list[str], context_length: int | None = None) -> Tensor:
        """Token ids, in the tokenizer's own context or another."""
        ...


_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


class OpenClip:
    """A dual encoder for pictures (`bench.models.contract.ImageEncoder`).

    Without `architecture` the weights are in OpenAI's layout, and their shapes say which network it is. With it the
    named open_clip network is built and its weights loaded; its tokenizer's files, where it needs any, lie in the
    weights folder or in the role `tokenizer`. SigLIP's `logit_bias` is left out of the scores: it moves all classes
    alike.

    Args:
        weights: `model` -> checkpoint file or hub folder; `tokenizer` -> folder with a Hugging Face tokenizer.
        device: torch's name.
        dtype: `float32`, `float16` or `bfloat16`; outputs are float32 in any case.
        architecture: name of an open_clip network, `open_clip_config.json` for the one that this file of the weights folder
            describes, or empty for OpenAI's layout.
        activation: `quick_gelu` or `gelu`, as the weights were trained. Empty: quick-GELU for OpenAI's layout, the
            named network's own otherwise.
        container: key under which a pickled file keeps the weights.
        strip: prefix taken off the keys.
        drop: prefixes of keys that are not part of the two towers.

    Raises:
        WeightsError: the file cannot be read, or does not fit the network.
        UnknownName: open_clip has no such network.
    """

    version = "1"

    def __init__(
        self,
        weights: Mapping[str, Path],
        device: str = "cpu",
        dtype: str = "float32",
        *,
        architecture: str = "",
        activation: clip_tower.Activation | Literal[""] = "",
        container: str = "",
        strip: str = "",
        drop: Sequence[str] = (),
    ) -> None:
        source = weights["model"]
        state = checkpoint.state_dict(source, container=container, strip=strip, drop=(*clip_tower.SCALARS, *drop))
        self._dtype = torch_dtype(dtype)
        self._device = device
        if architecture:
            expected = activation or ("quick_gelu" if is_torchscript(source) else None)
            self._model = _named(architecture, state, source, device, dtype)
            if expected:
                clip_tower.check_activation(self._model, expected, source=source)
            self._tokenize: Tokenizer | None = _tokenizer(architecture, weights)
        else:
            self._model = clip_tower.build(
                state, source=source, activation=activation or "quick_gelu", device=device, dtype=dtype
            )
            self._tokenize = None
        size = self._model.visual.image_size
        self._size: int = size[0] if isinstance(size, tuple | list) else size

    @property
    def logit_scale(self) -> float:
        """`exp` of the learned log-temperature; 100 for OpenAI's weights."""
        return float(self._model.logit_scale.float().exp())

    def encode_images(self, pixels: Tensor) -> Tensor:
        """Encode pictures `[B, 3, S, S]`, S being the network's own size, as `[B, D]` float32, not normalised."""
        import torch

        check_images(pixels, self._size)
        with torch.inference_mode():
            features: Tensor = self._model.encode_image(pixels.to(self._device, self._dtype))
            return features.float()

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encode M texts as `[M, D]` float32, not normalised; a text longer than the context is cut (as published)."""
        if self._tokenize is None:
            return clip_tower.encode_texts(self._model, texts, self._device)
        return clip_tower.encode_tokens(self._model, self._tokenize(list(texts)), self._device)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """For each of M texts, whether it is longer than the context."""
        if self._tokenize is None:
            return clip_tower.cut_texts(self._model, texts)
        return clip_tower.cut_by(self._tokenize, texts, self._tokenize.context_length)


def _named(architecture: str, state: checkpoint.StateDict, source: Path, device: str, dtype: str) -> Any:
    import open_clip
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    described = architecture == open_clip_folder.CONFIG
    if not described and architecture not in open_clip.list_models():
        raise UnknownName("open_clip architecture", architecture, open_clip.list_models())
    precision = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}[dtype]
    with checkpoint.uninitialized(), _no_warnings():
        model = open_clip.create_model(
            f"local-dir:{source}" if described else architecture,
            load_weights=False,
            pretrained_text=False,
            precision=precision,
            device=device,
        )
    state = convert_state_dict(model, state)
    if hasattr(model, "text"):
        state = convert_to_custom_text_state_dict(state)
    for scalar in ("logit_scale", "logit_bias"):
        own = getattr(model, scalar, None)
        if own is not None and scalar in state:
            state[scalar] = state[scalar].reshape(own.shape)
    checkpoint.load_into(model, state, source=source)
    if dtype != "float32":
        clip_tower.norms_in(model, torch_dtype(dtype))
    return model.requires_grad_(False).eval()


@contextmanager
def _no_warnings() -> Iterator[None]:
    """open_clip warns that a network built without weights is random; the weights follow."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _tokenizer(architecture: str, weights: Mapping[str, Path]) -> Tokenizer:
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    if architecture == open_clip_folder.CONFIG:
        text = open_clip_folder.config_of(weights["model"])["model_cfg"]["text_cfg"]
    else:
        text = open_clip.get_model_config(architecture)["text_cfg"]
    settings = text.get("tokenizer_kwargs") or {}
    context = text.get("context_length", 77)
    if not text.get("hf_tokenizer_name"):
        plain: Tokenizer = open_clip.SimpleTokenizer(context_length=context, **settings)
        return plain
    folder = weights.get("tokenizer", weights["model"])
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise WeightsError(
            f"{architecture} needs the tokenizer {text['hf_tokenizer_name']!r}, and {folder} holds none of "
            f"{', '.join(_TOKENIZER_FILES)}",
            "give the whole hub folder as the weights, or a folder with the tokenizer's files in the role `tokenizer`",
        )
    own: Tokenizer = HFTokenizer(
        str(folder), context_length=context, tokenizer_mode=text.get("tokenizer_mode"), **settings
    )
    return own
