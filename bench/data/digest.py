"""Content digests of pictures and frames, and a memory of them, so that an unchanged file is not read twice."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from bench.data import video_pool
from bench.data.decode import read
from bench.data.formats import VIDEOS, suffix
from bench.data.orientation import UPRIGHT, of_picture
from bench.data.samples import Blob
from bench.data.video_pool import VideoFacts
from bench.errors import DataError
from bench.store.digests import BYTES

FRESH_NS = 2_000_000_000
CHUNK = 512
ASK = 16_384
FILE = "digests-1.sqlite"

T = TypeVar("T")


def digest(blob: Blob) -> bytes:
    """Blake2b, 16 bytes, of a blob's bytes; preceded by its codec where they are no picture file's.

    Raises:
        DataError: the blob cannot be read.
    """
    return digest_of(blob, read(blob))


def digest_of(blob: Blob, data: bytes) -> bytes:
    """`digest` of bytes that were read already."""
    hasher = hashlib.blake2b(digest_size=BYTES)
    if not blob.pictured:
        hasher.update(f"{blob.codec}\0".encode())
    hasher.update(data)
    return hasher.digest()


def video_frame_digest(video: bytes, index: int) -> bytes:
    """The digest of one frame of a video: of the video file's digest and the frame's index."""
    return hashlib.blake2b(video + index.to_bytes(8, "big"), digest_size=BYTES, person=b"video frame").digest()


def clip_digest(frames: Sequence[bytes]) -> bytes:
    """The digest of a whole clip: of its frames' digests, in order."""
    return hashlib.blake2b(b"".join(frames), digest_size=BYTES).digest()


def fits(key: bytes, frames: Sequence[bytes]) -> bool:
    """Whether a key may stand for these frames: the digest of the only one or of the clip, or no digest at all.

    Args:
        key: as long as a digest, the only length that the store takes; or a name of another length, which fits any frames.
        frames: their digests.
    """
    return len(key) != BYTES or key == clip_digest(frames) or [key] == list(frames)


class Seen(NamedTuple):
    """A blob that was read: its digest, and the orientation that it states (of a video, see `video_facts`)."""

    digest: bytes
    orientation: int


def digests(blobs: Sequence[Blob], cache: DigestCache | None, workers: int) -> list[bytes | DataError]:
    """The digests of many blobs; see `seen`."""
    return [found if isinstance(found, DataError) else found.digest for found in seen(blobs, cache, workers)]


def seen(blobs: Sequence[Blob], cache: DigestCache | None, workers: int) -> list[Seen | DataError]:
    """The digests and orientations of many blobs, each distinct one read at most once.

    Args:
        blobs: any, also the same one several times.
        cache: remembers those of whole files between runs; slices of a file are always read.
        workers: threads that read and hash.

    Returns:
        What each blob is, or what is wrong with it.
    """
    distinct = list(dict.fromkeys(blobs))
    whole = [blob for blob in distinct if blob.whole]
    slices = [blob for blob in distinct if not blob.whole]
    found: dict[Blob, Seen | DataError] = dict(zip(slices, _parallel(_or_error(_seen), slices, workers), strict=True))
    found.update(zip(whole, seen_files([blob.file for blob in whole], cache, workers), strict=True))
    return [found[blob] for blob in blobs]


def seen_files(files: Sequence[str], cache: DigestCache | None, workers: int) -> list[Seen | DataError]:
    """`seen` of many whole files."""
    known = (cache or DigestCache(None)).remembered("seen", files, _seen_file, workers)
    return [value if isinstance(value, DataError) else Seen(value[:BYTES], value[BYTES]) for value in known]


def video_facts(files: Sequence[str], cache: DigestCache | None, workers: int) -> list[VideoFacts | DataError]:
    """What many videos state, or what is wrong with them."""
    found = (cache or DigestCache(None)).remembered("video", files, _video_facts, workers)
    return [
        value if isinstance(value, DataError) else VideoFacts(int.from_bytes(value[:-1], "big"), value[-1])
        for value in found
    ]


def file_hashes(files: Sequence[str], cache: DigestCache | None, workers: int) -> list[bytes | DataError]:
    """The sha256 of many whole files, of any size, or what is wrong with them: what publishers state of checkpoints."""
    return (cache or DigestCache(None)).remembered("sha256", files, _sha256_of_file, workers)


@dataclass(frozen=True, slots=True)
class _Stamp:
    """A file as it was when it was looked at: what identifies its content, and whether that may be trusted later."""

    key: bytes
    settled: bool


