"""One sample, from its frames to its crops: find the faces, choose the person, cut every frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from bench.crops.crop import Square, align, cut, square, whole
from bench.crops.face import Face, faces_of
from bench.crops.frames import each_frame
from bench.crops.load import Detector
from bench.crops.smooth import smoothed
from bench.crops.track import GAP, OVERLAP, Place, person, places, tracks
from bench.data.samples import Media
from bench.errors import DataError
from bench.models.contract import Pictures

BATCH = 8
HELD_BYTES = 192 * 2**20

OnMissing = Literal["neighbour", "whole", "fail"]
Use = Literal["crop", "other", "neighbour", "whole"]


@dataclass(frozen=True)
class CropRules:
    """How crops are cut.

    Attributes:
        margin: the square's side is the longer side of the face's box times 1 + this.
        size: side of the crops in pixels.
        align: turn faces upright by five landmarks.
        smooth: by how many frames (standard deviation) the boxes of a clip are made steady; 0 takes them as they are.
        on_missing: what a frame without the person's face gets: the box of the nearest frame that has one, the whole frame, or
            an error. A clip without any face always gets whole frames, unless that is an error too.
        suffix: `.jpg` (quality 95, full colour resolution) or `.png`.
    """

    margin: float = 0.3
    size: int = 224
    align: bool = False
    smooth: float = 2.0
    on_missing: OnMissing = "neighbour"
    suffix: Literal[".jpg", ".png"] = ".jpg"


class NoFace(DataError):
    """A frame without the person's face, where that is an error."""


@dataclass(frozen=True)
class FaceRow:
    """One line of the record of boxes: a face that was found, or how a frame without the person's face was cut.

    Attributes:
        frame: index of the frame, from 0.
        use: `crop` (the frame was cut by this face), `other` (another face in it), `neighbour` (cut by the face of frame
            `source`), `whole` (the whole frame was written).
        source: the frame in which the face was found; -1 for a whole frame.
        face: as the detector found it; None for a whole frame.
        cut: the square that was cut, in pixels of the frame; None where nothing was cut by a square.
    """

    frame: int
    use: Use
    source: int
    face: Face | None
    cut: Square | None = None


@dataclass(frozen=True)
class Surveyed:
    """A sample after its faces have been found, before it is cut.

    Attributes:
        rows: in the order of the frames; in a frame its crop first.
        cuts: for each frame the face it is cut by, made steady; None is the whole frame.
        held: the frames themselves, where they are few enough to be kept.
    """

    media: Media
    rows: tuple[FaceRow, ...]
    cuts: tuple[Face | None, ...]
    held: tuple[Pictures, ...] | None

    @property
    def without_face(self) -> bool:
        """Whether no face was found in any frame."""
        return not any(row.use in ("crop", "other") for row in self.rows)

    def crops(self, rules: CropRules) -> Iterator[Image.Image]:
        """The crops, in the order of the frames; those that were not kept are decoded again."""
        frames = iter(self.held) if self.held is not None else each_frame(self.media)
        for frame, face in zip(frames, self.cuts, strict=True):
            if face is None:
                yield whole(frame, rules.size)
            elif rules.align:
                yield align(frame, face, rules.margin, rules.size)
            else:
                yield cut(frame, square(face, rules.margin), rules.size)


def survey(media: Media, detector: Detector, rules: CropRules) -> Surveyed:
    """Find the faces of every frame and choose the person.

    Raises:
        DataError: a file cannot be read.
        NoFace: a frame has none of the person's faces, and that is an error.
        BenchError: the detector breaks its contract.
    """
    found, sizes, held = _found(media, detector)
    # Frames of another size than the first are followed, and cut, as if they were stretched to it.
    stretched = [(sizes[0][0] / width, sizes[0][1] / height) for width, height in sizes]
    alike = [[face.scaled(*by) for face in faces] for faces, by in zip(found, stretched, strict=True)]
    track = person(tracks(alike, OVERLAP, GAP))
    cuts: list[Place | None] = [None] * len(found)
    if track is not None:
        cuts = list(places(smoothed(track, rules.smooth), len(found)))
    lacking = [number for number, place in enumerate(cuts) if place is None or place.frame != number]
    if lacking and rules.on_missing == "fail":
        raise NoFace(
            f"no face of the person in {len(lacking)} of {len(found)} frames (the first is frame {lacking[0]})"
        )
    if rules.on_missing == "whole":
        cuts = [None if number in set(lacking) else place for number, place in enumerate(cuts)]
    rows: list[FaceRow] = []
    steady: list[Face | None] = []
    for number, (faces, place) in enumerate(zip(found, cuts, strict=True)):
        if place is None or track is None:
            steady.append(None)
            rows += _rows(number, faces, None, None, None)
            continue
        across, down = stretched[number]
        face = place.face.scaled(1 / across, 1 / down)
        steady.append(face)
        own = found[place.frame][alike[place.frame].index(track.faces[place.frame])]
        rows += _rows(number, faces, place, own, None if rules.align else square(face, rules.margin))
    return Surveyed(media, tuple(rows), tuple(steady), held)


def _rows(
    number: int, faces: tuple[Face, ...], place: Place | None, own: Face | None, box: Square | None
) -> list[FaceRow]:
    """A frame's lines: its crop, by the face `own` as it was found, and then all other faces in it."""
    if place is None:
        first = FaceRow(number, "whole", -1, None)
    else:
        first = FaceRow(number, "crop" if place.frame == number else "neighbour", place.frame, own, box)
    others = [face for face in faces if not (first.use == "crop" and face is own)]
    return [first, *(FaceRow(number, "other", number, face) for face in others)]


class _Found(NamedTuple):
    """The faces and the width and height of every frame, and the frames where all of them fit into `HELD_BYTES`."""

    faces: list[tuple[Face, ...]]
    sizes: list[tuple[int, int]]
    held: tuple[Pictures, ...] | None


def _found(media: Media, detector: Detector) -> _Found:
    sizes: list[tuple[int, int]] = []
    found: list[tuple[Face, ...]] = []
    held: list[Pictures] | None = []
    kept = 0
    for batch in _batches(each_frame(media)):
        found += faces_of(detector.finds.detect(np.stack(batch)), len(batch), detector.name)
        sizes += [(frame.shape[1], frame.shape[0]) for frame in batch]
        kept += sum(frame.nbytes for frame in batch)
        if held is not None:
            held = [*held, *batch] if kept <= HELD_BYTES else None
    return _Found(found, sizes, None if held is None else tuple(held))


def _batches(frames: Iterator[Pictures]) -> Iterator[list[Pictures]]:
    """Frames of one size together, `BATCH` at most."""
    batch: list[Pictures] = []
    for frame in frames:
        if batch and (len(batch) == BATCH or frame.shape != batch[0].shape):
            yield batch
            batch = []
        batch.append(frame)
    if batch:
        yield batch
