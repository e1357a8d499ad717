"""A track's boxes made steady: detectors place a box to within a few pixels of a grid, and a crop that jumps with it trembles.

Each coordinate is replaced by the value of a straight line fitted to the frames around it, with weights that fall off as a
Gaussian. A line has no lag, so a face that moves evenly keeps its path, at the ends of a track too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.crops.face import COORDINATE_DIGITS, Face
from bench.crops.track import Track

REACH = 3.0


def smoothed(track: Track, width: float) -> Track:
    """The track with steady boxes and landmarks; scores stay.

    Args:
        track: one person's faces.
        width: standard deviation of the weights, in frames; 0 changes nothing.
    """
    if not width or len(track.faces) < 3:
        return track
    frames = np.array(list(track.faces), np.float64)
    faces = list(track.faces.values())
    steady = local_lines(frames, np.array([_flat(face) for face in faces]), width)
    return Track({int(frame): _face(row, face) for frame, row, face in zip(frames, steady, faces, strict=True)})


def local_lines(
    times: npt.NDArray[np.float64], values: npt.NDArray[np.float64], width: float
) -> npt.NDArray[np.float64]:
    """Local linear regression `[N, D]` of values `[N, D]` at their own times `[N]`, which increase."""
    result = np.empty_like(values)
    for number, now in enumerate(times):
        first, last = np.searchsorted(times, (now - REACH * width, now + REACH * width + 1e-9))
        apart = times[first:last] - now
        weights = np.exp(-0.5 * (apart / width) ** 2)
        weights /= weights.sum()
        mean_time = weights @ apart
        mean = weights @ values[first:last]
        spread = weights @ (apart - mean_time) ** 2
        slope = (weights * (apart - mean_time)) @ (values[first:last] - mean) / spread if spread > 1e-9 else 0.0
        result[number] = mean - slope * mean_time
    return result


def _flat(face: Face) -> tuple[float, ...]:
    return (*face.box, *(value for point in face.landmarks for value in point))


def _face(row: npt.NDArray[np.float64], face: Face) -> Face:
    values = [round(float(value), COORDINATE_DIGITS) for value in row]
    left, top, right, bottom = values[:4]
    return Face((left, top, right, bottom), face.score, tuple(zip(values[4::2], values[5::2], strict=True)))
