"""The compared systems at toy size, in the containers and under the names that the real ones are published in.

Those that grew out of CLIP grow out of the miniature's trained CLIPs, where these lie in the same folder, so that their
rows stand above chance; without them, and for the other systems, weights are random. Nothing here is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.mini.bert_systems import write_flava, write_videoclip
from bench.mini.drawn import attention, block, dense, drawn, norm

if TYPE_CHECKING:
    from torch import Tensor

    from bench.models.checkpoint import StateDict

_SIZE, _WIDTH, _LAYERS, _DIM = 224, 128, 3, 64
_TEXT_LAYERS, _CONTEXT, _VOCABULARY = 2, 77, 49_408
_PATCH = {"ViT-B-32.pt": 32, "ViT-B-16.pt": 16}
_FARL = {"ep16": 0.1, "ep64": 0.15}
_EMOTIONCLIP_FRAMES = 8
_EMOCLIP_PLACES = 64
_XCLIP_FRAMES = (8, 16)


def write_farl(folder: Path) -> None:
    """FaRL's two files: B/16's towers, and the masked-image head that no embedding uses, under `state_dict`."""
    head: dict[str, Sequence[int]] = {
        "visual.mask_token": (_WIDTH,),
        **block("visual.lm_transformer.resblocks.0", _WIDTH),
        **norm("visual.ln_lm", _WIDTH),
        **dense("visual.lm_head", 32, _WIDTH),
    }
    for seed, (epochs, noise) in enumerate(_FARL.items(), start=30):
        state = {**_clip(folder, "ViT-B-16.pt", seed, noise), **drawn(head, seed)}
        _save({"state_dict": state}, folder / f"FaRL-Base-Patch16-LAIONFace20M-{epochs}.pth")


def write_emotionclip(folder: Path) -> None:
    """EmotionCLIP's file: B/32 under `backbone.` and a transformer over eight frames, in a training checkpoint."""
    import torch

    head: dict[str, Sequence[int]] = {
        "visual_head.frame_position_embedding.weight": (_EMOTIONCLIP_FRAMES, _DIM),
        **norm("visual_head.fusion_layer.norm", _DIM),
    }
    for number in range(2):
        layer = f"visual_head.fusion_layer.layers.{number}"
        head |= attention(f"{layer}.self_attn", _DIM) | norm(f"{layer}.norm1", _DIM) | norm(f"{layer}.norm2", _DIM)
        head |= dense(f"{layer}.linear1", 2 * _DIM, _DIM) | dense(f"{layer}.linear2", _DIM, 2 * _DIM)
    temporal = drawn(head, 40)
    # What the random transformer adds to a frame must not drown it.
    for key in ("visual_head.fusion_layer.norm.weight", "visual_head.frame_position_embedding.weight"):
        temporal[key] *= 0.05
    clip = _clip(folder, "ViT-B-32.pt", 40, 0.05)
    state = {
        **_under("backbone.", clip),
        **temporal,
        "visual_head.position_ids": torch.arange(_EMOTIONCLIP_FRAMES),
        "logit_scale": clip["logit_scale"].clone(),
    }
    _save({"epoch": 1, "model": state, "optimizer": {}}, folder / "emotionclip_latest.pt")


def write_emoclip(folder: Path) -> None:
    """EmoCLIP's file: B/32 and a transformer with a class token, as distributed training left it (`module.`)."""
    import torch

    shapes: dict[str, Sequence[int]] = {
        "temporal.cls_token": (1, 1, _DIM),
        "temporal.pos_embedding": (1, _EMOCLIP_PLACES, _DIM),
    }
    layers = [f"temporal.temporal_transformer.layers.{number}" for number in range(2)]
    for layer in layers:
        shapes |= norm(f"{layer}.0.fn.norm", _DIM) | norm(f"{layer}.1.fn.norm", _DIM)
        shapes |= {f"{layer}.0.fn.fn.to_qkv.weight": (3 * _DIM, _DIM)} | dense(f"{layer}.0.fn.fn.to_out.0", _DIM, _DIM)
        shapes |= dense(f"{layer}.1.fn.fn.net.0", 2 * _DIM, _DIM) | dense(f"{layer}.1.fn.fn.net.3", _DIM, 2 * _DIM)
    temporal = drawn(shapes, 50, gain=0.1)
    for layer in layers:  # the class token gathers the frames as they are
        temporal[f"{layer}.0.fn.fn.to_qkv.weight"][2 * _DIM :] = torch.eye(_DIM)
        temporal[f"{layer}.0.fn.fn.to_out.0.weight"].copy_(torch.eye(_DIM))
    clip = _clip(folder, "ViT-B-32.pt", 50, 0.1)
    state = {**_under("backbone.", clip), **temporal, "logit_scale": clip["logit_scale"].clone()}
    _save(_under("module.", state), folder / "emoclip.pth")


