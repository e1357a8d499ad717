"""What lies beside crops: `crops.json`, which says how they were made, and `crops.parquet`, every box that was found.

`crops.json` holds `schema` (of this page), the dataset, the source's root and layout, the detector with the sha256 of its
weights, the rules, the versions, counts, the samples without any face, and digests of the boxes and of all crops. It is written
last: where it lies, the crops are complete. It holds no time, so that two runs give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.crops.face import LANDMARKS
from bench.crops.journal import Entry
from bench.errors import BenchError, counted
from bench.store.files import write_whole

SCHEMA_VERSION = 1
MANIFEST = "crops.json"
BOXES = "crops.parquet"
ROWS_PER_GROUP = 100_000


def read_manifest(root: Path) -> dict[str, Any] | None:
    """The manifest of crops that were made here; None where a dataset's root holds none.

    Raises:
        BenchError: it is there and cannot be read.
    """
    file = root / MANIFEST
    if not file.is_file():
        return None
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        if facts["schema"] != SCHEMA_VERSION:
            raise ValueError(f"schema {facts['schema']!r}, expected {SCHEMA_VERSION}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{file} cannot be read: {error}", "make the crops again (bench prepare)") from None
    return dict(facts)


def crops_note(root: Path, title: str) -> str:
    """What a table says of crops that were made here; empty where the dataset's root holds none.

    Args:
        root: the dataset's root.
        title: the dataset's name in print.
    """
    facts = read_manifest(root)
    if facts is None:
        return ""
    rules, counts = facts["rules"], facts["counts"]
    cut = "aligned by five landmarks" if rules["align"] else f"a margin of {rules['margin']:g}"
    note = f"crops of {title} made here: {facts['detector']['title']}, {cut}, {rules['size']} pixels"
    if counts["samples_without_face"]:
        note += f"; {counted(counts['samples_without_face'], 'sample')} without a face are whole pictures"
    return note


def crops_facts(root: Path) -> dict[str, Any]:
    """What a record keeps of crops that were made here: `crops` with their manifest, or nothing."""
    facts = read_manifest(root)
    lists = ("without_face", "unreadable")
    return {} if facts is None else {"crops": {key: value for key, value in facts.items() if key not in lists}}


def write_boxes(file: Path, entries: Iterable[Entry]) -> None:
    """Write every box: one row per face that was found, and one for each frame that has none of the person's.

    Columns: `path` and `sample`, `frame`, `use` and `source` as in `bench.crops.clip.FaceRow`, then the box, the score and
    the landmarks as they were found, in pixels of the source's frame, and the square that was cut (`cut_left`, ...), which
    is steadier than the box; null where there is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = ("left", "top", "right", "bottom", "score")
    points = tuple(f"{name}_{axis}" for name in LANDMARKS for axis in "xy")
    squares = ("cut_left", "cut_top", "cut_right", "cut_bottom")
    words = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [
            *(pa.field(name, words) for name in ("path", "sample")),
            pa.field("frame", pa.int32()),
            pa.field("use", words),
            pa.field("source", pa.int32()),
            *(pa.field(name, pa.float32()) for name in (*numbers, *points, *squares)),
        ],
        metadata={"fer-bench.crops": str(SCHEMA_VERSION)},
    )
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        table: list[dict[str, Any]] = []
        for entry in entries:
            for row in entry.rows:
                flat = () if row.face is None else (*row.face.box, row.face.score)
                marks = () if row.face is None else tuple(value for point in row.face.landmarks for value in point)
                table.append(
                    {
                        "path": entry.path,
                        "sample": entry.sample,
                        "frame": row.frame,
                        "use": row.use,
                        "source": row.source,
                    }
                    | dict(zip(numbers, flat, strict=False))
                    | dict(zip(points, marks, strict=False))
                    | dict(zip(squares, row.cut or (), strict=False))
                )
            if len(table) >= ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(table, schema))
                table = []
        writer.write_table(pa.Table.from_pylist(table, schema))


def counts_of(entries: Iterable[Entry], without: list[str]) -> dict[str, int]:
    """The counts of a manifest.

    Args:
        entries: every sample that was cropped.
        without: the ids of those in which no face was found are added to it.
    """
    counts = dict.fromkeys(
        ("samples", "crops", "cut_by_own_face", "cut_by_neighbour", "whole_frames", "frames_with_another_face_only"), 0
    )
    for entry in entries:
        uses: dict[int, list[str]] = {}
        for row in entry.rows:
            uses.setdefault(row.frame, []).append(row.use)
        counts["samples"] += 1
        counts["crops"] += entry.crops
        counts["cut_by_own_face"] += sum("crop" in found for found in uses.values())
        counts["cut_by_neighbour"] += sum("neighbour" in found for found in uses.values())
        counts["whole_frames"] += sum("whole" in found for found in uses.values())
        counts["frames_with_another_face_only"] += sum(
            "crop" not in found and "other" in found for found in uses.values()
        )
        if not any(use in ("crop", "other") for found in uses.values() for use in found):
            without.append(entry.sample)
    return {**counts, "samples_without_face": len(without)}


def dump(file: Path, facts: Mapping[str, Any]) -> None:
    """Write facts as JSON, whole or not at all."""
    write_whole(file, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
