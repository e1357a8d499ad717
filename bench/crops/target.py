"""The folder that crops are written to: whether it may be, what a killed run left in it, and how files get there whole."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from bench.crops.clip import CropRules, Surveyed
from bench.crops.manifest import dump, read_manifest
from bench.crops.place import Unit
from bench.errors import BenchError

WORK = ".prepare"
PLAN = "plan.json"
AGAIN = "free some space there (or mend it) and run the same command again: what is finished is kept"
SAVING: Mapping[str, Mapping[str, Any]] = {
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".png": {"format": "PNG"},
}
# An upper bound for a photograph's crop, in bytes a pixel.
BYTES_A_PIXEL = {".jpg": 0.7, ".png": 2.5}
BYTES_A_FILE = 4096


@contextmanager
def opened_target(target: Path, source: Path, plan: Mapping[str, Any]) -> Iterator[bool]:
    """Take the target for one run.

    Args:
        target: the folder; made if it is not there.
        source: the dataset's root.
        plan: what decides the crops; a run that goes on must have the same.

    Yields:
        Whether the crops are complete already.

    Raises:
        BenchError: the target lies in the source, holds something else, was begun with another plan, is in use, or cannot be
            written.
    """
    from filelock import FileLock, Timeout

    place, root = target.resolve(), source.resolve()
    if place == root or root in place.parents:
        raise BenchError(
            f"the target {target} lies in the dataset's own root {source}", "name another folder with --out"
        )
    try:
        _check_ours(target)
        if (made := read_manifest(target)) is not None:
            _check_same(target, made, plan, "made")
            shutil.rmtree(target / WORK, ignore_errors=True)
            yield True
            return
        (target / WORK).mkdir(parents=True, exist_ok=True)
        with FileLock(target / WORK / "lock", timeout=0):
            if (target / WORK / PLAN).exists():
                begun = json.loads((target / WORK / PLAN).read_text(encoding="utf-8"))
                _check_same(target, begun, plan, "begun")
            else:
                dump(target / WORK / PLAN, plan)
            yield False
            shutil.rmtree(target / WORK)
    except Timeout:
        raise BenchError(f"{target}: another bench prepare is at work there", "wait for it") from None
    except OSError as error:
        raise BenchError(f"{error.filename or target} cannot be written: {error.strerror or error}", AGAIN) from error


def write_crops(target: Path, unit: Unit, surveyed: Surveyed, rules: CropRules) -> tuple[int, str]:
    """Write a sample's crops, all or none; those of an earlier attempt are replaced.

    Returns:
        How many there are, and a digest of their bytes.

    Raises:
        BenchError: a file cannot be written.
    """
    final = final_path(target, unit, rules)
    name = hashlib.blake2b(unit.path.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    beside = target / WORK / "beside" / name
    hasher = hashlib.blake2b(digest_size=16)
    count = 0
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for number, crop in enumerate(surveyed.crops(rules), 1):
            data = _encoded(crop, rules.suffix)
            hasher.update(data)
            (beside / f"{number:05d}{rules.suffix}").write_bytes(data)
            count = number
        final.parent.mkdir(parents=True, exist_ok=True)
        if unit.still:
            (beside / f"00001{rules.suffix}").replace(final)
            beside.rmdir()
        else:
            shutil.rmtree(final, ignore_errors=True)
            beside.replace(final)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise BenchError(f"the crops {final} cannot be written: {error.strerror or error}", AGAIN) from error
    return count, hasher.hexdigest()


def final_path(target: Path, unit: Unit, rules: CropRules) -> Path:
    """Where a sample's crops lie in the end: a folder, or a picture's file.

    Raises:
        BenchError: it would lie elsewhere than below the target.
    """
    return below(target, f"{unit.path}{rules.suffix}" if unit.still else unit.path, f"the sample {unit.sample!r:.200}")


def below(target: Path, name: str, source: str) -> Path:
    """A place below the target, for whatever is written or removed there.

    Args:
        target: the folder that the user named.
        name: as the dataset's files or its card give it.
        source: what gave it, for the message.

    Raises:
        BenchError: it leads out of the target, through `..`, as an absolute path or by a link, or into what is hidden there.
    """
    parts = PurePosixPath(name).parts
    path = target / name
    if "\0" in name or ".." in parts or not parts or parts[0].startswith(("/", ".")):
        leads = f"{name!r:.200}"
    elif not path.parent.resolve().is_relative_to(target.resolve()):
        leads = str(path.parent.resolve())
    else:
        return path
    raise BenchError(
        f"{source}: its crops would go to {leads}, outside {target}", "rename it, or remove the link there"
    )


def needed_bytes(frames: int, rules: CropRules) -> int:
    """Disk space that so many crops take at most, as photographs go."""
    return int(frames * (rules.size**2 * BYTES_A_PIXEL[rules.suffix] + BYTES_A_FILE))


def free_bytes(target: Path) -> int:
    """Free space where the target lies, or will lie."""
    place = target.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _check_ours(target: Path) -> None:
    """Refuse a target that holds anything which `bench prepare` did not begin."""
    if target.exists() and not target.is_dir():
        raise BenchError(f"the target {target} is a file", "name a folder with --out")
    names = {path.name for path in target.iterdir()} if target.is_dir() else set()
    begun = (target / WORK / PLAN).exists() or read_manifest(target) is not None
    if names - {WORK} and not begun:
        raise BenchError(
            f"the target {target} is not empty, and what lies there is not from bench prepare",
            "name another folder with --out, or empty this one",
        )


def _check_same(target: Path, earlier: Mapping[str, Any], plan: Mapping[str, Any], what: str) -> None:
    """Refuse to go on with crops that another plan decided."""
    wanted = json.loads(json.dumps(plan))
    differing = [
        f"{key}: {earlier.get(key)!r} then, {value!r} now" for key, value in wanted.items() if earlier.get(key) != value
    ]
    if differing:
        raise BenchError(
            f"the crops in {target} were {what} in another way:\n  " + "\n  ".join(differing),
            "name another folder with --out, remove that one, or call as before",
        )


def _encoded(crop: Image.Image, suffix: str) -> bytes:
    buffer = BytesIO()
    crop.save(buffer, **SAVING[suffix])
    return buffer.getvalue()
