"""Content digests by the million: arrays of sixteen bytes each, where a `bytes` object would take three times as much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

BYTES = 16
KIND = f"S{BYTES}"

Keys = npt.NDArray[np.bytes_]
Places = npt.NDArray[np.int64]


def keys_of(digests: Iterable[bytes]) -> Keys:
    """Digests as an array."""
    return np.array(list(digests), KIND)


def joined(parts: Sequence[Keys]) -> Keys:
    """Arrays of keys one after another, also where there is none."""
    return np.concatenate(parts) if parts else np.empty(0, KIND)


def whole(keys: Keys) -> list[bytes]:
    """Each key with all its bytes: what numpy gives out lacks zero bytes at the end."""
    raw = np.ascontiguousarray(keys).tobytes()
    return [raw[start : start + BYTES] for start in range(0, len(raw), BYTES)]


def distinct(keys: Keys) -> Places:
    """Where each key stands for the first time, in order."""
    return np.sort(np.unique(keys, return_index=True)[1])


def find(known: Keys, wanted: Keys) -> Places:
    """The place of each wanted key among known ones, which are sorted; -1 where it is not there."""
    if not len(known):
        return np.full(len(wanted), -1, np.int64)
    spot = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[spot] == wanted, spot, -1)
