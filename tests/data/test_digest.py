from __future__ import annotations

import hashlib
import multiprocessing
import os
import sqlite3
import time
from pathlib import Path

import pytest

import bench.data.digest as module
from bench.data.digest import DigestCache, digest, digests, video_facts, video_frame_digest
from bench.data.samples import Blob
from bench.errors import DataError

LONG_AGO = time.time_ns() + 3_600_000_000_000


@pytest.fixture
def settled(monkeypatch) -> None:
    """Looks at files per hour later, so that what they hold may be remembered."""
    monkeypatch.setattr(module.time, "time_ns", lambda: LONG_AGO)


@pytest.fixture
def reads(monkeypatch) -> list[Path]:
    """Every file that is really read."""
    seen: list[Path] = []
    plain = module.read

    def count(blob: Blob) -> bytes:
        seen.append(blob.path)
        return plain(blob)

    monkeypatch.setattr(module, "read", count)
    return seen


def some_files(folder: Path, count: int = 5) -> list[Blob]:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (folder / f"{i}.jpg").write_bytes(f"picture {i}".encode())
    return [Blob(str(folder / f"{i}.jpg")) for i in range(count)]


def test_a_digest_is_that_of_the_bytes_wherever_they_lie(tmp_path):
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"xxsamexx")
    expected = hashlib.blake2b(b"same", digest_size=16).digest()
    assert digest(Blob(str(tmp_path / "a"))) == digest(Blob(str(tmp_path / "b"), 2, 4)) == expected


def test_the_same_bytes_under_another_codec_are_another_picture(tmp_path):
    (tmp_path / "a").write_bytes(b"same")
    assert digest(Blob(str(tmp_path / "a"), codec="gray48")) != digest(Blob(str(tmp_path / "a")))


def test_frames_of_a_video_differ_by_index_and_by_video():
    assert len({video_frame_digest(video, index) for video in (b"a" * 16, b"b" * 16) for index in range(50)}) == 100


@pytest.mark.parametrize("workers", [1, 3])
def test_many_digests_come_in_order_with_repeats_and_each_file_is_read_once(tmp_path, reads, workers):
    blobs = some_files(tmp_path, 40)
    asked = blobs + blobs[::-1] + [Blob(str(blobs[0].path), 2, 3)]
    expected = [digest(blob) for blob in asked]
    reads.clear()
    assert digests(asked, None, workers) == expected
    assert len(reads) == 41


def test_an_untouched_file_is_not_read_again(tmp_path, settled, reads):
    blobs = some_files(tmp_path / "data")
    first = DigestCache(tmp_path / "cache")
    expected = digests(blobs, first, 2)
    first.close()
    reads.clear()
    assert digests(blobs, DigestCache(tmp_path / "cache"), 2) == expected
    assert reads == []


def test_a_changed_file_is_read_again_even_where_size_and_mtime_are_the_old_ones(tmp_path, settled, reads):
    blobs = some_files(tmp_path / "data")
    cache = DigestCache(tmp_path / "cache")
    digests(blobs, cache, 1)
    reads.clear()
    target = blobs[2].path
    before = target.stat()
    time.sleep(0.02)
    target.write_bytes(b"PICTURE 2")
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digests(blobs, cache, 1)[2] == hashlib.blake2b(b"PICTURE 2", digest_size=16).digest()
    assert reads == [target]


def test_a_file_that_was_just_written_is_never_trusted(tmp_path, reads):
    blobs = some_files(tmp_path / "data")
    cache = DigestCache(tmp_path / "cache")
    digests(blobs, cache, 1)
    reads.clear()
    digests(blobs, cache, 1)
    assert len(reads) == len(blobs)


def test_a_missing_file_is_an_error_in_its_place_and_the_others_are_not_lost(tmp_path):
    blobs = some_files(tmp_path)
    blobs[1].path.unlink()
    blobs[3].path.write_bytes(b"")
    found = digests(blobs, None, 2)
    assert [isinstance(value, DataError) for value in found] == [False, True, False, True, False]
    assert "1.jpg cannot be read" in str(found[1])
    assert "3.jpg is empty" in str(found[3])


