"""Which frames of a clip are seen."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from bench.cards.input_protocol import FrameSampling
from bench.data.samples import Blob, FrameRef, Frames, Media, Still
from bench.errors import DataError


class VideoLengths(Protocol):
    """Knows how many frames a video file has, or finds out; `bench.data.digest.DigestCache` remembers it."""

    def video_length(self, file: str) -> int:
        """The number of frames; raises `DataError` where the file is not a readable video."""
        ...


def indices(n: int, rule: FrameSampling) -> tuple[int, ...]:
    """The frames of a clip of n frames that a rule sees, from 0.

    `segments`: the middle of each of `count` equal parts, floor(n (2 i + 1) / (2 count)); with n <= count the rule
    `short_clip` (zengqunzhao/Exp-CLIP, its test reader: frame 0, `count` times).
    `linspace`: `count` points from 0 to n - 1, truncated (Xeaver/EmotionCLIP).
    `stride`: of every `stride`-th frame, `count` from `start` (taken modulo their number) on; past the end it goes on
    at the first one and takes as many as the stretch runs over, at most all of them; what is still short of `count` is
    mirrored without repeating the edge (NickyFot/EmoCLIP, where `start` is drawn at random).
    `chunks`: every frame in order, the first `count` at most; whoever groups them pads the last group.

    Raises:
        ValueError: n is not positive.
    """
    if n < 1:
        raise ValueError(f"a clip of {n} frames has none to be seen")
    if rule.rule == "segments":
        return _segments(n, rule)
    if rule.rule == "linspace":
        return tuple(int(i) for i in np.linspace(0, n - 1, rule.count, dtype=int))
    if rule.rule == "stride":
        return _stride(n, rule)
    return tuple(range(min(n, rule.count)))


def frames_of(media: Media, rule: FrameSampling, lengths: VideoLengths) -> tuple[FrameRef, ...]:
    """The pictures of a sample that a rule sees, in time order; a still is one picture under any rule.

    Args:
        media: where the sample's pictures are.
        rule: which frames of a clip are seen.
        lengths: how many frames a video file has.

    Raises:
        DataError: a frame list states more frames than lie on disk and the rule wants one that is not there, or a
            video cannot be read.
    """
    if isinstance(media, Still):
        return (FrameRef(media.blob),)
    if isinstance(media, Frames):
        wanted = indices(media.count, rule)
        if max(wanted) >= len(media.names):
            raise DataError(
                f"{media.folder}: frame {max(wanted)} is wanted (of {media.count} that the list states), but only"
                f" {len(media.names)} pictures lie there",
                "extract the frames again, or use a list that was made for these frames",
            )
        return tuple(FrameRef(Blob(f"{media.folder}/{media.names[i]}")) for i in wanted)
    blob = Blob(media.file)
    return tuple(FrameRef(blob, i) for i in indices(lengths.video_length(media.file), rule))


def _segments(n: int, rule: FrameSampling) -> tuple[int, ...]:
    if n > rule.count or rule.short_clip == "spread":
        return tuple(n * (2 * i + 1) // (2 * rule.count) for i in range(rule.count))
    if rule.short_clip == "edge":
        return tuple(min(i, n - 1) for i in range(rule.count))
    return (0,) * rule.count


def _stride(n: int, rule: FrameSampling) -> tuple[int, ...]:
    kept = np.arange(0, n, rule.stride)
    start = rule.start % len(kept)
    over = start + rule.count - len(kept)
    taken = kept[start : start + rule.count] if over < 0 else np.concatenate((kept[start:], kept[:over]))
    return tuple(int(i) for i in np.pad(taken, (0, rule.count - len(taken)), "reflect"))
