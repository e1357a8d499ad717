"""The files below a dataset's root: each folder is listed once, and nothing outside the root is reached."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from enum import Enum
from pathlib import Path, PurePosixPath

from bench.data.formats import PICTURES, VIDEOS, suffix
from bench.data.samples import Blob, Frames, Media, Still, Video
from bench.errors import DataError

SHOWN = 5


class Kind(Enum):
    """What an entry of a folder is."""

    FILE = "file"
    FOLDER = "folder"


def some(names: Iterable[str]) -> str:
    """The first few of many names, for an error."""
    every = list(names)
    shown = ", ".join(every[:SHOWN])
    return shown if len(every) <= SHOWN else f"{shown} and {len(every) - SHOWN} more"


def inside(path: str, where: str) -> str:
    """Normalise a path read from a list to one with forward slashes, relative to the root.

    Raises:
        DataError: the path is absolute or climbs out with `..`.
    """
    plain = path.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if plain.startswith("/") or ".." in parts or (parts and len(parts[0]) == 2 and parts[0][1] == ":"):
        raise DataError(
            f"{where}: the path {path!r} leaves the dataset root", "write it relative to the root, without '..'"
        )
    return "/".join(parts)


class Tree:
    """Lists folders below a root, each once, however many samples ask.

    Args:
        root: the dataset's root; it may itself be a symbolic link.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real = os.path.realpath(root)
        self._base = str(root).rstrip("/")
        self._seen: dict[str, dict[str, Kind] | None] = {}
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

    def listing(self, folder: str) -> dict[str, Kind] | None:
        """Names in a folder, hidden ones left out; None where there is no such folder.

        Raises:
            DataError: the folder, or a symbolic link in it that is about to be followed, leads out of the root.
        """
        if folder not in self._seen:
            self._seen[folder] = self._scan(folder)
        return self._seen[folder]

    def forget(self, folder: str) -> None:
        """Let a folder's listing go: one of millions of files takes hundreds of megabytes."""
        self._seen.pop(folder, None)

    def kind(self, path: str) -> Kind | None:
        """What lies at a path relative to the root; None where nothing does."""
        if not path:
            return Kind.FOLDER
        parent, _, name = path.rpartition("/")
        entries = self.listing(parent)
        return None if entries is None else entries.get(name)

    def media(self, path: str) -> Media | None:
        """The picture, video or folder of frames at a path relative to the root; None where nothing is.

        A folder's frames are its picture files, in the order of their names; a folder without any gives `Frames` of
        none, which `require` reports.

        Raises:
            DataError: the file is neither a picture nor a video.
        """
        kind = self.kind(path)
        if kind is None:
            return None
        full = f"{self._base}/{path}"
        if kind is Kind.FOLDER:
            names = self._frames_in(path)
            return Frames(full, names, len(names))
        ending = suffix(path)
        if ending in PICTURES:
            return Still(Blob(full))
        if ending in VIDEOS:
            return Video(full)
        raise DataError(f"{full} is neither a picture, nor a video, nor a folder of frames")

    def _frames_in(self, folder: str) -> tuple[str, ...]:
        """The names of a clip's frames. Its listing is not kept: there are thousands, and each is asked for once."""
        found = self._seen[folder] if folder in self._seen else self._scan(folder)
        # Clips number their frames alike, so that most names, and many whole lists of them, are one object.
        names = tuple(sys.intern(name) for name, what in sorted((found or {}).items()) if _is_frame(name, what))
        return self._names.setdefault(names, names)

    def expand(self, pattern: str) -> list[str]:
        """Paths below the root that match a glob, sorted; a pattern without wildcards is returned as it is."""
        if not any(sign in pattern for sign in "*?["):
            return [pattern]
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.glob(pattern))

    def one(self, pattern: str) -> Path:
        """The one file that matches a glob.

        Raises:
            DataError: no file matches, or several do.
        """
        found = [path for path in self.expand(inside(pattern, str(self.root))) if self.kind(path) is Kind.FILE]
        if not found:
            raise DataError(f"{self.root / pattern} does not exist", "see `bench show` for how to obtain the dataset")
        if len(found) > 1:
            raise DataError(f"{self.root}: several files match {pattern!r}: {some(found)}", "keep one of them")
        return self.root / found[0]

    def _scan(self, folder: str) -> dict[str, Kind] | None:
        if self.kind(folder) is not Kind.FOLDER:
            return None
        full = self.root / folder
        try:
            with os.scandir(full) as entries:
                return {
                    entry.name: kind
                    for entry in entries
                    if not entry.name.startswith(".") and (kind := self._kind_of(entry)) is not None
                }
        except OSError as error:
            raise DataError(
                f"{full} cannot be listed: {error.strerror or error}", "check the path and its permissions"
            ) from None

    def _kind_of(self, entry: os.DirEntry[str]) -> Kind | None:
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if target != self._real and not target.startswith(self._real.rstrip("/") + "/"):
                raise DataError(
                    f"{entry.path} is a symbolic link to {target}, which leaves the dataset root {self.root}",
                    "point the root at the folder that really holds the files, or copy them below the root",
                )
        if entry.is_dir():
            return Kind.FOLDER
        return Kind.FILE if entry.is_file() else None


def _is_frame(name: str, kind: Kind) -> bool:
    return kind is Kind.FILE and suffix(name) in PICTURES


class MediaFinder:
    """Finds the media of many samples and reports everything that is missing at once.

    Args:
        tree: the files.
        asked_by: the list (or folder) that names the samples; it opens the error.
    """

    def __init__(self, tree: Tree, asked_by: Path) -> None:
        self._tree = tree
        self._asked_by = asked_by
        self._asked = 0
        self._missing: list[str] = []
        self._empty: list[str] = []

    def find(self, *paths: str) -> Media | None:
        """The media at the first of `paths` where there is any; None is remembered as missing."""
        self._asked += 1
        for path in paths:
            media = self._tree.media(path)
            if media is not None:
                if isinstance(media, Frames) and not media.names:
                    self._empty.append(path)
                return media
        self._missing.append(paths[0] if paths else "")
        return None

    def require(self) -> None:
        """Raise what `find` did not find.

        Raises:
            DataError: files are missing, or frame folders hold no picture.
        """
        if self._missing:
            raise DataError(
                f"{self._asked_by}: {len(self._missing)} of the {self._asked} files or folders that it names are"
                f" missing below {self._tree.root}: {some(self._missing)}",
                "unpack the dataset completely, or check that the root is the folder that the layout expects",
            )
        if self._empty:
            raise DataError(
                f"{self._asked_by}: {len(self._empty)} of {self._asked} frame folders hold no picture, below"
                f" {self._tree.root}: {some(self._empty)}",
                "extract the frames again",
            )


def stem(name: str) -> str:
    """The last part of a path without its suffix."""
    return PurePosixPath(name).stem
