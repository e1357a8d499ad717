"""BLIP-2 of toy size, in the containers that the real one is published in.

What `write` writes was trained on drawn faces (`tools/miniature/teacher.py`): it tells action units and expressions apart, and
answers with the name of an expression. It looks through the miniature's CLIP B/32, which stands in for both published
towers: as it is for CLIP's, and in EVA's layers for EVA's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.mini.blip2_parts import (
    DRAWN_PIECES,
    Tower,
    language_shapes,
    lay_answers,
    random,
    text_config,
    tokenizer,
    trained_shapes,
    vision_shapes,
)
from bench.mini.eva import eva_of, eva_reader, visual
from bench.models.adapters.lavis import BLOCKS_LEFT_OUT, Parts, configuration, renamed

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = Path(__file__).parent / "weights" / "blip2.safetensors"
CLIP = WEIGHTS.with_name("clip_B32.safetensors")
HUB_FOLDERS = ("Salesforce/blip2-flan-t5-xl", "Salesforce/blip2-flan-t5-xxl")

_CLIP = Tower("clip", 64, 256, 2)
_EVA = Tower("eva", 88, 176, 2)
_FORMAT = {"format": "pt"}
_BLIP2 = {"model_type": "blip-2", "architectures": ["Blip2ForConditionalGeneration"]}


def write(folder: Path) -> None:
    """Write every file that the BLIP-2 cards name into a weights folder.

    The hub folders hold transformers' layout; the `.pth` files LAVIS': the trained parts under `model`, the image towers
    by themselves with the blocks that LAVIS leaves out, Flan-T5 in a hub folder of its own.
    """
    trained, language, facts = unpack(WEIGHTS)
    config = json.loads(facts["text_config"])
    eva, clip = (parts(trained, language, config) for parts in (eva_parts, clip_parts))
    _write(folder, eva, clip, json.loads(facts["pieces"]))


def write_drawn(folder: Path) -> None:
    """Write the same files with random weights throughout, and a decoder that is made to answer one word."""
    config = text_config(len(DRAWN_PIECES), 64, 96)
    language = random(language_shapes(config))
    lay_answers(language)
    # LAVIS rounds Flan-T5 so before it is used, and a converted folder holds what was rounded.
    language = {key: tensor.bfloat16().float() for key, tensor in language.items()}
    eva, clip = (_drawn_tower(tower, language, config) for tower in (_EVA, _CLIP))
    _write(folder, eva, clip, DRAWN_PIECES)


def clip_parts(
    trained: dict[str, Tensor], language: dict[str, Tensor], config: Mapping[str, Any], clip: Path = CLIP
) -> Parts:
    """A BLIP-2 that looks through the miniature's CLIP B/32, whose packed file is `clip`."""
    from bench.mini.weights import unpack as unpack_clip

    return Parts("clip", visual(unpack_clip(clip)), language, trained, config)


def eva_parts(
    trained: dict[str, Tensor], language: dict[str, Tensor], config: Mapping[str, Any], clip: Path = CLIP
) -> Parts:
    """The same BLIP-2, the tower in EVA's layers."""
    seen = clip_parts(trained, language, config, clip).vision
    return Parts("eva", eva_of(seen), language, eva_reader(trained, len(seen["class_embedding"])), config)


def pack(trained: Mapping[str, Tensor], language: Mapping[str, Tensor], facts: Mapping[str, str], path: Path) -> None:
    """Save what was trained: Flan-T5 in bfloat16, which it is rounded to wherever it is used, the rest in float16.

    Args:
        trained: queries, Q-Former and projection for CLIP's tower, under LAVIS' names.
        language: Flan-T5.
        facts: `pieces` and `text_config`, as JSON.
        path: where to.
    """
    import torch
    from safetensors.torch import save_file

    tensors = {f"trained.{key}": tensor.detach().to(torch.float16).contiguous() for key, tensor in trained.items()}
    tensors |= {f"language.{key}": tensor.detach().to(torch.bfloat16).contiguous() for key, tensor in language.items()}
    save_file(tensors, path, dict(facts))
    path.chmod(0o644)


def unpack(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, str]]:
    """What `pack` saved, in float32."""
    from safetensors import safe_open

    from bench.models.checkpoint import under

    with safe_open(path, "pt") as file:
        facts = dict(file.metadata())
        state = {key: file.get_tensor(key).float() for key in sorted(file.keys())}
    return under(state, "trained."), under(state, "language."), facts


def _drawn_tower(tower: Tower, language: dict[str, Tensor], config: Mapping[str, Any]) -> Parts:
    """A random tower and Q-Former before a language model."""
    seen = random(vision_shapes(tower))
    trained = random(trained_shapes(tower.width, config["d_model"]))
    for key in trained:  # else all pictures look alike to so small a network
        trained[key] *= 3 if ".crossattention.self." in key else 6 if key == "t5_proj.weight" else 1
    return Parts(tower.kind, seen, language, trained, config)


def _write(folder: Path, eva: Parts, clip: Parts, pieces: Sequence[str]) -> None:
    import torch
    from safetensors.torch import save_file

    for text in ("google/flan-t5-xl", "google/flan-t5-xxl"):
        _hub_folder(folder / text, eva.text_config, pieces)
        save_file(eva.language, folder / text / "model.safetensors", _FORMAT)
    for parts, models, vision, hub in (
        (eva, ("blip2_pretrained_flant5xl.pth", "blip2_pretrained_flant5xxl.pth"), "eva_vit_g.pth", HUB_FOLDERS),
        (clip, ("blip2_pretrained_flant5xl_vitL.pth",), "clip_vit_L.pth", ()),
    ):
        for name in hub:
            _hub_folder(folder / name, {**_BLIP2, **configuration(parts, folder / name)}, pieces)
            save_file(_separate(renamed(parts)), folder / name / "model.safetensors", _FORMAT)
        torch.save(_with_unused_blocks(parts), folder / vision)
        for name in models:
            torch.save({"model": parts.trained}, folder / name)


def _with_unused_blocks(parts: Parts) -> dict[str, Tensor]:
    """A tower's file: its blocks, and after them as many random ones as LAVIS leaves out."""
    stem = "blocks" if parts.tower == "eva" else "transformer.resblocks"
    used = 1 + max(int(key.split("blocks.")[1].split(".")[0]) for key in parts.vision if "blocks." in key)
    shapes = {
        key.replace(f"{stem}.0.", f"{stem}.{used + number}."): tuple(tensor.shape)
        for number in range(BLOCKS_LEFT_OUT[parts.tower])
        for key, tensor in parts.vision.items()
        if key.startswith(f"{stem}.0.")
    }
    return {**parts.vision, **random(shapes)}


def _hub_folder(folder: Path, config: Mapping[str, Any], pieces: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Mapping[str, Any]] = {
        "config.json": config,
        "tokenizer.json": tokenizer(pieces),
        "tokenizer_config.json": {
            "tokenizer_class": "T5Tokenizer",
            "pad_token": "<pad>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "extra_ids": 0,
            "additional_special_tokens": [],
        },
    }
    for name, facts in files.items():
        (folder / name).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _separate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without shared memory, which safetensors refuses."""
    return {key: tensor.clone().contiguous() for key, tensor in state.items()}
