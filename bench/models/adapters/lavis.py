"""BLIP-2 as salesforce/LAVIS keeps it: a file with the trained parts, the frozen image tower and Flan-T5 beside it.

Training saved only what it changed: the Q-Former, its queries, `ln_vision` and `t5_proj`, under the key `model`. The
image tower comes from `eva_vit_g.pth` or `clip_vit_L.pth`, and the language model from its own hub folder, unless the
file holds them. Every size is read off the shapes; only head widths and the number of blocks taken are knowledge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.errors import WeightsError
from bench.models import checkpoint
from bench.models.checkpoint import StateDict, under

# LAVIS builds EVA's ViT-g without its last block, and (release 1.0.2, with which the published ViT-L weights were
# trained) CLIP's ViT-L with 21 of the 23 blocks that its file holds.
BLOCKS_LEFT_OUT: Mapping[str, int] = {"eva": 1, "clip": 2}
HEAD_WIDTH: Mapping[str, int] = {"eva": 88, "clip": 64, "qformer": 64}
CROSS_ATTENTION_EVERY = 2

_VISION, _LANGUAGE = "visual_encoder.", "t5_model."
_BLOCK = re.compile(r"(?:transformer\.resblocks|blocks)\.(\d+)\.")
_EVA_NAMES = (
    ("cls_token", "embeddings.class_embedding"),
    ("pos_embed", "embeddings.position_embedding"),
    ("patch_embed.proj", "embeddings.patch_embedding"),
    ("blocks.", "encoder.layers."),
    (".norm1.", ".layer_norm1."),
    (".norm2.", ".layer_norm2."),
    (".attn.qkv.", ".self_attn.qkv."),
    (".attn.proj.", ".self_attn.projection."),
)
_CLIP_NAMES = (
    ("conv1.", "embeddings.patch_embedding."),
    ("positional_embedding", "embeddings.position_embedding.weight"),
    ("class_embedding", "embeddings.class_embedding"),
    ("ln_pre.", "pre_layrnorm."),
    ("transformer.resblocks.", "encoder.layers."),
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".attn.out_proj.", ".self_attn.out_proj."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
)
_QFORMER_NAMES = (
    ("embeddings.LayerNorm.", "layernorm."),
    (".attention.self.", ".attention.attention."),
    (".crossattention.self.", ".crossattention.attention."),
)
# What the towers' files hold besides the blocks that are used.
_VISION_EXTRA = ("norm.", "fc_norm.", "head.", "mask_token", "ln_post.", "ln_final.", "proj", "attnpool.")


@dataclass(frozen=True)
class Parts:
    """A LAVIS checkpoint, put together: the same tensors under LAVIS' own names, and what they are.

    Attributes:
        tower: `eva` (ViT-g, no norm before the blocks) or `clip` (ViT-L, quick-GELU).
        vision: the image tower's tensors, blocks that LAVIS leaves out removed.
        language: Flan-T5's tensors in transformers' names.
        trained: everything else: `query_tokens`, `Qformer.bert.*`, `ln_vision.*`, `t5_proj.*`.
        text_config: the language model's config.json.
    """

    tower: Literal["eva", "clip"]
    vision: StateDict
    language: StateDict
    trained: StateDict
    text_config: Mapping[str, Any]


def read(model: Path, vision: Path | None, language: Path) -> Parts:
    """Read a LAVIS checkpoint and what belongs to it.

    Args:
        model: `blip2_pretrained_*.pth`, whose tensors lie under `model`.
        vision: `eva_vit_g.pth` or `clip_vit_L.pth`; used where the file holds no `visual_encoder.`.
        language: Flan-T5's hub folder; its config.json always, its weights where the file holds no `t5_model.`.

    Raises:
        WeightsError: a file cannot be read, or a part is in none of them.
    """
    state = checkpoint.state_dict(model, container="model")
    tower_state = under(state, _VISION)
    whole = bool(tower_state)
    if not whole:
        if vision is None:
            raise WeightsError(
                f"{model} holds no image tower (no key begins {_VISION!r})",
                "name eva_vit_g.pth or clip_vit_L.pth as `vision` in the card's [encoder.weights]",
            )
        tower_state = checkpoint.state_dict(vision)
    tower: Literal["eva", "clip"] = "clip" if "class_embedding" in tower_state else "eva"
    text = under(state, _LANGUAGE) or checkpoint.state_dict(language)
    trained = {key: tensor for key, tensor in state.items() if not key.startswith((_VISION, _LANGUAGE))}
    return Parts(tower, _used(tower_state, 0 if whole else BLOCKS_LEFT_OUT[tower]), text, trained, _config(language))


def _used(state: StateDict, left_out: int) -> StateDict:
    count = len({found.group(1) for key in state if (found := _BLOCK.match(key))}) - left_out

    def kept(key: str) -> bool:
        block = _BLOCK.match(key)
        return int(block.group(1)) < count if block else not key.startswith(_VISION_EXTRA)

    return {key: tensor for key, tensor in state.items() if kept(key)}


def _config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{folder} has no readable config.json: {error}", "give Flan-T5's whole hub folder as `language`"
        ) from error
    return config


def configuration(parts: Parts, source: Path) -> dict[str, Any]:
    """The arguments of transformers' `Blip2Config` for these tensors.

    Raises:
        WeightsError: a tensor that tells a size is missing.
    """
    shape = _shapes(parts, source)
    patches = "patch_embed.proj.weight" if parts.tower == "eva" else "conv1.weight"
    positions = "pos_embed" if parts.tower == "eva" else "positional_embedding"
    inner = "blocks.0.mlp.fc1.weight" if parts.tower == "eva" else "transformer.resblocks.0.mlp.c_fc.weight"
    width, _, patch, _ = shape(patches)
    grid = round((shape(positions)[-2] - 1) ** 0.5)
    queries, query_width = shape("query_tokens")[-2:]
    return {
        "vision_config": {
            "hidden_size": width,
            "intermediate_size": shape(inner)[0],
            "num_hidden_layers": _blocks(parts.vision),
            "num_attention_heads": width // HEAD_WIDTH[parts.tower],
            "image_size": grid * patch,
            "patch_size": patch,
            "hidden_act": "gelu" if parts.tower == "eva" else "quick_gelu",
            "layer_norm_eps": 1e-6 if parts.tower == "eva" else 1e-5,
        },
        "qformer_config": {
            "hidden_size": query_width,
            "num_hidden_layers": 1 + max(int(key.split(".")[4]) for key in parts.trained if ".encoder.layer." in key),
            "num_attention_heads": query_width // HEAD_WIDTH["qformer"],
            "intermediate_size": shape("Qformer.bert.encoder.layer.0.intermediate_query.dense.weight")[0],
            "cross_attention_frequency": CROSS_ATTENTION_EVERY,
        },
        # LAVIS runs Flan-T5's gate with the exact GELU, whatever its own configuration says.
        "text_config": {**parts.text_config, "dense_act_fn": "gelu"},
        "num_query_tokens": queries,
        "image_token_index": parts.text_config["vocab_size"] - 1,
    }


def _blocks(state: Mapping[str, Any]) -> int:
    return len({found.group(1) for key in state if (found := _BLOCK.match(key))})


def _shapes(parts: Parts, source: Path) -> Callable[[str], tuple[int, ...]]:
    def shape(key: str) -> tuple[int, ...]:
        for state in (parts.trained, parts.vision):
            if key in state:
                return tuple(state[key].shape)
        raise WeightsError(f"{source}: there is no {key!r}, so this is not a BLIP-2 in LAVIS' layout", "check the file")

    return shape


def renamed(parts: Parts) -> StateDict:
    """The tensors in the names of transformers' `Blip2ForConditionalGeneration`.

    CLIP's tower keeps the names of `CLIPVisionTransformer` under `vision_model.clip.`, followed by
    `vision_model.post_layernorm.`, since BLIP-2's own class cannot hold it.
    """
    state: StateDict = {}
    prefix = "vision_model." if parts.tower == "eva" else "vision_model.clip."
    vision = _fused(parts.vision) if parts.tower == "eva" else _split(parts.vision)
    for key, tensor in vision.items():
        state[prefix + _rename(key, _EVA_NAMES if parts.tower == "eva" else _CLIP_NAMES)] = tensor
    for key, tensor in parts.trained.items():
        if key.endswith("embeddings.position_ids"):
            continue
        if key.startswith("Qformer.bert."):
            state["qformer." + _rename(key.removeprefix("Qformer.bert."), _QFORMER_NAMES)] = tensor
        else:
            key = key.replace("ln_vision.", "vision_model.post_layernorm.").replace("t5_proj.", "language_projection.")
            state[key] = tensor
    state.update({f"language_model.{key}": tensor for key, tensor in parts.language.items()})
    return state


def _rename(key: str, names: tuple[tuple[str, str], ...]) -> str:
    for old, new in names:
        key = key.replace(old, new)
    return key


def _fused(state: StateDict) -> StateDict:
    """EVA has no bias for the keys of its attention: transformers wants all three in one vector."""
    import torch

    fused = dict(state)
    for key in [key for key in state if key.endswith(".attn.q_bias")]:
        stem = key.removesuffix("q_bias")
        query, value = fused.pop(key), fused.pop(f"{stem}v_bias")
        fused[f"{stem}qkv.bias"] = torch.cat([query, torch.zeros_like(value), value])
    return fused


def _split(state: StateDict) -> StateDict:
    """CLIP keeps the three projections of its attention in one matrix: transformers wants them apart."""
    split = dict(state)
    for key in [key for key in state if ".attn.in_proj_" in key]:
        stem, kind = key.split(".attn.in_proj_")
        for name, tensor in zip("qkv", split.pop(key).chunk(3), strict=True):
            split[f"{stem}.self_attn.{name}_proj.{kind}"] = tensor
    return split
