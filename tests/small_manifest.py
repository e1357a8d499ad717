"""The least that a manifest may say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bench.records.manifest import DatasetFacts, DeviceFacts, MachineFacts, Manifest

CLASSES = ("anger", "joy", "fear")


def small_manifest(samples: int = 3, **changes: Any) -> Manifest:
    """A manifest of one dataset, `d`, of three classes and one fold."""
    dataset = DatasetFacts(
        title="D", root="/d", layout="folders", classes=CLASSES, folds={"1": samples}, fingerprint="0f"
    )
    facts: dict[str, Any] = {
        "command": ["bench", "run"],
        "began": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        "tables": {},
        "miniature": False,
        "device": DeviceFacts(asked="cpu", used="a processor"),
        "dtype": "float32",
        "versions": {},
        "machine": MachineFacts(),
        "datasets": {"d": dataset},
        "networks": [],
        "methods": {},
        "prompts": {},
    }
    return Manifest(**{**facts, **changes})
