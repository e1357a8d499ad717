"""The artifact store: the only code that writes a cache.

An artifact holds rows, one per digest (of a picture, a clip, a text). Its name is the hash of what
can change a row: model, checkpoint bytes, input protocol, dtype, code version of the step; see `ArtifactKey`. Nothing else
is in it, so a prompt, a head, a table, a batch size, a worker count, a path or a modification time recomputes nothing.

Guarantee: a row that can be read is the row that was written. A shard is written beside its place, flushed to the disk
and renamed into it, under a name that holds the checksum of its bytes; it is verified before its rows are used, and so are
the small facts about the whole artifact (`about.json`), which hold their own. A kill
at any moment loses the rows of the shard in hand and nothing else. One writer per artifact at a time (file lock); a second
run waits for it and then finds the rows already there. A shard that fails its checksum is moved to `broken/`, reported,
and its rows are computed again.

Trade-off accepted: an artifact's shards are all hashed when it is opened (some GB/s), and its index is held in memory (24
bytes per row).
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
from filelock import FileLock, Timeout

from bench.errors import StoreError, counted
from bench.store.digests import KIND, Keys, Places, distinct, find, whole
from bench.store.files import disk, write_whole

log = logging.getLogger(__name__)

ROWS_PER_SHARD = 4096
SECONDS_PER_SHARD = 30.0

Floats = npt.NDArray[np.float32]
Digests = Sequence[bytes] | Keys


@dataclass(frozen=True)
class ArtifactKey:
    """What an artifact is made of, in words: everything that can change a row, and nothing that cannot.

    Attributes:
        step: what is computed (`image-embedding`, `text-embedding`, ...).
        inputs: JSON-able facts: the adapter and its version, options, hashes of the checkpoint files, pixels, dtype.
    """

    step: str
    inputs: Mapping[str, Any]

    def __post_init__(self) -> None:
        """A step among the inputs would take the place of the key's own, and two artifacts could share a hash."""
        if "step" in self.inputs:
            raise StoreError(f"artifact {self.step!r}: an input is called 'step'", "give that input another name")

    @property
    def hash(self) -> str:
        """The artifact's name: 32 hexadecimal digits."""
        text = json.dumps({"step": self.step, **self.inputs}, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass
class Artifact:
    """The rows of one artifact that are in the store, by digest.

    Attributes:
        key: what a row is made of.
        path: the folder.
        facts: small facts about the whole artifact (a model's logit scale), or empty where none is known yet.
    """

    key: ArtifactKey
    path: Path
    facts: dict[str, Any] = field(default_factory=dict)
    _keys: Keys = field(default_factory=lambda: np.empty(0, KIND))
    _shard: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    _row: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    _shards: list[Path] = field(default_factory=list)
    _added: int = 0
    _kind: np.dtype[Any] | None = None

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, digests: Digests) -> Places:
        """Position of each digest in the artifact's index, or -1."""
        return find(self._keys, np.asarray(digests, KIND))

    def missing(self, digests: Digests) -> list[bytes]:
        """The digests without a row, each once, in order of first appearance."""
        wanted = np.asarray(digests, KIND)
        once = wanted[distinct(wanted)]
        return whole(once[self.find(once) < 0])

    def rows(self, digests: Digests) -> Floats:
        """The rows `[len(digests), D]`; a digest may be asked for more than once.

        Raises:
            StoreError: a digest has no row (the caller asks `missing` first).
        """
        result = np.empty((len(digests), self.width), np.float32)
        for here, rows in self._by_shard(digests):
            result[here] = rows
        return result

    @property
    def width(self) -> int:
        """Length of a row; 0 while it holds none, and where rows are texts."""
        return 0 if self._kind is None or not self._kind["row"].shape else int(self._kind["row"].shape[0])

    def texts(self, digests: Digests) -> list[str]:
        """The rows of an artifact of texts.

        Raises:
            StoreError: a digest has no row.
        """
        result = np.empty(len(digests), object)
        for here, rows in self._by_shard(digests):
            result[here] = [text.decode() for text in rows.tolist()]
        return list(result)

    def _by_shard(self, digests: Digests) -> Iterator[tuple[Places, npt.NDArray[Any]]]:
        """Positions in `digests`, and their rows, shard by shard and in the order of the file."""
        spots = self.find(digests)
        if not len(spots):
            return
        if spots.min() < 0:
            raise StoreError(f"{int((spots < 0).sum())} rows of {self.path.name} are not in the store", "run it again")
        shards, rows = self._shard[spots], self._row[spots]
        order = np.lexsort((rows, shards))
        cuts = np.nonzero(np.diff(shards[order]))[0] + 1
        for here in np.split(order, cuts):
            yield here, _mapped(self._shards[shards[here[0]]])["row"][rows[here]]


