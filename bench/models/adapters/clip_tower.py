"""A CLIP of any size from a state dict in OpenAI's key layout: its shapes say which network it is.

Built on open_clip's modules. open_clip's own builder for this layout rounds the weights to half precision first, which
fp32 files (FaRL, EmoCLIP) would not survive unharmed, so the network is built and filled here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bench.errors import BenchError, WeightsError
from bench.models.checkpoint import load_into, uninitialized
from bench.models.tensors import torch_dtype

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Activation = Literal["quick_gelu", "gelu"]

# Shapes kept as scalars beside the weights in OpenAI's archives.
SCALARS = ("input_resolution", "context_length", "vocab_size")
HEAD_WIDTH = 64
_TEXT_BATCH = 256


class ClipShape(NamedTuple):
    """The size of a CLIP: what open_clip's constructor takes."""

    embed_dim: int
    vision: dict[str, Any]
    text: dict[str, Any]


def read_shape(state: Mapping[str, Tensor], *, source: Path) -> ClipShape:
    """Read a network's size off the shapes of its weights (openai/CLIP `clip/model.py`, `build_model`).

    Args:
        state: a state dict in OpenAI's layout; the image tower is a ViT or a ResNet, heads are 64 wide.
        source: the file, for the message.

    Raises:
        WeightsError: a key that tells the size is missing, or a width is not a multiple of 64.
    """
    try:
        text_width = state["ln_final.weight"].shape[0]
        text = {
            "context_length": state["positional_embedding"].shape[0],
            "vocab_size": state["token_embedding.weight"].shape[0],
            "width": text_width,
            "heads": text_width // HEAD_WIDTH,
            "layers": count_layers(state, "transformer.resblocks."),
        }
        vision = _vit(state) if "visual.proj" in state else _resnet(state)
        embed_dim = state["text_projection"].shape[1]
    except KeyError as error:
        raise WeightsError(
            f"{source} is not in OpenAI's layout: it has no {error.args[0]!r}",
            "state `architecture`, an open_clip name, in the card's [encoder.options]",
        ) from error
    for tower, width in (("image", vision["width"]), ("text", text_width)):
        if width % HEAD_WIDTH:
            raise WeightsError(f"{source}: the {tower} tower is {width} wide, which is not a multiple of {HEAD_WIDTH}")
    return ClipShape(embed_dim, vision, text)


