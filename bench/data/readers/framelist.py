"""The list format of the paper's authors: `path num_frames label`, one clip a line, with the paths of their machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.data.readers.lists import text_lines, whole
from bench.data.readers.tree import Kind, MediaFinder, Tree, some
from bench.data.samples import Frames, Sample
from bench.errors import DataError


@dataclass(frozen=True, slots=True)
class _Clip:
    where: str
    parts: tuple[str, ...]
    count: int
    label: int


def read(
    root: Path, classes: Sequence[str], fold: str, *, file: str, below: Sequence[str] = ("",), id_parts: int
) -> Iterator[Sample]:
    """Read a frame list.

    The paths are those of the machine on which the list was written. How many of their leading parts to drop is
    decided once for the whole list: the number with which most clips are found, the smallest such number on a tie.
    The frame count is the list's, not the disk's, because the frame indices are computed from it.

    Args:
        root: the dataset's root.
        classes: class words; the list's label is an index into them.
        fold: put in place of `{fold}` in `file`.
        file: the list, below the root.
        below: folders below the root in which the shortened paths may lie, in order of preference.
        id_parts: how many of a path's last parts make the clip unique and so are its id.

    Yields:
        Samples in the order of the list.

    Raises:
        DataError: see `bench.data.readers`. A count that exceeds the frames on disk is not an error here, because only
            the sampler knows which frames are wanted.
    """
    tree = Tree(root)
    listed = tree.one(file.format(fold=fold))
    clips = _clips(listed, len(classes), id_parts)
    folder, drop = _place(tree, listed, clips, below)
    finder = MediaFinder(tree, listed)
    for clip in clips:
        media = finder.find("/".join((*folder, *clip.parts[drop:])))
        if media is None:
            continue
        if not isinstance(media, Frames):
            raise DataError(f"{clip.where}: {'/'.join(clip.parts[drop:])} is a file, expected a folder of frames")
        yield Sample("/".join(clip.parts[-id_parts:]), clip.label, Frames(media.folder, media.names, clip.count))
    finder.require()


def _clips(listed: Path, classes: int, id_parts: int) -> list[_Clip]:
    clips = []
    for number, line in enumerate(text_lines(listed), 1):
        if not line.strip():
            continue
        where = f"{listed}, line {number}"
        fields = line.rsplit(None, 2)
        count, label = (whole(field) for field in fields[1:]) if len(fields) == 3 else (None, None)
        if count is None or label is None:
            raise DataError(f"{where}: expected 'path num_frames label', found {line.strip()!r}")
        path = fields[0].strip().replace("\\", "/")
        parts = tuple(part for part in path.split("/") if part not in ("", "."))
        if ".." in parts:
            raise DataError(f"{where}: the path {path!r} leaves the dataset root", "write it without '..'")
        if len(parts) < id_parts:
            raise DataError(f"{where}: the path {path!r} has fewer than {id_parts} parts")
        if not label < classes:
            raise DataError(f"{where}: the label {label} is outside the classes 0..{classes - 1}")
        if count == 0:
            raise DataError(f"{where}: the clip has 0 frames", "take the clip out of the list, or extract it again")
        clips.append(_Clip(where, parts, count, label))
    if not clips:
        raise DataError(f"{listed} lists nothing", "fetch the list again")
    return clips


def _place(tree: Tree, listed: Path, clips: list[_Clip], below: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """The folder, and how many leading parts to drop, with which most clips are found."""
    best: tuple[tuple[str, ...], int] = ((), 0)
    most = 0
    for drop in range(max(len(clip.parts) for clip in clips)):
        for name in below:
            folder = tuple(part for part in name.split("/") if part)
            found = sum(
                drop < len(clip.parts) and tree.kind("/".join((*folder, *clip.parts[drop:]))) is Kind.FOLDER
                for clip in clips
            )
            if found > most:
                best, most = (folder, drop), found
            if most == len(clips):
                return best
    if not most:
        raise DataError(
            f"none of the {len(clips)} clips that {listed} names lies below {tree.root}:"
            f" {some('/'.join(clip.parts) for clip in clips)}",
            "point the root at a folder below which the last part of these paths exists",
        )
    return best
