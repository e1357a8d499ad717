"""What a run leaves behind: every prediction, and the manifest of what made it.

A run's folder holds

- `manifest.json`: see `bench.records.manifest`: command, versions, git revision, hardware; for every dataset its root, layout,
  fingerprint and counts; for every network its adapter, options and checkpoint hashes; prompts as sent; protocols;
  how many pictures went through each tower; warnings; and the marks that a table must print.
- `predictions.parquet`: one row per sample and cell, see `bench.records.predictions`.
- `checksums.txt`: the sha256 of these two, as `sha256sum` writes it; they are tested whenever the record is opened.
- `metrics.csv`: UAR and WAR a fold and in the mean, recomputed from the predictions.
- `table_*.md`, `table_*.tex`: the tables, recomputed likewise. A record without one of them, or without metrics, is incomplete:
  its run was stopped before it wrote them.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import logging
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from bench.errors import BenchError, counted
from bench.records.manifest import Manifest, read_manifest
from bench.records.predictions import NO_CLASS, SCHEMA, FoldPredictions, as_table, read_predictions
from bench.store.files import file_name

log = logging.getLogger(__name__)

CHECKSUMS = "checksums.txt"
METRICS = "metrics.csv"
SEALED = ("manifest.json", "predictions.parquet")
STAMP = "%Y%m%d-%H%M%S"


@dataclass
class Record:
    """A run's folder, opened."""

    path: Path
    manifest: Manifest

    def predictions(self) -> Iterator[FoldPredictions]:
        """The predictions on disk, a cell and fold at a time.

        Raises:
            BenchError: the file is not readable, or does not fit the manifest.
        """
        file = self.path / "predictions.parquet"
        for part in read_predictions(file):
            facts = self.manifest.datasets.get(part.cell.dataset)
            if facts is None:
                raise BenchError(f"{file}: the manifest has no dataset {part.cell.dataset!r}", "run it again")
            stated = facts.folds.get(part.fold, 0)
            if not stated - len(facts.missing) <= len(set(part.samples)) == len(part.samples) <= stated:
                raise BenchError(
                    f"{file}: {counted(len(part.samples), 'row')} for {counted(len(set(part.samples)), 'sample')} of "
                    f"{part.cell.dataset}, fold {part.fold}, where the manifest states {stated}",
                    "run it again",
                )
            for name, values, lowest in (("label", part.labels, 0), ("prediction", part.predictions, NO_CLASS)):
                if len(values) and not lowest <= values.min() <= values.max() < len(facts.classes):
                    raise BenchError(
                        f"{file}: a {name} of {part.cell.dataset} lies outside its {len(facts.classes)} classes "
                        f"({values.min()} to {values.max()})",
                        "run it again",
                    )
            yield part

    def derived(self) -> list[str]:
        """The names of the files that follow from its predictions: the metrics, and two for each table.

        Raises:
            BenchError: a table's name makes no file's name.
        """
        return [
            METRICS,
            *(f"{self.table_file(ref)}{ending}" for ref in self.manifest.tables for ending in (".md", ".tex")),
        ]

    def table_file(self, ref: str) -> str:
        """The name of a table's files, without ending.

        Raises:
            BenchError: the table's name makes no file's name.
        """
        return file_name(f"table_{ref.replace(':', '-')}", f"{self.path / 'manifest.json'}: table {ref!r:.200}")

    @property
    def lacking(self) -> list[str]:
        """Which of the files that follow from its predictions are not there; none where it is complete."""
        return [name for name in self.derived() if not (self.path / name).is_file()]

    @property
    def classes(self) -> dict[str, list[str]]:
        """Dataset -> class names."""
        return {name: list(facts.classes) for name, facts in self.manifest.datasets.items()}