def count_layers(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many layers `prefix0.`, `prefix1.`, ... a state dict has."""
    return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})


def _vit(state: Mapping[str, Tensor]) -> dict[str, Any]:
    patches = state["visual.conv1.weight"]
    side = round((state["visual.positional_embedding"].shape[0] - 1) ** 0.5)
    return {
        "width": patches.shape[0],
        "patch_size": patches.shape[-1],
        "image_size": patches.shape[-1] * side,
        "layers": count_layers(state, "visual.transformer.resblocks."),
    }


def _resnet(state: Mapping[str, Tensor]) -> dict[str, Any]:
    side = round((state["visual.attnpool.positional_embedding"].shape[0] - 1) ** 0.5)
    return {
        "width": state["visual.layer1.0.conv1.weight"].shape[0],
        "image_size": 32 * side,
        "layers": [count_layers(state, f"visual.layer{stage}.") for stage in (1, 2, 3, 4)],
    }


def build(
    state: Mapping[str, Tensor], *, source: Path, activation: Activation, device: str = "cpu", dtype: str = "float32"
) -> Any:
    """Build and fill a CLIP in evaluation mode.

    Args:
        state: weights in OpenAI's layout without `SCALARS`; nothing may be missing or left over.
        source: the file, for messages.
        activation: what the weights were trained with; no file states it, and both load without a complaint.
        device: where it lives.
        dtype: `float32`, or `float16`/`bfloat16`: see `norms_in`.

    Returns:
        An open_clip `CLIP`.

    Raises:
        WeightsError: the weights do not fit together.
    """
    import torch
    from open_clip.model import CLIP, convert_weights_to_lp

    if activation not in ("quick_gelu", "gelu"):
        raise BenchError(f"activation = {activation!r} is unknown", "use 'quick_gelu' or 'gelu'")
    shape = read_shape(state, source=source)
    precision = torch_dtype(dtype)
    half = precision if precision != torch.float32 else None
    with uninitialized():
        model = CLIP(shape.embed_dim, shape.vision, shape.text, quick_gelu=activation == "quick_gelu", cast_dtype=half)
    load_into(model, state, source=source)
    model.to(device)
    if half is not None:
        convert_weights_to_lp(model, dtype=half)
        norms_in(model, half)
    return model.requires_grad_(False).eval()


def norms_in(model: Any, dtype: torch.dtype) -> None:
    """Let layer norms take and give half precision, as the matrices between them do.

    Mean and deviation are still taken in float32, inside the kernel. OpenAI's code and open_clip turn the whole input to float32
    and back around it instead: the same numbers but for the rounding of the norms' own weights, which OpenAI's files hold in
    half precision anyway, and 620 MB more through the device's memory per norm for 256 pictures of ViT-B/16.
    """
    from open_clip.transformer import LayerNorm, LayerNormFp32

    for module in model.modules():
        if isinstance(module, LayerNormFp32):
            module.__class__ = LayerNorm
            module.to(dtype)


def check_activation(model: Any, expected: Activation, *, source: Path) -> None:
    """Require that every MLP of both towers has the activation that the weights were trained with.

    Raises:
        WeightsError: a block has another one.
    """
    from open_clip.transformer import QuickGELU

    for name, module in model.named_modules():
        if name.rpartition(".")[2] in ("gelu", "act") and isinstance(module, QuickGELU) != (expected == "quick_gelu"):
            raise WeightsError(
                f"{source} was trained with {expected}, but {name} of the network is a {type(module).__name__}",
                "correct `architecture` (open_clip names its quick-GELU ones '-quickgelu') or `activation` in the card",
            )


def encode_texts(model: Any, texts: Sequence[str], device: str) -> Tensor:
    """Encode M texts with a CLIP's text tower, as `[M, D]` float32, not normalised.

    Texts become OpenAI's byte pairs: lower-cased, cut to the context with the end mark kept, padded with zeros.

    Args:
        model: what `build` returned, or any open_clip `CLIP` with OpenAI's vocabulary.
        texts: M texts.
        device: where the model is.

    Raises:
        WeightsError: a token lies outside a network's (smaller) vocabulary.
    """
    from open_clip import tokenize

    tokens: Tensor = tokenize(list(texts), context_length=model.context_length)
    worst = int(tokens.max())
    if worst >= model.vocab_size:
        raise WeightsError(f"a text gives token {worst}, but the network's vocabulary has {model.vocab_size} entries")
    return encode_tokens(model, tokens, device)


def cut_texts(model: Any, texts: Sequence[str]) -> list[bool]:
    """For each of M texts, whether OpenAI's byte pairs of it are more than the context of `model` holds."""
    from open_clip import tokenize

    return cut_by(lambda some, context: tokenize(some, context_length=context), texts, model.context_length)


def cut_by(tokenize: Callable[[list[str], int], Tensor], texts: Sequence[str], context: int) -> list[bool]:
    """For each of M texts, whether a tokenizer cuts it to a context of that many tokens.

    A text that is not cut has the same tokens with one place more, and padding in that place.

    Args:
        tokenize: texts and a context to token ids `[M, context]`, padded at the end.
        texts: M texts.
        context: the network's.
    """
    if not texts:
        return []
    short, long = tokenize(list(texts), context), tokenize(list(texts), context + 1)
    padding = tokenize([""], context + 1)[0, -1]
    whole = (long[:, :context] == short).all(dim=1) & (long[:, context] == padding)
    return [not fits for fits in whole.tolist()]


def encode_tokens(model: Any, tokens: Tensor, device: str) -> Tensor:
    """Encode token ids `[M, context]` with the text tower, as `[M, D]` float32, not normalised."""
    import torch

    with torch.inference_mode():
        return torch.cat([model.encode_text(part.to(device)).float() for part in torch.split(tokens, _TEXT_BATCH)])
