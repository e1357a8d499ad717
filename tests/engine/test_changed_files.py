"""A picture that changes between being hashed and being decoded: it fails by name, and no row is stored under its old digest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from plain_method import write_method
from small_world import Answer, World

from bench.data import loader
from bench.data.stills import Item
from bench.records.record import open_record

SEES = 'sees = "{}"\n[native.frames]\ncount = 4'
# A file of each dataset, and another whose content it takes.
FILES = {
    "tiny-faces": ("anger/000.jpg", "anger/001.jpg"),
    "tiny-clips": ("anger/clip0/00001.jpg", "anger/clip0/00002.jpg"),
    "tiny-videos": ("anger/000.avi", "anger/001.avi"),
}
CASES = [
    ("images", "tiny-faces"), ("images", "tiny-clips"), ("images", "tiny-videos"),
    ("clips", "tiny-faces"), ("clips", "tiny-clips"), ("clips", "tiny-videos"),
]  # fmt: skip


@pytest.fixture
def changing(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """`bench run` in which files take another content once everything is planned, just before decoding begins."""
    straight = loader.batches

    def run(changes: dict[Path, bytes], *args: str) -> Answer:
        def changed(*args: Any, **options: Any) -> Any:
            for path, content in changes.items():
                path.write_bytes(content)
            changes.clear()
            return straight(*args, **options)

        monkeypatch.setattr(loader, "batches", changed)
        return world.run("--methods", "plain", *args)

    return run


def scores(record: Path) -> list[np.ndarray[Any, Any]]:
    return [part.scores for part in open_record(record).predictions()]


@pytest.mark.parametrize(("sees", "dataset"), CASES)
def test_a_file_that_changes_after_planning_fails_and_leaves_no_row(
    world: World, changing: Callable[..., Answer], sees: str, dataset: str
) -> None:
    write_method(world.root / "cards", more=SEES.format(sees))
    path, other = (world.root / "data" / dataset / file for file in FILES[dataset])
    before, after = path.read_bytes(), other.read_bytes()
    answer = changing({path: after}, "--datasets", dataset)
    assert answer.code == 2 and "changed while the run was going: run again" in answer.err
    assert str(path.parent) in answer.err and "--allow-missing 1" in answer.err

    # The old content's row is computed from the old content, and the new one's from the new.
    path.write_bytes(before)
    assert world.run("--methods", "plain", "--datasets", dataset).code == 0
    path.write_bytes(after)
    assert world.run("--methods", "plain", "--datasets", dataset).code == 0
    assert world.run("--methods", "plain", "--datasets", dataset, "--store", str(world.root / "anew")).code == 0
    old, new, anew = map(scores, world.records())
    assert all(np.array_equal(one, two) for one, two in zip(new, anew, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(old, new, strict=True))


@pytest.mark.parametrize("dataset", FILES)
def test_a_file_that_is_no_picture_any_more_changed_too(
    world: World, changing: Callable[..., Answer], dataset: str
) -> None:
    write_method(world.root / "cards", more=SEES.format("images"))
    path = world.root / "data" / dataset / FILES[dataset][0]
    answer = changing({path: b"no longer"}, "--datasets", dataset)
    assert answer.code == 2 and f"{path} changed while the run was going" in answer.err


def test_names_that_are_no_digests_fit_whatever_is_decoded(tmp_path: Path) -> None:
    from bench.cards.input_protocol import Pixels
    from bench.data.samples import Blob, FrameRef

    Image.new("RGB", (20, 24)).save(tmp_path / "a.jpg")
    frames = (FrameRef(Blob(str(tmp_path / "a.jpg"))),)
    items = [Item(key, frames) for key in (b"0", b"a name longer than a digest", bytes(16))]
    (batch,) = loader.stream(items, Pixels(), 16, workers=1, batch=8)
    assert batch.keys == [b"0", b"a name longer than a digest"] and [failed.key for failed in batch.failures] == [
        bytes(16)
    ]
