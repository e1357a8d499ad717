"""Files that are either whole or not there, and a disk's refusals as errors a user can mend."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import StoreError

ELSEWHERE = "name another place with --store DIR"


def write_beside(path: Path, data: bytes | memoryview) -> None:
    """Write a file so that it is either whole or not there."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with disk(path):
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise


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
