"""What has been cropped so far, so that a killed run goes on where it was.

Pattern: a clip's crops are written beside and renamed into place; only then one line about it is appended here. Guarantee: a
line's crops are whole. A kill between the two leaves crops without a line, which are made again. A line cut short by a kill
is dropped with whatever follows it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.crops.clip import FaceRow
from bench.crops.face import Face


@dataclass(frozen=True)
class Entry:
    """One sample that has been cropped.

    Attributes:
        path: where its crops are, below the target.
        sample: the source's sample id.
        source: digest of the source's bytes, in hexadecimal.
        crops: how many there are.
        digest: of the crops' bytes.
        rows: the boxes.
    """

    path: str
    sample: str
    source: str
    crops: int
    digest: str
    rows: tuple[FaceRow, ...]


class Journal:
    """The lines of one target, one for each sample that is done; several threads may append.

    Args:
        file: where the lines are; need not exist.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._places = self._read()
        self._out = file.open("ab")

    def sources(self) -> dict[str, str]:
        """Path -> digest of the source it was made from, for all that is done."""
        return {path: source for path, (_, source) in self._places.items()}

    def append(self, entry: Entry) -> None:
        """Note that a sample is done."""
        line = json.dumps(_packed(entry), separators=(",", ":")).encode() + b"\n"
        with self._lock:
            start = self._out.tell()
            self._out.write(line)
            self._out.flush()
            self._places[entry.path] = (start, entry.source)

    def entries(self, paths: list[str]) -> Iterator[Entry]:
        """The entries of these paths, in that order, one at a time in memory."""
        with self._file.open("rb") as lines:
            for path in paths:
                lines.seek(self._places[path][0])
                yield _unpacked(json.loads(lines.readline()))

    def close(self) -> None:
        """Close the file."""
        self._out.close()

    def _read(self) -> dict[str, tuple[int, str]]:
        places: dict[str, tuple[int, str]] = {}
        if not self._file.exists():
            return places
        end = 0
        with self._file.open("rb") as lines:
            for line in lines:
                try:
                    facts = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    facts = None
                if facts is None:
                    break
                places[facts["path"]] = (end, facts["source"])
                end += len(line)
        with self._file.open("r+b") as lines:
            lines.truncate(end)
        return places


def _packed(entry: Entry) -> dict[str, Any]:
    rows = []
    for row in entry.rows:
        face = None if row.face is None else [row.face.box, row.face.score, row.face.landmarks]
        rows.append([row.frame, row.use, row.source, face, row.cut])
    return {**entry.__dict__, "rows": rows}


def _unpacked(facts: Mapping[str, Any]) -> Entry:
    rows = []
    for frame, use, source, face, cut in facts["rows"]:
        found = None if face is None else Face(tuple(face[0]), face[1], tuple((x, y) for x, y in face[2]))
        rows.append(FaceRow(frame, use, source, found, None if cut is None else tuple(cut)))
    return Entry(**{**facts, "rows": tuple(rows)})