def _mapped(path: Path) -> npt.NDArray[Any]:
    """A shard's records, mapped from the disk.

    Nobody keeps this: each mapping holds an open file, and an artifact may have more shards than a process may open files.

    Raises:
        StoreError: the shard is gone since the artifact was opened.
    """
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}", "run it again") from error
    return array


class Writer:
    """Adds rows to an artifact, a shard at a time; made by `Store.writing`."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self._digests: list[bytes] = []
        self._rows: list[npt.NDArray[Any]] = []
        self._since = time.monotonic()

    def add(self, digests: Sequence[bytes], rows: npt.NDArray[Any]) -> None:
        """Hold rows, float32 `[len(digests), D]` or bytes `[len(digests)]`; write a shard when enough have gathered.

        Raises:
            StoreError: a row is not finite, or the disk is full or not writable.
        """
        if len(rows) != len(digests):
            raise StoreError(
                f"{counted(len(rows), 'row')} for {counted(len(digests), 'input')}",
                "the adapter must return one row per input",
            )
        self._digests.extend(digests)
        self._rows.append(rows if rows.dtype.kind == "S" else np.ascontiguousarray(rows, dtype=np.float32))
        if len(self._digests) >= ROWS_PER_SHARD or time.monotonic() - self._since > SECONDS_PER_SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._digests:
            rows = np.concatenate(self._rows)
            _write_shard(self.artifact, self._digests, rows)
        self._digests, self._rows, self._since = [], [], time.monotonic()

    def note(self, **facts: Any) -> None:
        """Keep small facts about the whole artifact."""
        self.artifact.facts.update(facts)
        about = {"step": self.artifact.key.step, **self.artifact.key.inputs, "facts": self.artifact.facts}
        text = json.dumps({**about, "checksum": _checksum_of(about)}, indent=1)
        with disk(self.artifact.path / "about.json"):
            write_whole(self.artifact.path / "about.json", text.encode())


class Store:
    """The folder that holds every artifact.

    Args:
        root: made when first written to.
        warnings: where what a manifest must tell is kept, once each, besides being logged: a broken entry, a wait for
            another run.
    """

    def __init__(self, root: Path, warnings: list[str] | None = None) -> None:
        self.root = root
        self.warnings = [] if warnings is None else warnings

    def open(self, key: ArtifactKey) -> Artifact:
        """The artifact of a key as it now is; empty where nothing has been stored."""
        artifact = Artifact(key, self.root / key.step / key.hash)
        self._load(artifact)
        return artifact

    @contextmanager
    def writing(self, key: ArtifactKey) -> Iterator[Writer]:
        """The artifact, locked for this process; what other runs have added meanwhile is in it.

        Raises:
            StoreError: the store cannot be written.
        """
        artifact = Artifact(key, self.root / key.step / key.hash)
        with disk(artifact.path):
            artifact.path.mkdir(parents=True, exist_ok=True)
        with self._locked(artifact.path):
            for left in artifact.path.glob("*.tmp"):
                left.unlink(missing_ok=True)
            self._load(artifact)
            writer = Writer(artifact)
            if not (artifact.path / "about.json").exists():
                writer.note()
            try:
                yield writer
            except StoreError:
                raise
            except (Exception, KeyboardInterrupt):
                writer.flush()
                raise
            writer.flush()

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        lock = FileLock(path / "lock")
        with disk(path):
            try:
                lock.acquire(timeout=0.5)
            except Timeout:
                self._warn(f"waiting for another run that is writing {path.parent.name}/{path.name[:8]}")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _load(self, artifact: Artifact) -> None:
        about = artifact.path / "about.json"
        if about.exists():
            try:
                said = json.loads(about.read_bytes())
                if said.pop("checksum") != _checksum_of(said):
                    raise ValueError
                artifact.facts = said["facts"]
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self._set_aside(about, "its facts are not those that were written")
        keys, shard, row = [], [], []
        for path in sorted(artifact.path.glob("*.npy")):
            array = self._verified(path)
            if array is not None:
                keys.append(np.array(array["digest"]))
                shard.append(np.full(len(array), len(artifact._shards), np.int32))
                row.append(np.arange(len(array), dtype=np.int32))
                artifact._shards.append(path)
                artifact._kind = artifact._kind or array.dtype
        if keys:
            joined = np.concatenate(keys)
            order = np.argsort(joined, kind="stable")
            artifact._keys, artifact._shard, artifact._row = (
                joined[order],
                np.concatenate(shard)[order],
                np.concatenate(row)[order],
            )

    def _verified(self, path: Path) -> npt.NDArray[Any] | None:
        """The shard's rows, mapped from the disk, or None where it is broken."""
        with path.open("rb") as file:
            found = _checksum(file.read())
        if found != path.stem.rpartition("-")[2]:
            self._set_aside(path, "its bytes are not those that were written")
            return None
        return _mapped(path)

    def _warn(self, line: str) -> None:
        if line not in self.warnings:
            self.warnings.append(line)
            log.warning("%s", line)

    def _set_aside(self, path: Path, reason: str) -> None:
        aside = self.root / "broken" / f"{path.parent.name}-{path.name}"
        self._warn(f"store entry {path} is broken ({reason}); set aside as {aside}, its rows are computed again")
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.replace(aside)
        except OSError:
            self._warn(f"{path} could not be moved; it is ignored")


