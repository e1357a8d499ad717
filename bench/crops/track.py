"""Which face of a clip is the person: faces joined to tracks by overlap, and the track with the largest summed area.

The rule, in full: frame by frame, each face continues the track whose last box it overlaps most (intersection over union
of `overlap` at least), if that box is at most `gap` frames old; the largest overlaps are matched first, and a face that
continues none begins a track. The person is the track whose boxes' areas have the largest sum; on a tie the longer one, then
the earlier, then the one further left. A picture is a clip of one frame, so there the rule takes the largest face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.crops.face import Face

OVERLAP = 0.3
GAP = 15


@dataclass(frozen=True)
class Track:
    """One person's faces: frame -> the face's position among those found in that frame."""

    faces: dict[int, Face]

    @property
    def area(self) -> float:
        """The sum of the boxes' areas."""
        return sum(face.area for face in self.faces.values())


@dataclass(frozen=True)
class Place:
    """Where a frame is cut.

    Attributes:
        face: the face it is cut by.
        frame: the frame that this face was found in: the same, or the nearest one where the frame has none of its own.
    """

    face: Face
    frame: int


def tracks(frames: Sequence[Sequence[Face]], overlap: float = OVERLAP, gap: int = GAP) -> list[Track]:
    """All tracks of a clip, in the order in which they begin."""
    found: list[Track] = []
    for number, faces in enumerate(frames):
        pairs = []
        for position, track in enumerate(found):
            last = next(reversed(track.faces))
            if number - last <= gap + 1:
                shared = [(intersection_over_union(track.faces[last].box, face.box), face) for face in faces]
                pairs += [(share, position, index) for index, (share, _) in enumerate(shared) if share >= overlap]
        taken_tracks: set[int] = set()
        taken_faces: set[int] = set()
        for _, position, index in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
            if position not in taken_tracks and index not in taken_faces:
                found[position].faces[number] = faces[index]
                taken_tracks.add(position)
                taken_faces.add(index)
        found += [Track({number: face}) for index, face in enumerate(faces) if index not in taken_faces]
    return found


def person(found: Sequence[Track]) -> Track | None:
    """The track that is cropped; None where no face was found at all."""
    if not found:
        return None
    return min(found, key=lambda track: (-track.area, -len(track.faces), *_beginning(track)))


def places(track: Track, count: int) -> list[Place]:
    """Where each of `count` frames is cut: by its own face, or by that of the nearest frame; the earlier one on a tie."""
    known = sorted(track.faces)
    result = []
    for number in range(count):
        nearest = min(known, key=lambda frame: (abs(frame - number), frame))
        result.append(Place(track.faces[nearest], nearest))
    return result


def intersection_over_union(one: Sequence[float], other: Sequence[float]) -> float:
    """Of two boxes (left, top, right, bottom)."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (areas - width * height)


def _beginning(track: Track) -> tuple[float, float]:
    first = next(iter(track.faces))
    return first, track.faces[first].box[0]
