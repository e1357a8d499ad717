"""Where training reads from: arrays or artifacts of the store, mapped from the disk and read a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import xxhash

from bench.errors import DataError
from bench.heads.heads import Floats
from bench.store.artifacts import Artifact

Positions = npt.NDArray[np.int64]
PROBED = 16


class Rows(Protocol):
    """N rows of equal width that lie somewhere; only what is taken is read."""

    @property
    def name(self) -> str:
        """What messages call them."""
        ...

    @property
    def width(self) -> int:
        """D."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def take(self, positions: Positions) -> Floats:
        """The rows at these positions, `[len(positions), D]` float32, in memory of their own."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayRows:
    """Rows of an array `[N, D]`, in memory or mapped (`numpy.load(path, mmap_mode="r")`).

    Raises:
        DataError: the array is not a matrix of floating-point numbers.
    """

    name: str
    array: npt.NDArray[Any]

    def __post_init__(self) -> None:
        if self.array.ndim != 2 or self.array.dtype.kind != "f":
            found = f"{self.array.dtype} {list(self.array.shape)}"
            raise DataError(f"{self.name}: embeddings [N, D] are needed, and this is {found}", "give a float matrix")

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.array.shape[1])

    def __len__(self) -> int:
        return len(self.array)

    def take(self, positions: Positions) -> Floats:
        """The rows at these positions."""
        return self.array[positions].astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class ArtifactRows:
    """The rows of an artifact under these digests; a digest may stand there more than once.

    Raises:
        DataError: a digest has no row.
    """

    name: str
    artifact: Artifact
    digests: Sequence[bytes]

    def __post_init__(self) -> None:
        missing = self.artifact.missing(self.digests)
        if missing:
            raise DataError(
                f"{self.name}: {len(missing)} of {len(self.digests)} rows are not in the store, first {missing[0].hex()}",
                "compute them first",
            )

    @property
    def width(self) -> int:
        """The width of the artifact's rows."""
        return int(self.artifact.rows(self.digests[:1]).shape[1])

    def __len__(self) -> int:
        return len(self.digests)

    def take(self, positions: Positions) -> Floats:
        """The rows at these positions."""
        return self.artifact.rows([self.digests[position] for position in positions.tolist()])


def npy(path: Path) -> ArrayRows:
    """The rows of a `.npy` file, mapped.

    Raises:
        DataError: it is no such file, or holds no matrix of floats.
    """
    try:
        return ArrayRows(str(path), np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as an array: {error}", "give a .npy file") from error


def finite(rows: Rows, positions: Positions) -> Floats:
    """Take rows, and require that they are numbers.

    Raises:
        DataError: one is not; says which.
    """
    taken = rows.take(positions)
    good = np.isfinite(taken).all(axis=1)
    if not good.all():
        bad = int(positions[int(np.nonzero(~good)[0][0])])
        raise DataError(f"{rows.name}: row {bad} is not finite (NaN or infinity)", "compute that row again")
    return taken


def probe(rows: Rows) -> str:
    """A hash of some rows, evenly spaced: enough to tell sources of one name apart."""
    positions = np.linspace(0, len(rows) - 1, min(len(rows), PROBED)).astype(np.int64)
    return xxhash.xxh3_64_hexdigest(np.ascontiguousarray(rows.take(positions)).tobytes())