def _write_shard(artifact: Artifact, digests: Sequence[bytes], rows: npt.NDArray[Any]) -> None:
    import io

    if rows.dtype.kind == "f":
        _check_floats(artifact, digests, rows)
    kind = (rows.dtype, rows.shape[1:]) if rows.ndim > 1 else (rows.dtype,)
    records = np.empty(len(digests), [("digest", KIND), ("row", *kind)])
    records["digest"] = digests
    records["row"] = rows
    buffer = io.BytesIO()
    np.save(buffer, records)
    with buffer.getbuffer() as data:
        path = artifact.path / f"{len(artifact._shards) + artifact._added:06d}-{_checksum(data)}.npy"
        with disk(path):
            write_whole(path, data)
    log.debug("%d rows written to %s", len(digests), path)
    artifact._added += 1


def _check_floats(artifact: Artifact, digests: Sequence[bytes], rows: npt.NDArray[Any]) -> None:
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        bad = digests[int(np.nonzero(~finite)[0][0])].hex()
        raise StoreError(
            f"a row of {artifact.key.step} is not finite (input {bad})", "the model returned NaN or infinity"
        )
    if artifact.width not in (0, rows.shape[1]):
        raise StoreError(
            f"rows of width {rows.shape[1]} for an artifact of width {artifact.width}", "bump the adapter's version"
        )


def _checksum_of(about: Mapping[str, Any]) -> str:
    """The checksum of an artifact's facts, and of what it is made of."""
    return _checksum(json.dumps(about, sort_keys=True).encode())


def _checksum(data: bytes | memoryview) -> str:
    return xxhash.xxh3_128_hexdigest(data)