def write(
    folder: Path,
    manifest: Manifest,
    predictions: Iterable[FoldPredictions],
) -> Record:
    """Write a run's folder, whole or not at all.

    Where another run has taken its name meanwhile, the record's path is one with a number behind it.

    Raises:
        BenchError: the folder cannot be written.
    """
    partial = folder.with_name(f".{folder.name}.{platform.node()}.{os.getpid()}.partial")
    try:
        _remove_left_over(folder.parent)
        partial.mkdir(parents=True)
        with pq.ParquetWriter(partial / "predictions.parquet", SCHEMA, compression="zstd") as writer:
            for part in predictions:
                table = as_table(part, manifest.datasets[part.cell.dataset].classes)
                writer.write_table(table, max(1, len(table)))  # one row group, also where pyarrow would make several
        (partial / "manifest.json").write_text(manifest.text(), encoding="utf-8")
        write_checksums(partial)
        folder = _rename(partial, folder)
    except OSError as error:
        raise BenchError(
            f"the record {folder} could not be written: {error}", "free some space, or name --out DIR"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Record(folder, manifest)


def _rename(partial: Path, folder: Path) -> Path:
    """Give a whole folder its name, or the next one that is free."""
    for number in itertools.count(2):
        try:
            return partial.replace(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            folder = folder.with_name(f"{folder.name.removesuffix(f'-{number - 1}')}-{number}")
    raise AssertionError


def _remove_left_over(base: Path) -> None:
    """Remove what killed runs of this machine left half written."""
    for path in base.glob(f".*.{platform.node()}.*.partial"):
        process = path.name.split(".")[-2]
        if process.isdigit() and not _alive(int(process)):
            shutil.rmtree(path, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def open_record(path: Path) -> Record:
    """Open a run's folder.

    Raises:
        BenchError: the folder holds a link, or something else that is neither a file nor a folder; its manifest or predictions are
            not as they were written; or see `bench.records.manifest.read_manifest`.
    """
    for entry in sorted(path.iterdir()) if path.is_dir() else ():
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            kind = "a link" if entry.is_symlink() else "not a file"
            raise BenchError(
                f"{entry} is {kind}; a record holds its own files", "put the file itself there, or remove it"
            )
    manifest = read_manifest(path / "manifest.json")
    _check_checksums(path)
    record = Record(path, manifest)
    if lacking := record.lacking:
        log.warning("the record %s is incomplete, its run was stopped: it lacks %s", path, ", ".join(lacking))
    return record


def write_checksums(folder: Path) -> None:
    """State the sha256 of a record's manifest and predictions beside them."""
    (folder / CHECKSUMS).write_text("".join(f"{_line(folder / name)}\n" for name in SEALED), encoding="utf-8")


def _check_checksums(folder: Path) -> None:
    file = folder / CHECKSUMS
    if not file.exists():
        log.warning("%s has no %s, as records of 0.1: nothing tells whether it is as it was written", folder, CHECKSUMS)
        return
    try:
        stated = file.read_bytes().decode("utf-8", "replace").split("\n")
        changed = [name for name in SEALED if (folder / name).exists() and _line(folder / name) not in stated]
    except OSError as error:
        raise BenchError(f"{folder} is not readable: {error}", "mend the disk, or what may be read there") from error
    if changed:
        raise BenchError(
            f"{folder / changed[0]} is not as it was written: its sha256 is not the one in {file}",
            "take the record from where it came from, or run it again; if the change was yours:"
            f" sha256sum {' '.join(SEALED)} > {CHECKSUMS}",
        )


def _line(file: Path) -> str:
    with file.open("rb") as opened:
        return f"{hashlib.file_digest(opened, 'sha256').hexdigest()}  {file.name}"


def latest(folder: Path) -> Path:
    """The newest run below a folder.

    Raises:
        BenchError: there is none.
    """
    runs = sorted(path for path in folder.glob("*/manifest.json"))
    if not runs:
        raise BenchError(f"there is no run in {folder}", "bench run --table 2 --mini makes one")
    return runs[-1].parent


def new_folder(base: Path, name: str) -> Path:
    """A folder for a run that starts now: time first, so that names sort by age.

    Where the clock has been set back, the time is one second after the newest name there.
    """
    now = datetime.now(UTC)
    newest = max(filter(None, (_time_of(path.name) for path in base.glob("*-*-*"))), default=now)
    stamp = (newest + timedelta(seconds=1) if newest > now else now).strftime(STAMP)
    folder = base / f"{stamp}-{name}"
    number = 1
    while folder.exists():
        number += 1
        folder = base / f"{stamp}-{name}-{number}"
    return folder


def _time_of(name: str) -> datetime | None:
    """When a run began, by its folder's name; None for another folder."""
    try:
        return datetime.strptime("-".join(name.split("-")[:2]), STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
