"""Draws a face from its parameters: `draw` is a pure function of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from bench.mini.features import draw_head
from bench.mini.pen import Pen, mix
from bench.mini.people import BACKGROUNDS, Face, Scene


def draw(face: Face, size: int) -> NDArray[np.uint8]:
    """Draw a face as uint8 RGB `[size, size, 3]`; the same parameters give the same pixels."""
    canvas = Image.new("RGB", (2 * size, 2 * size), BACKGROUNDS[face.scene.background])
    _clutter(canvas, face.scene)
    at = face.scene
    pen = Pen(canvas, roll=at.roll, yaw=at.yaw, pitch=at.pitch, scale=at.scale, shift=at.shift)
    draw_head(pen, face)
    picture = canvas.reduce(2)
    if face.scene.blur > 0.2:
        picture = picture.filter(ImageFilter.BoxBlur(face.scene.blur * size / 112))
    return _expose(np.asarray(picture, np.float32), face.scene)


def _clutter(canvas: Image.Image, scene: Scene) -> None:
    rng = np.random.Generator(np.random.PCG64(scene.grain % 1009))
    pen, base = ImageDraw.Draw(canvas), BACKGROUNDS[scene.background]
    for _ in range(scene.clutter):
        x, y, w, h = rng.uniform(-0.2, 1.0, 4) * canvas.width
        tint = rng.integers(0, 256, 3).tolist()
        pen.rectangle((x, y, x + abs(w), y + abs(h)), fill=mix(base, (tint[0], tint[1], tint[2]), 0.35))


def _expose(pixels: NDArray[np.float32], scene: Scene) -> NDArray[np.uint8]:
    size = len(pixels)
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    field = {
        "front": np.zeros((1, 1), np.float32),
        "left": -ramp[None, :],
        "right": ramp[None, :],
        "above": -ramp[:, None],
    }[scene.light]
    gain = scene.brightness * (1.0 + scene.contrast * field)
    tint = np.array([1.0 + scene.warmth, 1.0, 1.0 - scene.warmth], np.float32)
    pixels = pixels * gain[:, :, None] * tint
    if scene.noise:
        rng = np.random.Generator(np.random.PCG64(scene.grain))
        pixels += rng.standard_normal((size, size, 1), np.float32) * scene.noise
    return pixels.clip(0, 255).astype(np.uint8)
