"""A look at a few pictures of a dataset: whether they are face crops or whole scenes, and whether clips are as long as listed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from PIL import Image

from bench.crops.face import Face, faces_of
from bench.crops.load import Detector
from bench.crops.track import person, tracks
from bench.data import video_pool
from bench.data.datasets import Split
from bench.data.decode import picture
from bench.data.samples import Frames, Media, Sample, Still
from bench.errors import DataError

LOOKED_AT = 12
# A box is about 0.73 times as wide as it is high, so a square of twice its height shows it on 0.18 of its area. Films show
# faces on a tenth of the frame and less.
SMALLEST_SHARE = 0.15
SHOWN = 5
CROP = f"a face crop has {SMALLEST_SHARE:.0%} and more"
PUBLISHED = "the published numbers are of face crops"


@dataclass(frozen=True)
class Look:
    """What was seen of a dataset.

    Attributes:
        pictures: how many were looked at.
        shares: for each in which a face was found, the part of the picture's area that the largest one's box covers.
        unreadable: reasons, for samples that could not be opened.
    """

    pictures: int
    shares: tuple[float, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The median share; 0 where no face was found."""
        return median(self.shares) if self.shares else 0.0

    def notes(self, dataset: str) -> list[str]:
        """What is odd, in sentences that say what to do; none for crops."""
        said = []
        if self.unreadable:
            said.append(f"{len(self.unreadable)} of the samples looked at cannot be read: {self.unreadable[0]}")
        if self.pictures and 2 * len(self.shares) < self.pictures:
            said.append(
                f"no face was found in {self.pictures - len(self.shares)} of {self.pictures} pictures looked at"
                " (see them with --contact-sheet DIR)"
            )
        elif self.shares and self.share < SMALLEST_SHARE:
            said.append(
                f"these look like whole scenes: the face covers {self.share:.0%} of the picture (median of"
                f" {len(self.shares)}; {CROP}), and {PUBLISHED}\n  fix: bench prepare {dataset}"
            )
        return said


def look(samples: Sequence[Sample], detector: Detector, count: int = LOOKED_AT) -> Look:
    """Find the faces of a sample's middle frame, for some samples drawn at random (the same ones every time)."""
    shares, unreadable, seen = [], [], 0
    for sample in drawn(samples, count):
        try:
            (picture,) = some_frames(sample.media, 1)
        except DataError as error:
            unreadable.append(error.what)
            continue
        seen += 1
        face = largest_face(picture, detector)
        if face is not None:
            shares.append(share_of(face, picture))
    return Look(seen, tuple(shares), tuple(unreadable))


def scene_note(media: Media, detector: Detector) -> str:
    """What is odd about the middle frame of a picture or clip; empty for a face crop.

    Raises:
        DataError: it cannot be read.
    """
    (frame,) = some_frames(media, 1)
    face = largest_face(frame, detector)
    if face is None:
        return "no face was found in it"
    share = share_of(face, frame)
    if share >= SMALLEST_SHARE:
        return ""
    return f"this looks like a whole scene: the face covers {share:.0%} of the picture ({CROP}), and {PUBLISHED}"


def drawn(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Some samples, drawn without replacement by a fixed seed; of those with the same files one."""
    distinct = list({sample.media: sample for sample in samples}.values())
    return random.Random(0).sample(distinct, min(count, len(distinct)))


def some_frames(media: Media, count: int) -> list[Image.Image]:
    """A picture, or `count` frames of a clip: the middle one, or evenly from the first to the last.

    Raises:
        DataError: it cannot be read.
    """
    if isinstance(media, Still):
        return [picture(media.blob, "shown")]
    if isinstance(media, Frames):
        if not media.names:
            raise DataError(f"{media.folder} holds no picture")
        return [picture(media.blobs[index], "shown") for index in _spread(len(media.names), count)]
    wanted = _spread(video_pool.length(media.path), count)
    frames = dict(video_pool.decode(media.path, wanted, "shown"))
    return [Image.fromarray(frames[index]) for index in wanted]


def largest_face(picture: Image.Image, detector: Detector) -> Face | None:
    """The face that a crop would be cut by."""
    (faces,) = faces_of(detector.finds.detect(np.asarray(picture)[None]), 1, detector.name)
    track = person(tracks([faces]))
    return None if track is None else track.faces[0]


def share_of(face: Face, picture: Image.Image) -> float:
    """The part of the picture's area that the face's box covers."""
    left, top, right, bottom = face.box
    width = max(0.0, min(right, picture.width) - max(left, 0))
    height = max(0.0, min(bottom, picture.height) - max(top, 0))
    return width * height / (picture.width * picture.height)


def length_note(splits: Iterable[Split]) -> str:
    """Which clips have another number of frames on disk than the list that names them states; empty where none has."""
    clips = {
        (s.id, s.media.count, len(s.media.names))
        for split in splits
        for s in split.samples
        if isinstance(s.media, Frames)
    }
    odd = sorted(clip for clip in clips if clip[1] != clip[2])
    if not odd:
        return ""
    shown = "".join(f"\n  {name}: {listed} listed, {there} on disk" for name, listed, there in odd[:SHOWN])
    more = f"\n  and {len(odd) - SHOWN} more" if len(odd) > SHOWN else ""
    short = sum(there < listed for _, listed, there in odd)
    return (
        f"{len(odd)} of {len(clips)} clips have another number of frames than the list states ({short} have fewer);"
        f" which frames are seen is computed from the list's{shown}{more}\n"
        "  fix: use the frames that the list was made for, or a list that was made for these (bench prepare writes one)"
    )


def _spread(length: int, count: int) -> list[int]:
    if count == 1:
        return [length // 2]
    return [round(number * (length - 1) / (count - 1)) for number in range(count)]
