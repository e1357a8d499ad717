"""A hub folder in open_clip's layout: its network and its preprocessing, as `open_clip_config.json` states them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.errors import BenchError, WeightsError

CONFIG = "open_clip_config.json"


def config_of(folder: Path) -> dict[str, Any]:
    """What the folder's description says, with `model_cfg` in it.

    Raises:
        WeightsError: it is not there, or is no such description.
    """
    try:
        facts = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if isinstance(facts["model_cfg"]["vision_cfg"], dict) and isinstance(facts["model_cfg"]["text_cfg"], dict):
            return dict(facts)
        raise KeyError("vision_cfg")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(
            f"{folder / CONFIG} is no description of an open_clip model: {error!r}", "download it again"
        ) from None


def facts_of(folder: Path) -> dict[str, Any]:
    """The `encoder` and `native` facts of a card; what the file leaves out are open_clip's own defaults, as when it loads it.

    Raises:
        WeightsError: as `config_of`.
        BenchError: the input is no square, or its preprocessing is not one that a card can state.
    """
    from dataclasses import asdict

    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    facts = config_of(folder)
    where = folder / CONFIG
    if other := facts["model_cfg"]["text_cfg"].get("hf_model_name"):
        raise BenchError(f"{where}: the text tower is that of another repository, {other!r}, which is not in this one")
    side = facts["model_cfg"]["vision_cfg"].get("image_size", 224)
    side = side[0] if isinstance(side, list) and len(set(side)) == 1 else side
    if not isinstance(side, int):
        raise BenchError(f"{where}: image_size {side} is no square")
    known = set(asdict(PreprocessCfg()))
    stated = facts.get("preprocess_cfg", {})
    if strange := sorted(set(stated) - known):
        raise BenchError(f"{where}: preprocess_cfg has {', '.join(strange)}, which open_clip does not know")
    rule = merge_preprocess_dict(asdict(PreprocessCfg()), stated)
    if rule["interpolation"] not in ("bilinear", "bicubic") or rule["resize_mode"] not in ("squash", "shortest"):
        raise BenchError(
            f"{where}: resize_mode {rule['resize_mode']!r} with {rule['interpolation']!r} is not one that a card can state"
        )
    return {
        "encoder": {
            "adapter": "bench.models.adapters.open_clip:OpenClip",
            "model": "dual-encoder",
            "sees": "images",
            "size": side,
            "options": {"architecture": CONFIG},
        },
        "native": {
            "pixels": {
                "resize": rule["resize_mode"],
                "interpolation": rule["interpolation"],
                "mean": list(rule["mean"]),
                "std": list(rule["std"]),
            }
        },
    }
