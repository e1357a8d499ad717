"""From a dataset as it is distributed to a folder of face crops that its card's readers read; what `bench prepare` does."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.cards.dataset_schema import DatasetCard
from bench.crops.clip import CropRules, NoFace, survey
from bench.crops.frames import blobs_of
from bench.crops.journal import Entry, Journal
from bench.crops.load import VERSIONS, Detector
from bench.crops.manifest import BOXES, MANIFEST, SCHEMA_VERSION, counts_of, dump, read_manifest, write_boxes
from bench.crops.place import Placement, Unit, check_readable, place
from bench.crops.target import WORK, below, final_path, free_bytes, needed_bytes, opened_target, write_crops
from bench.crops.track import GAP, OVERLAP
from bench.data.datasets import open_split, unread_note
from bench.data.digest import DigestCache, digests, video_facts
from bench.data.samples import Frames, Video
from bench.errors import BenchError, DataError, counted
from bench.process.progress import bar
from bench.records.machine import installed
from bench.store.files import write_whole

SHOWN = 10
AHEAD = 8
PERSON = "the track with the largest summed area of its boxes; in a picture the largest face"
OUTSIDE = "black"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resources:
    """What the work is done with.

    Attributes:
        cache: remembers digests and lengths of files.
        workers: samples at work at the same time.
        allow_missing: how many samples may be unreadable; they are left out of the lists and named in the manifest.
        show: whether a progress bar is drawn.
    """

    cache: DigestCache
    workers: int = 1
    allow_missing: int = 0
    show: bool = True


class Failed(NamedTuple):
    """A sample without crops, and why."""

    path: str
    sample: str
    reason: str
    faceless: bool


def prepare(
    card: DatasetCard, root: Path, target: Path, detector: Detector, rules: CropRules, resources: Resources
) -> dict[str, Any]:
    """Crop every sample of a dataset.

    Args:
        card: the dataset.
        root: where it lies.
        target: where the crops go.
        detector: what finds the faces.
        rules: how crops are cut.
        resources: what the work is done with.

    Returns:
        The manifest; see `bench.crops.manifest`.

    Raises:
        BenchError: the target cannot be used, or the disk is too small or full. What is finished is kept.
        DataError: samples cannot be read, or have no face where that is an error; lists them. What is finished is kept.
    """
    splits = [open_split(card, root, fold) for fold in card.folds]
    if note := unread_note(root, sorted({file for split in splits for file in split.unread})):
        log.warning("%s", note)
    placement = place(card, splits)
    plan = {
        "schema": SCHEMA_VERSION,
        "dataset": card.name,
        "source": str(root),
        "source_layout": splits[0].layout,
        "layout": placement.layout.name,
        "detector": detector.identity,
        "person": {"rule": PERSON, "overlap": OVERLAP, "gap": GAP},
        "rules": {**asdict(rules), "outside_the_picture": OUTSIDE},
        "versions": installed(VERSIONS),
    }
    with opened_target(target, root, plan) as complete:
        if complete:
            log.info("%s is complete already", target)
        else:
            _fill(target, placement, detector, rules, resources, plan)
    manifest = read_manifest(target)
    assert manifest is not None
    return manifest


def _fill(
    target: Path, placement: Placement, detector: Detector, rules: CropRules, resources: Resources, plan: dict[str, Any]
) -> None:
    for unit in placement.units:
        final_path(target, unit, rules)
    frames = frame_counts(placement.units, resources)
    journal = Journal(target / WORK / "journal.jsonl")
    try:
        _check_space(target, placement, frames, rules, resources, journal)
        failed: list[Failed] = []
        with bar(f"crops of {placement.card.label}", sum(frames.values()), "frames", show=resources.show) as progress:
            for unit, failure in _each(
                placement.units, _worker(target, detector, rules, resources, journal), resources.workers
            ):
                progress.advance(frames[unit.path])
                failed += [failure] if failure else []
        _check_failed(placement.card, failed, resources)
        _finish(target, placement, failed, journal, plan)
    finally:
        journal.close()


def frame_counts(units: Sequence[Unit], resources: Resources) -> dict[str, int]:
    """How many frames each sample has, by its path; 0 for a video that cannot be read."""
    videos = list(dict.fromkeys(unit.media.file for unit in units if isinstance(unit.media, Video)))
    found = dict(zip(videos, video_facts(videos, resources.cache, resources.workers), strict=True))
    counts = {}
    for unit in units:
        if isinstance(unit.media, Video):
            facts = found[unit.media.file]
            counts[unit.path] = 0 if isinstance(facts, DataError) else facts.length
        else:
            counts[unit.path] = len(unit.media.names) if isinstance(unit.media, Frames) else 1
    return counts


def _check_space(
    target: Path, placement: Placement, frames: dict[str, int], rules: CropRules, resources: Resources, journal: Journal
) -> None:
    """Say what the crops will take, and stop where the disk has not so much left."""
    done = journal.sources()
    left = sum(count for path, count in frames.items() if path not in done)
    needed, free = needed_bytes(left, rules), free_bytes(target)
    log.info(
        f"{counted(len(frames), 'sample')}, {counted(sum(frames.values()), 'frame')} to crop"
        + (f" ({counted(len(done), 'sample')} are done already)" if done else "")
        + f"; {_size(needed)} of disk at most, {_size(free)} free in {target}"
    )
    if needed > free:
        raise BenchError(
            f"the crops of {placement.card.label} may take {_size(needed)}, and {target} has {_size(free)} free",
            "free some space, or name another disk with --out",
        )


def _worker(
    target: Path, detector: Detector, rules: CropRules, resources: Resources, journal: Journal
) -> Callable[[Unit], Failed | None]:
    done = journal.sources()

    def work(unit: Unit) -> Failed | None:
        try:
            source = _source_digest(unit, resources.cache)
            if done.get(unit.path) == source and final_path(target, unit, rules).exists():
                return None
            surveyed = survey(unit.media, detector, rules)
            count, digest = write_crops(target, unit, surveyed, rules)
        except DataError as error:
            return Failed(unit.path, unit.sample, error.what, isinstance(error, NoFace))
        except (BenchError, OSError):
            raise
        except Exception as error:
            raise BenchError(
                f"{unit.sample}: {detector.name} failed on it: {type(error).__name__}: {error}",
                "what is finished is kept; try another detector, or fewer --workers where memory is short",
            ) from error
        journal.append(Entry(unit.path, unit.sample, source, count, digest, surveyed.rows))
        return None

    return work


def _source_digest(unit: Unit, cache: DigestCache) -> str:
    hasher = hashlib.blake2b(digest_size=16)
    for found in digests(blobs_of(unit.media), cache, 1):
        if isinstance(found, DataError):
            raise found
        hasher.update(found)
    return hasher.hexdigest()


def _each(
    units: Sequence[Unit], work: Callable[[Unit], Failed | None], workers: int
) -> Iterator[tuple[Unit, Failed | None]]:
    """Each unit with its outcome, in order; on an error what has not begun is left."""
    window: deque[tuple[Unit, Future[Failed | None]]] = deque()
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="crop") as pool:
        try:
            for unit in units:
                window.append((unit, pool.submit(work, unit)))
                if len(window) > AHEAD * workers:
                    done, future = window.popleft()
                    yield done, future.result()
            while window:
                done, future = window.popleft()
                yield done, future.result()
        finally:
            for _, future in window:
                future.cancel()


def _check_failed(card: DatasetCard, failed: Sequence[Failed], resources: Resources) -> None:
    faceless = [failure for failure in failed if failure.faceless]
    unreadable = [failure for failure in failed if not failure.faceless]
    if len(unreadable) > resources.allow_missing:
        raise DataError(
            f"{counted(len(unreadable), 'sample')} of {card.label} could not be read:\n  {_listed(unreadable)}",
            "put the files right and run the same command again, or leave them out with"
            f" --allow-missing {len(unreadable)}; what is finished is kept",
        )
    if faceless:
        raise DataError(
            f"{len(faceless)} samples of {card.label} have frames without a face:\n  {_listed(faceless)}",
            "look at them, or let --on-missing say neighbour or whole (in another --out)",
        )


def _listed(failed: Sequence[Failed]) -> str:
    lines = [f"{failure.sample}: {failure.reason}" for failure in failed[:SHOWN]]
    return "\n  ".join(lines + ([f"and {len(failed) - SHOWN} more"] if len(failed) > SHOWN else []))


def _finish(
    target: Path, placement: Placement, failed: Sequence[Failed], journal: Journal, plan: dict[str, Any]
) -> None:
    """Write the lists, the boxes and, last, the manifest."""
    lost = {failure.path for failure in failed}
    paths = [unit.path for unit in placement.units if unit.path not in lost]
    crops = {entry.path: (entry.crops, entry.digest) for entry in journal.entries(paths)}
    for name, text in placement.lists({path: count for path, (count, _) in crops.items()}).items():
        file = below(target, name, f"the card {placement.card.name}")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text)
    write_boxes(target / BOXES, journal.entries(paths))
    check_readable(placement, target, {path: count for path, (count, _) in crops.items()})
    without: list[str] = []
    counts = counts_of(journal.entries(paths), without)
    every = hashlib.blake2b(digest_size=16)
    for path, (_, digest) in crops.items():
        every.update(f"{path}\0{digest}\0".encode())
    boxes = hashlib.blake2b((target / BOXES).read_bytes(), digest_size=16).hexdigest()
    unreadable = {failure.sample: failure.reason for failure in failed}
    facts = {"counts": counts, "without_face": without, "unreadable": unreadable}
    dump(target / MANIFEST, {**plan, **facts, "digests": {"crops": every.hexdigest(), "boxes": boxes}})


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