def test_a_cache_that_is_no_database_is_set_aside_and_begun_again(tmp_path, settled, reads):
    blobs = some_files(tmp_path / "data")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / module.FILE).write_bytes(b"this is not a database" * 1000)
    expected = [digest(blob) for blob in blobs]
    assert digests(blobs, DigestCache(tmp_path / "cache"), 1) == expected
    reads.clear()
    assert digests(blobs, DigestCache(tmp_path / "cache"), 1) == expected
    assert reads == []


def test_a_cache_that_breaks_while_it_is_in_use_is_done_without(tmp_path, settled):
    blobs = some_files(tmp_path / "data", 300)
    expected = [digest(blob) for blob in blobs]
    cache = DigestCache(tmp_path / "cache")
    digests(blobs, cache, 1)
    cache.close()
    file = tmp_path / "cache" / module.FILE
    cache = DigestCache(tmp_path / "cache")
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    file.write_bytes(data)
    assert digests(blobs, cache, 1) == expected


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, settled):
    blobs = some_files(tmp_path / "data")
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert digests(blobs, DigestCache(tmp_path / "cache"), 1) == [digest(blob) for blob in blobs]


def test_a_database_that_another_process_holds_is_done_without(tmp_path, settled, monkeypatch):
    blobs = some_files(tmp_path / "data")
    connect = sqlite3.connect
    monkeypatch.setattr(module.sqlite3, "connect", lambda file, **options: connect(file, **options | {"timeout": 0.01}))
    cache = DigestCache(tmp_path / "cache")
    holder = connect(tmp_path / "cache" / module.FILE)
    holder.execute("BEGIN EXCLUSIVE")
    assert digests(blobs, cache, 1) == [digest(blob) for blob in blobs]
    holder.rollback()


def hash_in_another_process(folder: str, cache: str, start: float) -> list[bytes]:
    module.time.time_ns = lambda: LONG_AGO
    time.sleep(max(0.0, start - time.monotonic()))
    blobs = [Blob(str(path)) for path in sorted(Path(folder).iterdir())]
    opened = DigestCache(Path(cache))
    found = [value for at in range(0, len(blobs), 20) for value in digests(blobs[at : at + 20], opened, 2)]
    opened.close()
    return found


def test_two_processes_may_fill_the_same_cache_at_once(tmp_path, settled, reads):
    blobs = some_files(tmp_path / "data", 200)
    blobs.sort(key=lambda blob: blob.path)
    expected = [digest(blob) for blob in blobs]
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        task = (str(tmp_path / "data"), str(tmp_path / "cache"), time.monotonic() + 0.1)
        assert pool.starmap(hash_in_another_process, [task, task]) == [expected, expected]
    reads.clear()
    assert digests(blobs, DigestCache(tmp_path / "cache"), 1) == expected
    assert reads == []


def test_lengths_of_videos_are_remembered_apart_from_their_digests(film, tmp_path, settled, monkeypatch):
    path = film("clips/a.mp4", "libx264", count=12)
    (tmp_path / "clips/broken.mp4").write_bytes(b"")
    cache = DigestCache(tmp_path / "cache")
    assert digests([Blob(str(path))], cache, 1) == [digest(Blob(str(path)))]
    found = video_facts([str(path), str(tmp_path / "clips/broken.mp4")], cache, 2)
    assert found[0] == (12, 1)
    assert "broken.mp4 is an empty video" in str(found[1])
    cache.close()
    monkeypatch.setattr(module.video_pool, "facts", lambda path: pytest.fail("opened again"))
    assert DigestCache(tmp_path / "cache").video_length(str(path)) == 12
    assert digests([Blob(str(path))], DigestCache(tmp_path / "cache"), 1) == [digest(Blob(str(path)))]


def test_without_a_folder_lengths_are_remembered_for_the_time_being(film, settled, monkeypatch):
    path = film("a.mp4", "libx264", count=12)
    cache = DigestCache(None)
    assert cache.video_length(str(path)) == 12
    monkeypatch.setattr(module.video_pool, "facts", lambda path: pytest.fail("opened again"))
    assert cache.video_length(str(path)) == 12


def test_a_broken_video_is_an_error_when_it_is_asked_for_alone(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(DataError, match=r"a.mp4 is an empty video"):
        DigestCache(None).video_length(str(tmp_path / "a.mp4"))
