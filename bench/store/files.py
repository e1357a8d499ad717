"""Files that are either whole or not there, and a disk's refusals as errors a user can mend."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from bench.errors import BenchError, StoreError

TRIES = 5
ELSEWHERE = "name another place with --store DIR"
# What a name may be made of that becomes a file's: it cannot lead to another folder, nor hide.
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def file_name(name: str, source: str) -> str:
    """A file's name that was made of what a record states, as it is.

    Every writer asks here before it puts such a name behind a folder: a record may come from anywhere.

    Args:
        name: the file's name.
        source: what states it, for the message.

    Raises:
        BenchError: it is not made of letters, digits, `.`, `_` and `-` alone, or does not begin with a letter or digit.
    """
    if not FILE_NAME.fullmatch(name):
        raise BenchError(
            f"{source} leads to a file called {name!r:.200}, which is not a plain name",
            "names of tables and devices have letters, digits, '.', '_' and '-'; do not use this record if it is not yours",
        )
    return name


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` when the block ends well; nothing of it is left when it does not.

    Pattern: written beside its place, flushed to the disk, renamed into it. Guarantee: whoever opens `path`, at any moment
    and after a kill or a power cut, finds the file as it was or as it is now, never a part. Trade-offs: each file waits for
    the disk once; of two writers at the same time the later one stands; a kill may leave a hidden `.tmp` beside it.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.unlink(missing_ok=True)  # nothing is written through a link that lies there
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes | memoryview | str) -> None:
    """Write a file, whole or not at all; text as UTF-8. See `whole_file`."""
    with whole_file(path) as beside:
        beside.write_bytes(data.encode() if isinstance(data, str) else data)


def check_writable(folder: Path, option: str) -> None:
    """Make a folder and a file in it, both gone again, so that hours of work do not end in a refusal.

    Args:
        option: that names the folder, for the message.

    Raises:
        StoreError: one of them cannot be made.
    """
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        for attempt in range(TRIES):
            folder.mkdir(parents=True, exist_ok=True)
            # Another run that looks at the same moment may have taken the folder away again.
            passing = suppress(FileNotFoundError) if attempt < TRIES - 1 else nullcontext()
            with passing, tempfile.TemporaryFile(dir=folder):
                return
    except OSError as error:
        raise StoreError(
            f"{folder} could not be written: {error.strerror or error}", f"name another place with {option} DIR"
        ) from error
    finally:
        for place in new:
            with suppress(OSError):
                place.rmdir()


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turns the disk's refusals into errors a user can mend."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"the disk is full: {path} could not be written", "free some space; what is stored so far is kept"
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise StoreError(f"{path} is not writable ({error.strerror})", ELSEWHERE) from error
        raise StoreError(f"{path}: {error}", f"check the disk, or {ELSEWHERE}") from error
