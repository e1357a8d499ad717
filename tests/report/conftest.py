"""Pages to look at: one of a small real run, one of a record that is full of markup."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, find

from bench.records import record as records
from bench.records.manifest import Manifest
from bench.records.predictions import CellKey, FoldPredictions

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \" ' \u2028"


@dataclass(frozen=True)
class Made:
    """A page on disk, the record it was made from, and what the command said."""

    path: Path
    record: Path
    said: str

    @property
    def address(self) -> str:
        return self.path.as_uri()

    def facts(self) -> Any:
        """The page's data block, as a browser would read it."""
        text = self.path.read_text(encoding="utf-8")
        return json.loads(text.split('id="data">', 1)[1].split("</script>", 1)[0])


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if find() is None:
        pytest.skip("there is no chromium on this machine")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def make(bench: Callable[..., Any], tmp_path: Path) -> Callable[..., Made]:
    """`bench report` on a record."""

    def call(record: Path, *args: Any) -> Made:
        data = [part for name in ("world/data", "data") for part in ("--data", tmp_path / name)]
        answer = bench("report", record, "--to", tmp_path / "page.html", *data, *args)
        assert answer.code == 0, answer.err
        return Made(tmp_path / "page.html", record, answer.out + answer.err)

    return call


@pytest.fixture
def small(world: Any, make: Callable[..., Made]) -> Made:
    """The page of a real run: two methods, pictures, clips and videos."""
    answer = world.run("--methods", "clip,exp-clip", "--datasets", "tiny-faces,tiny-clips,tiny-videos")
    assert answer.code == 0, answer.err
    return make(world.records()[-1], "--cards", world.root / "cards", "--samples", "2")


@pytest.fixture
def hostile(tmp_path: Path, make: Callable[..., Made]) -> Made:
    """The page of a record whose every text is markup; its method gives answers and no scores."""
    names = [f"{HOSTILE} {letter}" for letter in "abc"]
    cell = CellKey("evil", HOSTILE, HOSTILE, HOSTILE, "d")
    labels, said = np.array([0, 1, 2, 0], np.int16), np.array([0, 2, -1, 1], np.int16)
    samples = [f"{HOSTILE} {number}" for number in range(4)]
    part = FoldPredictions(cell, HOSTILE, samples, labels, said, None, [HOSTILE] * 4)
    card = {
        "kind": "table",
        "name": "run",
        "title": HOSTILE,
        "caption": HOSTILE,
        "stub": [HOSTILE],
        "columns": [{"title": HOSTILE, "datasets": ["d"]}],
        "rows": [{"id": HOSTILE, "cells": [HOSTILE], "section": HOSTILE, "method": "evil"}],
    }
    row = {"method": cell.method, "variant": HOSTILE, "prompt_set": HOSTILE, "protocol": HOSTILE}
    dataset = {
        "title": HOSTILE,
        "root": f"/nowhere/{HOSTILE}",
        "layout": HOSTILE,
        "classes": names,
        "folds": {HOSTILE: 4},
    }
    facts: dict[str, Any] = {
        "command": [HOSTILE],
        "began": "1970-01-01T00:00:00Z",
        "choices": {"prompts": "", "protocol": ""},
        "tables": {"run": {"card": card, "path": "", "rows": {HOSTILE: row}}},
        "details": [],
        "miniature": False,
        "device": {"asked": HOSTILE, "used": HOSTILE},
        "dtype": HOSTILE,
        "versions": {HOSTILE: HOSTILE},
        "revision": HOSTILE,
        "machine": {"system": HOSTILE, "processor": HOSTILE},
        "datasets": {"d": {**dataset, "fingerprint": HOSTILE, "missing": {HOSTILE: HOSTILE}}},
        "networks": [],
        "methods": {f"evil:{HOSTILE}": {"title": HOSTILE, "card": HOSTILE, "head": None}},
        "prompts": {HOSTILE: {"combine": HOSTILE, "texts": {names[0]: [HOSTILE]}}},
        "marks": [{"note": HOSTILE, "dataset": "d", "method": ""}],
        "warnings": [HOSTILE],
    }
    return make(records.write(tmp_path / "<script>alert(3)<!--", Manifest.model_validate(facts), [part]).path)
