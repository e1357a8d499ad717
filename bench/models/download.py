"""Downloading checkpoints: verified by the hash that the card states, or by the one that the user confirmed.

What comes without a hash that anybody stated may be anything: a login page, another file under an old address. Its first bytes must be
those of the type that its ending names, and its hash is shown; the file waits beside its place until that hash is given back.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import re
import shutil
import urllib.request
from collections.abc import Collection
from pathlib import Path, PurePath

from bench.cards.schema import Weight
from bench.errors import WeightsError
from bench.process.progress import bar
from bench.settings import KNOWN_HASHES
from bench.store.files import whole_file, write_whole

log = logging.getLogger(__name__)

CHUNK = 1 << 20
WAITING = ".unconfirmed"
FEWEST_DIGITS = 16
# Ending -> what a file of that type may begin with; torch writes zip archives, and wrote pickles, which begin with 0x80.
_TORCH = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
BEGINNINGS = {
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".ckpt": _TORCH,
    ".bin": _TORCH,
    ".npz": (b"PK\x03\x04",),
    ".onnx": (b"\x08",),
}


def fetch_weight(name: str, facts: Weight, folder: Path, confirmed: Collection[str] = ()) -> Path:
    """Bring one checkpoint into a folder, whole or not at all.

    Args:
        name: file name, or hub folder name, under which the card looks for it.
        facts: where it comes from.
        folder: the weights folder.
        confirmed: hashes that the user vouches for, or their first 16 digits or more; for files whose card states none.

    Raises:
        WeightsError: the name leads out of the folder; the address does not answer, or not with a file of that type; the bytes,
            also those of a file that is there already, have another hash than the card states or than was confirmed; or their hash
            is neither stated nor confirmed yet.
    """
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise WeightsError(f"the weights {name!r} would lie outside {folder}", "correct their name in the card")
    target = folder / name
    if target.exists():
        log.info("%s is there already", target)
        _check(target, name, facts, folder, confirmed)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    if facts.hub:
        _from_hub(facts, target, name, folder)
    else:
        waiting = target.with_name(f"{target.name}{WAITING}")
        if not waiting.exists():
            _from_address(facts, waiting, name, folder)
        _settle(waiting, facts, name, folder, confirmed)
        waiting.replace(target)
    return target


def _check(target: Path, name: str, facts: Weight, folder: Path, confirmed: Collection[str]) -> None:
    """Compare what lies there with the hash that is known of it; a folder's files one by one.

    A folder comes from a hub at a commit, which is pinned or remembered, so the hashes of its files are remembered with it.
    """
    if not target.is_dir():
        _settle(target, facts, name, folder, confirmed)
        return
    for path in sorted(path for path in target.rglob("*") if path.is_file()):
        part = path.relative_to(target)
        if not part.parts[0].startswith("."):
            _compare(path, _sha256(path), "", f"{name}/{part.as_posix()}", folder)


def _settle(path: Path, facts: Weight, name: str, folder: Path, confirmed: Collection[str]) -> None:
    """Let a file pass whose hash is stated, remembered or confirmed; a confirmed one is remembered.

    Raises:
        WeightsError: it is none of these, or another one.
    """
    found = _sha256(path)
    if facts.git_blob and not facts.sha256:
        _check_blob(path, facts.git_blob, name)
    elif not facts.sha256 and not _first_hash(folder, name):
        _check_type(path, name)
        vouched = [each for each in confirmed if len(each) >= FEWEST_DIGITS and found.startswith(each.lower())]
        if not vouched:
            raise WeightsError(
                f"{path} has sha256 {found}, and its card states none",
                f"hold it against what its publisher says, then confirm it with --sha256 {found}",
            )
    try:
        _compare(path, found, facts.sha256, name, folder)
    except WeightsError:
        if path.name.endswith(WAITING):
            path.unlink()
        raise


def _check_blob(path: Path, stated: str, name: str) -> None:
    """Compare a file with the id that git has for it: the SHA-1 of its length and bytes.

    Raises:
        WeightsError: it is another file.
    """
    hasher = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    if hasher.hexdigest() != stated.lower():
        if path.name.endswith(WAITING):
            path.unlink()
        raise WeightsError(
            f"what is to be {name} is the git blob {hasher.hexdigest()}, and its card states {stated}",
            "the file has changed; do not use it unseen",
        )


def _check_type(path: Path, name: str) -> None:
    """Refuse a file that cannot be of the type that its ending names.

    Raises:
        WeightsError: quotes how it begins.
    """
    with path.open("rb") as file:
        head = file.read(64)
    kind = PurePath(name).suffix
    good = head.startswith(BEGINNINGS[kind]) if kind in BEGINNINGS else not head.lstrip().startswith(b"<")
    if kind == ".safetensors":
        good = head[8:9] == b"{"
    if not good:
        if path.name.endswith(WAITING):
            path.unlink()
        raise WeightsError(
            f"what is to be {name} is not a {kind} file: it begins with {head[:40]!r}",
            "the address may lead to a page that asks for something: open it in a browser, and put the file there by hand",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _compare(what: Path, found: str, stated: str, name: str, folder: Path) -> None:
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
        revision = facts.revision if _is_commit(facts.revision) else _first_revision(facts.hub, facts.revision, folder)
        snapshot_download(facts.hub, revision=revision, allow_patterns=list(facts.files) or None, local_dir=beside)
    except Exception as error:
        raise WeightsError(
            f"{facts.hub} could not be downloaded: {error}", "check the network, and run it again"
        ) from error
    try:
        _check(beside, name, facts, folder, ())
    except WeightsError:
        shutil.rmtree(beside)
        raise
    beside.replace(target)


def _is_commit(revision: str) -> bool:
    """Whether it is a commit, or the beginning of one; a branch or a tag may be another commit tomorrow."""
    return re.fullmatch(r"[0-9a-f]+", revision) is not None


def _first_revision(hub: str, revision: str, folder: Path) -> str:
    """The commit that a repository, or a branch or tag of it, stood at when it was first asked for; remembered, so that it stays."""
    key = f"{hub}@{revision or 'main'}"
    known = _first_hash(folder, key)
    if not known:
        from huggingface_hub import HfApi

        api = HfApi()
        known = str((api.model_info(hub, revision=revision) if revision else api.model_info(hub)).sha)
        log.warning("%s: no commit is pinned; taken and remembered is today's, %s", hub, known)
        _remember(folder, key, known)
    return known


def _from_address(facts: Weight, target: Path, name: str, folder: Path) -> None:
    url = facts.url
    if not url.startswith("https://"):
        raise WeightsError(f"{url}: only https addresses are downloaded", "correct the card")
    try:
        with whole_file(target) as beside, urllib.request.urlopen(url, timeout=60) as reply:
            if not reply.url.startswith("https://"):
                raise WeightsError(f"{url} leads on to {reply.url}, which is not an https address", "correct the card")
            stated = str(reply.headers.get("Content-Length") or "")
            total = int(stated) if stated.isdecimal() and len(stated) < 20 else 0
            with beside.open("wb") as file, bar(f"downloading {name}", total, "bytes") as progress:
                while chunk := reply.read(CHUNK):
                    file.write(chunk)
                    progress.advance(len(chunk))
                size = file.tell()
            if not size or (total and size != total):
                raise WeightsError(f"{url} broke off after {size} of {total or 'some'} bytes", "run it again")
    except (
        OSError,
        http.client.HTTPException,
        ValueError,
    ) as error:  # whatever a broken server, or a broken address, gives
        raise WeightsError(
            f"{url} could not be downloaded: {error!r:.300}", "check the network, and run it again"
        ) from error


def _first_hash(folder: Path, name: str) -> str:
    return str(_hashes(folder).get(name, ""))


def _remember(folder: Path, name: str, found: str) -> None:
    known = {**_hashes(folder), name: found}
    write_whole(folder / KNOWN_HASHES, json.dumps(known, indent=1, sort_keys=True))


def _hashes(folder: Path) -> dict[str, str]:
    try:
        hashes: dict[str, str] = json.loads((folder / KNOWN_HASHES).read_text())
    except (OSError, ValueError):
        return {}
    return hashes