class DigestCache:
    """Remembers what was computed from a file, for as long as the file is untouched.

    One SQLite file in `folder`. An entry's key is made of the file's path, size, mtime, ctime and inode, so an
    entry of a changed file is simply never found again. A file whose ctime lies less than two seconds before it was
    looked at could change once more without a new ctime: nothing is stored about it. Several processes may share the
    folder. A cache that cannot be opened, read or written is done without, and one that is not a database is set aside.

    Args:
        folder: where the cache lies; None remembers nothing between runs.
    """

    def __init__(self, folder: Path | None) -> None:
        self._lock = threading.Lock()
        self._recent: dict[tuple[str, bytes], bytes] = {}
        self._database = None if folder is None else _open(folder)

    def video_length(self, file: str) -> int:
        """The number of frames of a video file.

        Raises:
            DataError: the file is not a readable video.
        """
        (found,) = video_facts([file], self, 1)
        if isinstance(found, DataError):
            raise found
        return found.length

    def remembered(
        self, what: str, files: Sequence[str], compute: Callable[[str], bytes], workers: int
    ) -> list[bytes | DataError]:
        """What was computed from each file: from memory where the file is untouched, computed anew where it is not.

        Args:
            what: the name of that which is computed.
            files: any.
            compute: what to do with one of them; raises `DataError`.
            workers: threads that compute.
        """
        stamps = _parallel(_stamp, files, workers)
        known = self._look_up(what, {stamp.key for stamp in stamps if isinstance(stamp, _Stamp)})
        todo = [i for i, stamp in enumerate(stamps) if isinstance(stamp, _Stamp) and stamp.key not in known]
        fresh = dict(zip(todo, _parallel(_or_error(compute), [files[i] for i in todo], workers), strict=True))
        keep: list[tuple[bytes, bytes]] = []
        result: list[bytes | DataError] = []
        for i, stamp in enumerate(stamps):
            if isinstance(stamp, DataError):
                result.append(stamp)
                continue
            value = fresh[i] if i in fresh else known[stamp.key]
            result.append(value)
            if i in fresh and isinstance(value, bytes) and stamp.settled:
                keep.append((stamp.key, value))
        self._store(what, keep)
        return result

    def close(self) -> None:
        """Close the database."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _look_up(self, what: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        known = {key: self._recent[what, key] for key in keys if (what, key) in self._recent}
        asked = [key for key in keys if key not in known]
        with self._lock:
            try:
                for start in range(0, len(asked), ASK):
                    if self._database is None:
                        break
                    part = asked[start : start + ASK]
                    marks = ",".join("?" * len(part))
                    known.update(
                        self._database.execute(
                            f"SELECT key, value FROM entries WHERE what = ? AND key IN ({marks})", (what, *part)
                        )
                    )
            except sqlite3.Error:
                self.close()
        return known

    def _store(self, what: str, entries: Sequence[tuple[bytes, bytes]]) -> None:
        with self._lock:
            if self._database is None:
                self._recent.update({(what, key): value for key, value in entries})
                return
            try:
                with self._database:
                    self._database.executemany(
                        "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", ((what, *entry) for entry in entries)
                    )
            except sqlite3.Error:
                self.close()


def _open(folder: Path) -> sqlite3.Connection | None:
    """Open the database, setting a broken one aside once; None where that is impossible."""
    file = folder / FILE
    for attempt in range(2):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(file, timeout=30, check_same_thread=False)
            database.execute(
                "CREATE TABLE IF NOT EXISTS entries"
                " (what TEXT, key BLOB, value BLOB, PRIMARY KEY (what, key)) WITHOUT ROWID"
            )
            database.commit()
            database.execute("SELECT what, key, value FROM entries LIMIT 1").fetchone()
            return database
        except (sqlite3.OperationalError, OSError):
            return None
        except sqlite3.DatabaseError:
            if attempt:
                return None
            try:
                file.replace(file.with_suffix(".broken"))
            except OSError:
                return None
    return None


def _stamp(file: str) -> _Stamp | DataError:
    now = time.time_ns()
    try:
        stat = os.stat(file)  # noqa: PTH116  (a Path per file costs more than the look at it)
    except OSError as error:
        return DataError(f"{file} cannot be read: {error.strerror or error}")
    # A link is not followed: it may point elsewhere next time. Most paths are whole ones already.
    plain = file.startswith("/") and "//" not in file and "/." not in file
    whole = file if plain else os.path.abspath(file)  # noqa: PTH100
    facts = f"{whole}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\0{stat.st_ino}"
    key = hashlib.blake2b(facts.encode("utf-8", "surrogateescape"), digest_size=BYTES).digest()
    return _Stamp(key, now - stat.st_ctime_ns > FRESH_NS)


def _seen(blob: Blob) -> Seen:
    data = read(blob)
    pictured = blob.pictured and suffix(blob.file) not in VIDEOS
    return Seen(digest_of(blob, data), of_picture(data) if pictured else UPRIGHT)


def _seen_file(file: str) -> bytes:
    found = _seen(Blob(file))
    return found.digest + bytes([found.orientation])


def _sha256_of_file(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:  # noqa: PTH123
            return hashlib.file_digest(opened, "sha256").digest()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None


def _video_facts(file: str) -> bytes:
    found = video_pool.facts(Path(file))
    return found.length.to_bytes(8, "big") + bytes([found.orientation])


S = TypeVar("S")


def _or_error(compute: Callable[[S], T]) -> Callable[[S], T | DataError]:
    def attempt(item: S) -> T | DataError:
        try:
            return compute(item)
        except DataError as error:
            return error

    return attempt


def _parallel(compute: Callable[[S], T], items: Sequence[S], workers: int) -> list[T]:
    """Apply a function to many items in threads, many items a task, in order."""
    if workers < 2 or len(items) < 2:
        return [compute(item) for item in items]
    step = max(1, min(CHUNK, -(-len(items) // (4 * workers))))
    chunks = [items[start : start + step] for start in range(0, len(items), step)]
    with ThreadPoolExecutor(workers, thread_name_prefix="digest") as pool:
        return [result for part in pool.map(lambda chunk: [compute(item) for item in chunk], chunks) for result in part]
