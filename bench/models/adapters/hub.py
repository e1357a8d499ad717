"""What a hub folder's own files say of a method: which adapter, which input, which pixels. What they do not say is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.errors import BenchError, WeightsError
from bench.models.adapters import open_clip_folder, pixel_rule
from bench.models.adapters.transformers_folder import config_of, is_dual_encoder, is_image_text_to_text, processor_of

Facts = dict[str, Any]


def facts_of(folder: Path) -> Facts:
    """The facts of a method card but for its names: `encoder`, `native`, `source`, `notes`, `media`.

    open_clip's description goes before transformers', where a folder has both: a repository that was made for open_clip carries
    the other for its tokenizer.

    Args:
        folder: with `open_clip_config.json`, or with `config.json` and a preprocessor's file.

    Raises:
        BenchError: neither is there; the model is of no kind that has an adapter; or its preprocessing is not one that a card can state.
        WeightsError: a file is damaged, or describes a model that this machine's libraries do not know.
    """
    if (folder / open_clip_folder.CONFIG).is_file():
        return _method(open_clip_folder.facts_of(folder), open_clip_folder.CONFIG)
    if not (folder / "config.json").is_file():
        raise BenchError(f"{folder} has neither {open_clip_folder.CONFIG} nor config.json, so nothing says what it is")
    config = config_of(folder)
    if is_dual_encoder(config):
        facts = _dual_encoder(folder, config)
    elif is_image_text_to_text(config):
        facts = _generator(folder, config)
    else:
        raise BenchError(
            f"{folder / 'config.json'} describes {', '.join(config.architectures or ['no architecture'])} of model_type "
            f"{config.model_type!r}, which is neither a dual encoder of pictures and texts nor an image-text-to-text model of transformers"
        )
    return _method(facts, f"config.json ({config.model_type}) and the preprocessor's file")


def _method(facts: Facts, read: str) -> Facts:
    notes = ["No card: what it is was read from its own files. Whether it has seen a dataset in training is not known."]
    return {"source": f"the repository's {read}", **facts, "notes": [*notes, *facts.pop("notes", [])]}


def _dual_encoder(folder: Path, config: Any) -> Facts:
    patches = getattr(getattr(config, "vision_config", None), "num_patches", None)
    if patches is not None:
        return _patched(folder, config, patches)
    rule = pixel_rule.of_processor(processor_of(folder), folder)
    return {
        "encoder": {
            "adapter": "bench.models.adapters.transformers_dual:TransformersDual",
            "model": "dual-encoder",
            "sees": "images",
            "size": rule.size,
        },
        "native": {"pixels": rule.pixels},
    }


def _patched(folder: Path, config: Any, patches: int) -> Facts:
    """A tower that takes any number of patches is given as many as it was trained with, as a square."""
    patch, side = config.vision_config.patch_size, round(patches**0.5)
    if side * side != patches:
        raise BenchError(f"{folder / 'config.json'}: {patches} patches are no square")
    pixels = pixel_rule.squashed(processor_of(folder), folder)
    return {
        "encoder": {
            "adapter": "bench.models.adapters.transformers_dual:TransformersDual",
            "model": "dual-encoder",
            "sees": "images",
            "size": side * patch,
        },
        "native": {"pixels": pixels},
        "notes": [
            f"Its own processor keeps a picture's proportions; here each becomes a square of {side} x {side} patches."
        ],
    }


def _generator(folder: Path, config: Any) -> Facts:
    processor = processor_of(folder)
    note = "Its own processor normalises the picture, so the protocol leaves pixels in [0, 1]."
    try:
        rule = pixel_rule.of_processor(processor, folder)
        size, pixels = rule.size, {**rule.pixels, "mean": None, "std": None}
    except WeightsError:
        raise
    except BenchError as error:
        side = getattr(getattr(config, "vision_config", None), "image_size", None)
        if not isinstance(side, int):
            raise BenchError(f"{error.what}; and its vision_config states no image_size either") from error
        size, pixels = side, {**pixel_rule.squashed(processor, folder), "mean": None, "std": None}
        note += f" That processor takes pictures of any size: each is given to it as a square of the tower's own {side} pixels."
    if not getattr(_whole_processor(folder), "chat_template", None):
        raise BenchError(f"{folder} has no chat template, so nothing says how a question is put")
    return {
        "media": ("image",),
        "encoder": {
            "adapter": "bench.models.adapters.vlm:ImageTextToText",
            "model": "generator",
            "sees": "images",
            "size": size,
        },
        "native": {"pixels": pixels},
        "notes": [note],
    }


def _whole_processor(folder: Path) -> Any:
    from bench.models.adapters.vlm import opened

    return opened(folder)
