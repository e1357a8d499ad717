"""Downloading checkpoints: verified by hash where one is known, recorded on first use otherwise."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import urllib.error
import urllib.request
from pathlib import Path, PurePath

from bench.cards.schema import Weight
from bench.errors import WeightsError
from bench.process.progress import bar
from bench.store.files import whole_file, write_whole

log = logging.getLogger(__name__)

CHUNK = 1 << 20
KNOWN = "known-hashes.json"


def fetch_weight(name: str, facts: Weight, folder: Path) -> Path:
    """Bring one checkpoint into a folder, whole or not at all.

    Args:
        name: file name, or hub folder name, under which the card looks for it.
        facts: where it comes from.
        folder: the weights folder.

    Raises:
        WeightsError: the name leads out of the folder, the address does not answer, or the bytes, also those of a file
            that is there already, have another hash than the card states or than at the first download.
    """
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise WeightsError(f"the weights {name!r} would lie outside {folder}", "correct their name in the card")
    target = folder / name
    if target.exists():
        log.info("%s is there already", target)
        _check(target, name, facts, folder)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    if facts.hub:
        _from_hub(facts, target, name, folder)
    else:
        _from_address(facts.url, facts.sha256, target, name, folder)
    return target


def _check(target: Path, name: str, facts: Weight, folder: Path) -> None:
    """Compare what lies there with the card's hash or the first one, which is remembered; a folder's files one by one."""
    files = {name: target}
    if target.is_dir():
        inner = sorted(path for path in target.rglob("*") if path.is_file())
        parts = {path: path.relative_to(target) for path in inner}
        files = {f"{name}/{part.as_posix()}": path for path, part in parts.items() if not part.parts[0].startswith(".")}
    for each, path in files.items():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        _compare(str(path), found, "" if target.is_dir() else facts.sha256, each, folder)


def _compare(what: str, found: str, stated: str, name: str, folder: Path) -> None:
    expected = stated.lower() or _first_hash(folder, name)
    if expected and not found.startswith(expected):
        raise WeightsError(
            f"{what} has sha256 {found}, expected {expected}", "the file has changed; do not use it unseen"
        )
    if not expected:
        _remember(folder, name, found)


def _from_hub(facts: Weight, target: Path, name: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download

    beside = target.with_name(f".{target.name}.partial")
    try:
        revision = facts.revision or _first_revision(facts.hub, folder)
        snapshot_download(facts.hub, revision=revision, allow_patterns=list(facts.files) or None, local_dir=beside)
    except Exception as error:
        raise WeightsError(
            f"{facts.hub} could not be downloaded: {error}", "check the network, and run it again"
        ) from error
    try:
        _check(beside, name, facts, folder)
    except WeightsError:
        shutil.rmtree(beside)
        raise
    beside.replace(target)


def _first_revision(hub: str, folder: Path) -> str:
    """The commit that a repository stood at when it was first asked for; remembered, so that it stays that one."""
    key = f"{hub}@main"
    known = _first_hash(folder, key)
    if not known:
        from huggingface_hub import HfApi

        known = str(HfApi().model_info(hub).sha)
        log.warning("%s: its card pins no revision; taken and remembered is today's, %s", hub, known)
        _remember(folder, key, known)
    return known


def _from_address(url: str, sha256: str, target: Path, name: str, folder: Path) -> None:
    if not url.startswith("https://"):
        raise WeightsError(f"{url}: only https addresses are downloaded", "correct the card")
    hasher = hashlib.sha256()
    try:
        with (
            whole_file(target) as beside,
            urllib.request.urlopen(url, timeout=60) as reply,
        ):
            if not reply.url.startswith("https://"):
                raise WeightsError(f"{url} leads on to {reply.url}, which is not an https address", "correct the card")
            total = int(reply.headers.get("Content-Length") or 0)
            with beside.open("wb") as file, bar(f"downloading {target.name}", total, "bytes") as progress:
                while chunk := reply.read(CHUNK):
                    file.write(chunk)
                    hasher.update(chunk)
                    progress.advance(len(chunk))
                found, size = hasher.hexdigest(), file.tell()
            if total and size != total:
                raise WeightsError(f"{url} broke off after {size} of {total} bytes", "run it again")
            _compare(url, found, sha256, name, folder)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise WeightsError(f"{url} could not be downloaded: {error}", "check the network, and run it again") from error


def _first_hash(folder: Path, name: str) -> str:
    return str(_hashes(folder).get(name, ""))


def _remember(folder: Path, name: str, found: str) -> None:
    known = {**_hashes(folder), name: found}
    write_whole(folder / KNOWN, json.dumps(known, indent=1, sort_keys=True))


def _hashes(folder: Path) -> dict[str, str]:
    try:
        hashes: dict[str, str] = json.loads((folder / KNOWN).read_text())
    except (OSError, ValueError):
        return {}
    return hashes
