"""Items to batches: order, lengths, memory, failures, and threads that end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cards.input_protocol import Pixels
from bench.data import loader, stills
from bench.data.loader import Batch, stream
from bench.data.samples import Blob, FrameRef
from bench.data.stills import Item
from bench.data.video_pool import prepared

SQUASH = Pixels()
SIZE = 16


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[int], FrameRef]:
    def draw(shade: int) -> FrameRef:
        path = tmp_path / f"{shade}.png"
        Image.new("RGB", (20, 24), (shade, 0, 0)).save(path)
        return FrameRef(Blob(str(path)))

    return draw


def clip(number: int, refs: list[FrameRef]) -> Item:
    return Item(bytes([number]), tuple(refs))


def batches(items: list[Item], batch: int = 64, pixels: Pixels = SQUASH, workers: int = 2) -> list[Batch]:
    return list(stream(items, pixels, SIZE, workers=workers, batch=batch))


def test_equal_items_keep_their_order_and_fill_batches(picture: Callable[[int], FrameRef]) -> None:
    found = batches([clip(n, [picture(n)]) for n in (5, 3, 9, 1, 7)], batch=2)
    assert [batch.keys for batch in found] == [[b"\5", b"\3"], [b"\x09", b"\1"], [b"\7"]]
    assert [batch.pixels[:, 0, 0, 0, 0].tolist() for batch in found] == [[5, 3], [9, 1], [7]]
    assert found[0].pixels.shape == (2, 1, 3, SIZE, SIZE) and found[0].pixels.dtype == np.uint8


def test_a_batch_never_mixes_lengths(picture: Callable[[int], FrameRef]) -> None:
    lengths = [1, 1, 2, 2, 2, 3, 3]
    items = [clip(n, [picture(10 * n + frame) for frame in range(length)]) for n, length in enumerate(lengths)]
    found = batches(items, batch=2)
    assert [batch.pixels.shape[:2] for batch in found] == [(2, 1), (2, 2), (1, 2), (2, 3)]
    assert [key[0] for batch in found for key in batch.keys] == [0, 1, 2, 3, 4, 5, 6]
    for batch in found:
        for key, pixels in zip(batch.keys, batch.pixels, strict=True):
            assert pixels[:, 0, 0, 0].tolist() == [10 * key[0] + frame for frame in range(lengths[key[0]])]


def test_every_key_comes_once_whatever_the_order_of_the_items(picture: Callable[[int], FrameRef]) -> None:
    items = [clip(n, [picture(n)] * (1 + n % 3)) for n in range(20)]
    forwards, backwards = batches(items, batch=4), batches(items[::-1], batch=4)
    for found in (forwards, backwards):
        assert sorted(key for batch in found for key in batch.keys) == [item.key for item in items]
    first, second = (
        {k: p.tobytes() for b in found for k, p in zip(b.keys, b.pixels, strict=True)}
        for found in (forwards, backwards)
    )
    assert first == second


@pytest.mark.parametrize(("pixels", "fits"), [(SQUASH, 4), (Pixels(stage="tensor"), 1)])
def test_a_batchs_pixels_stay_within_the_budget(
    picture: Callable[[int], FrameRef], monkeypatch: pytest.MonkeyPatch, pixels: Pixels, fits: int
) -> None:
    monkeypatch.setattr(loader, "BATCH_BYTES", 4 * 3 * SIZE * SIZE)
    singles = batches([clip(n, [picture(n)]) for n in range(9)], pixels=pixels)
    assert {len(batch.keys) for batch in singles[:-1]} == {fits}
    assert all(batch.pixels.nbytes <= loader.BATCH_BYTES for batch in singles)
    long = batches([clip(n, [picture(n)] * 9) for n in range(3)], pixels=pixels)
    assert [len(batch.keys) for batch in long] == [1, 1, 1]


def test_decoding_runs_ahead_by_two_batches_at_most(
    picture: Callable[[int], FrameRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "BATCH_BYTES", 2 * 10 * 3 * SIZE * SIZE)
    begun: list[int] = []
    straight = stills.read  # once an item: its frames are one picture
    monkeypatch.setattr(stills, "read", lambda blob: begun.append(1) or straight(blob))
    running = stream([clip(n, [picture(n)] * 10) for n in range(30)], SQUASH, SIZE, workers=1, batch=64)
    assert len(next(running).keys) == 2
    time.sleep(0.2)
    assert sum(begun) <= 2 + 4 + 1
    running.close()


def test_what_cannot_be_read_is_reported_by_itself(picture: Callable[[int], FrameRef], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    bad = FrameRef(Blob(str(broken)))
    items = [clip(0, [picture(0)]), clip(1, [bad]), clip(2, [picture(2), bad]), clip(3, [picture(3)] * 2)]
    found = batches(items)
    failures = {failure.key: failure.reason for batch in found for failure in batch.failures}
    assert set(failures) == {b"\1", b"\2"} and all("broken.jpg" in reason for reason in failures.values())
    assert sorted(key for batch in found for key in batch.keys) == [b"\0", b"\3"]


def test_what_cannot_be_read_moves_nothing_into_another_batch(
    picture: Callable[[int], FrameRef], tmp_path: Path
) -> None:
    items = [clip(n, [picture(n) if n != 1 else FrameRef(Blob(str(tmp_path / "absent.jpg")))]) for n in range(7)]
    assert [[key[0] for key in batch.keys] for batch in batches(items, batch=3)] == [[0, 2], [3, 4, 5], [6]]


def test_failures_alone_make_a_batch_without_pixels(tmp_path: Path) -> None:
    (found,) = batches([clip(1, [FrameRef(Blob(str(tmp_path / "absent.jpg")))])])
    assert found.keys == [] and found.pixels.shape == (0, 1, 3, SIZE, SIZE) and len(found.failures) == 1


def test_a_videos_frames_are_decoded_in_one_pass(film: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = film("a.avi", "mpeg4")
    passes: list[list[int]] = []

    def counted(path: Path, indices: list[int], pixels: Pixels, size: int) -> Iterator[tuple[int, np.ndarray]]:
        passes.append(indices)
        return prepared(path, indices, pixels, size)

    monkeypatch.setattr(loader, "prepared", counted)
    blob = Blob(str(path))
    frames = [clip(index, [FrameRef(blob, index)]) for index in (3, 17, 30)]
    assert [key[0] for batch in batches(frames, batch=2) for key in batch.keys] == [3, 17, 30]
    assert passes == [[3, 17, 30]]
    passes.clear()
    (found,) = batches([clip(0, [FrameRef(blob, index) for index in (3, 17, 3)])])
    assert passes == [[3, 17]] and (found.pixels[0, 0] == found.pixels[0, 2]).all()


def test_closed_early_it_leaves_no_thread_working(
    picture: Callable[[int], FrameRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    straight = stills.read  # once an item: its frames are one picture

    def slow(blob: Blob) -> object:
        time.sleep(0.02)
        done.append(1)
        return straight(blob)

    monkeypatch.setattr(stills, "read", slow)
    running = stream([clip(n, [picture(n)] * 2) for n in range(100)], SQUASH, SIZE, workers=2, batch=4)
    next(running)
    running.close()
    so_far = len(done)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
    time.sleep(0.1)
    assert len(done) == so_far < 30