def write_xclip(folder: Path) -> None:
    """X-CLIP's two files: B/32 with messages between frames and texts prompted by the clip, under `model`."""
    import torch

    layers = [f"visual.transformer.resblocks.{number}" for number in range(_LAYERS)]
    shapes: dict[str, Sequence[int]] = {
        "prompts_visual_proj": (_WIDTH, _DIM),
        **norm("prompts_visual_ln", _WIDTH),
        **norm("prompts_generator.norm", _DIM),
        **block("mit.resblocks.0", _DIM),
        "mit.positional_embedding": (1, max(_XCLIP_FRAMES), _DIM),
    }
    for layer in layers:
        shapes |= dense(f"{layer}.message_fc", _WIDTH, _WIDTH) | norm(f"{layer}.message_ln", _WIDTH)
        shapes |= attention(f"{layer}.message_attn", _WIDTH)
    for number in range(2):
        layer = f"prompts_generator.decoder.{number}"
        shapes |= {f"{layer}.cross_attn.{name}_proj.weight": (_DIM, _DIM) for name in "qkv"}
        shapes |= (
            dense(f"{layer}.cross_attn.proj", _DIM, _DIM) | norm(f"{layer}.norm1", _DIM) | norm(f"{layer}.norm3", _DIM)
        )
        shapes |= dense(f"{layer}.mlp.0", 4 * _DIM, _DIM) | dense(f"{layer}.mlp.3", _DIM, 4 * _DIM)
    own = drawn(shapes, 60, gain=0.3)
    own["prompts_generator.alpha"] = torch.full((_DIM,), 0.1)
    for frames in _XCLIP_FRAMES:
        state = {**_clip(folder, "ViT-B-32.pt", 60 + frames, 0.03), **own}
        state["mit.positional_embedding"] = own["mit.positional_embedding"][:, :frames].clone()
        _save({"model": state, "optimizer": {}, "epoch": 29}, folder / f"k400_32_{frames}.pth")


WRITERS: Mapping[str, Callable[[Path], None]] = {
    "farl": write_farl,
    "flava": write_flava,
    "videoclip": write_videoclip,
    "xclip": write_xclip,
    "emotionclip": write_emotionclip,
    "emoclip": write_emoclip,
}
NAMES = tuple(WRITERS)


def write_all(folder: Path) -> None:
    """Write every file that these systems' cards name into a weights folder.

    Args:
        folder: where the miniature's CLIPs lie already, if they are to be what some of the systems grow out of.
    """
    for write in WRITERS.values():
        write(folder)


def _clip(folder: Path, name: str, seed: int, noise: float) -> StateDict:
    """A CLIP in OpenAI's keys: the folder's own with some noise, or a random one where it has none.

    Args:
        noise: standard deviation of what is added to a matrix or filter, as a share of its own.
    """
    from bench.models import checkpoint
    from bench.models.adapters import clip_tower

    if not (folder / name).is_file():
        state = drawn(_clip_shapes(_PATCH[name]), seed)
        state["logit_scale"].fill_(4.6052)
        return {key: tensor.half() if tensor.ndim > 1 else tensor for key, tensor in state.items()}
    state = checkpoint.state_dict(folder / name, drop=clip_tower.SCALARS)
    moved = [key for key, tensor in state.items() if tensor.ndim > 1 and key != "token_embedding.weight"]
    for key, draw in drawn({key: state[key].shape for key in moved}, seed).items():
        tensor = state[key].float()
        state[key] = (tensor + draw * noise * tensor.std() / draw.std()).to(state[key].dtype)
    return state


def _clip_shapes(patch: int) -> dict[str, Sequence[int]]:
    shapes: dict[str, Sequence[int]] = {
        "logit_scale": (),
        "positional_embedding": (_CONTEXT, _DIM),
        "text_projection": (_DIM, _DIM),
        "token_embedding.weight": (_VOCABULARY, _DIM),
        "visual.class_embedding": (_WIDTH,),
        "visual.positional_embedding": ((_SIZE // patch) ** 2 + 1, _WIDTH),
        "visual.proj": (_WIDTH, _DIM),
        "visual.conv1.weight": (_WIDTH, 3, patch, patch),
        **norm("ln_final", _DIM),
        **norm("visual.ln_pre", _WIDTH),
        **norm("visual.ln_post", _WIDTH),
    }
    for number in range(_LAYERS):
        shapes |= block(f"visual.transformer.resblocks.{number}", _WIDTH)
    for number in range(_TEXT_LAYERS):
        shapes |= block(f"transformer.resblocks.{number}", _DIM)
    return shapes


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


def _save(content: Mapping[str, object], path: Path) -> None:
    import torch

    torch.save(dict(content), path)
