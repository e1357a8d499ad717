"""The input protocol as data: how a picture becomes pixels, and which frames of a clip are seen.

These are the validated tables of a card (`[pixels]`, `[frames]`); `transforms.py` and `sampling.py` carry them out.
Everything here that can change a pixel or a frame index is part of an embedding's key in the store.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

Triple = tuple[float, float, float]
Orientation = Literal["stored", "shown"]


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pixels(_Facts):
    """How one RGB picture becomes `[3, S, S]` floats.

    Attributes:
        orientation: `stored` takes a file's pixels as the decoder gives them; `shown` turns them first as its metadata say (the EXIF
            orientation of a picture, the display matrix of a video), which is what viewers do.
        resize: `squash` to a square of `resize_to` without regard to the aspect ratio, or `shortest` side to `resize_to`; then a
            centre crop of S x S.
        resize_to: None is S itself.
        crop: where the centre crop begins when an odd number of pixels goes: half of it `rounded` to the even number, as torchvision
            does, or `floored`, as transformers does.
        interpolation: as Pillow names it; always with Pillow's antialiasing unless `stage` is `tensor`, which has no `lanczos`.
        mean: subtracted per channel after division by 255; None with `std` None leaves [0, 1] (the paper's protocol).
        std: divides per channel.
        stage: `image` resizes uint8 pictures as Pillow does, then normalises; `tensor` normalises first and resizes
            the float tensor without antialiasing (what some authors' code does).
        version: bumped when the mechanism changes a pixel.
    """

    orientation: Orientation = "stored"
    resize: Literal["squash", "shortest"] = "squash"
    resize_to: int | None = Field(default=None, gt=0)
    crop: Literal["rounded", "floored"] = "rounded"
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"
    mean: Triple | None = None
    std: Triple | None = None
    stage: Literal["image", "tensor"] = "image"
    version: int = 1

    @model_serializer(mode="wrap")
    def _without_firsts(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """`stored` and `rounded` were the rules before they had names: they are left out, so that keys made then are found."""
        facts: dict[str, Any] = serialize(self)
        if self.orientation == "stored":
            facts.pop("orientation", None)
        if self.crop == "rounded":
            facts.pop("crop", None)
        return facts

    @model_validator(mode="after")
    def _has_filter(self) -> Pixels:
        if self.stage == "tensor" and self.interpolation == "lanczos":
            raise ValueError("tensors are not resized with lanczos: use bilinear or bicubic, or stage = 'image'")
        return self


class FrameSampling(_Facts):
    """Which frames of a clip are seen. `count` is the number of indices returned (for `chunks`: at most).

    Attributes:
        rule: `segments`: with n > count frames, index_i = floor(n / (2 count) + i n / count) (the paper's list
            reader); `linspace`: count points from 0 to n - 1, truncated; `stride`: every `stride`-th frame, the first
            `count` of them from `start`; `chunks`: every frame in order, for a network
            that groups them into seconds.
        count: how many frames are taken of a clip.
        short_clip: for `segments` when n <= count: `first` repeats frame 0 (the paper's reader), `edge` takes every
            frame and repeats the last, `spread` applies the rule all the same.
        stride: for `stride`.
        start: for `stride`: index of the first frame after striding, with wrap-around.
        version: bumped when the mechanism changes an index.
    """

    rule: Literal["segments", "linspace", "stride", "chunks"] = "segments"
    count: int = Field(default=16, gt=0)
    short_clip: Literal["first", "edge", "spread"] = "first"
    stride: int = Field(default=1, gt=0)
    start: int = Field(default=0, ge=0)
    version: int = 1


class Protocol(_Facts):
    """A named input protocol: pixels and frames, with the source of the rule."""

    name: str
    pixels: Pixels = Pixels()
    frames: FrameSampling = FrameSampling()
    source: str = ""
