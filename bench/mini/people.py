"""Who is drawn, what the face does, and how the picture was taken: the parameters of one drawn face."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bench.mini.expressions import AUS, action_units
from bench.mini.pen import Colour

SKINS: dict[str, Colour] = {
    "pale": (243, 212, 190),
    "fair": (229, 184, 152),
    "tan": (198, 148, 110),
    "brown": (148, 99, 68),
    "dark": (98, 64, 46),
}
HAIRS: dict[str, Colour] = {
    "black": (28, 24, 24),
    "brown": (84, 54, 34),
    "blond": (208, 172, 100),
    "red": (156, 72, 36),
    "grey": (160, 158, 156),
}
BACKGROUNDS: dict[str, Colour] = {
    "white": (226, 226, 222),
    "grey": (128, 128, 130),
    "dark": (42, 42, 48),
    "blue": (84, 118, 176),
    "green": (92, 138, 92),
    "brown": (134, 104, 78),
}
HAIRSTYLES = ("short", "long", "bald", "fringe")
BEARDS = ("none", "none", "none", "stubble", "full", "moustache")
LIGHTS = ("front", "left", "right", "above")


@dataclass(frozen=True)
class Identity:
    """Whose face it is; the same in every frame of a clip."""

    skin: str = "fair"
    hair: str = "brown"
    hairstyle: str = "short"
    beard: str = "none"
    glasses: bool = False
    shade: float = 1.0
    width: float = 0.76
    jaw: float = 0.5
    eye_distance: float = 0.33
    eye_size: float = 1.0
    brow_weight: float = 1.0
    brow_height: float = 0.0
    brow_slant: float = 0.0
    nose: float = 1.0
    mouth_width: float = 0.26
    mouth_height: float = 0.58
    mouth_rest: float = 0.0
    lips: float = 1.0
    age: float = 0.2
    side: int = 1


@dataclass(frozen=True)
class Scene:
    """How the picture was taken: pose, light, background and the camera's faults."""

    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    scale: float = 0.44
    shift: tuple[float, float] = (0.0, 0.0)
    gaze: tuple[float, float] = (0.0, 0.0)
    background: str = "grey"
    clutter: int = 0
    light: str = "front"
    contrast: float = 0.0
    brightness: float = 1.0
    warmth: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    grain: int = 0


@dataclass(frozen=True)
class Face:
    """Everything that `draw` needs.

    Attributes:
        aus: AU intensities in [0, 1], in the order of `AUS`.
    """

    identity: Identity = field(default_factory=Identity)
    aus: tuple[float, ...] = (0.0,) * len(AUS)
    scene: Scene = field(default_factory=Scene)


def random_identity(rng: np.random.Generator) -> Identity:
    """Draw a person."""
    return Identity(
        skin=str(rng.choice(list(SKINS))),
        hair=str(rng.choice(list(HAIRS))),
        hairstyle=str(rng.choice(HAIRSTYLES)),
        beard=str(rng.choice(BEARDS)),
        glasses=bool(rng.random() < 0.22),
        shade=rng.uniform(0.92, 1.06),
        width=rng.uniform(0.70, 0.84),
        jaw=rng.uniform(0.36, 0.62),
        eye_distance=rng.uniform(0.30, 0.37),
        eye_size=rng.uniform(0.85, 1.15),
        brow_weight=rng.uniform(0.6, 1.5),
        brow_height=rng.normal(0.0, 0.022),
        brow_slant=rng.normal(0.0, 0.018),
        nose=rng.uniform(0.8, 1.2),
        mouth_width=rng.uniform(0.22, 0.30),
        mouth_height=rng.uniform(0.55, 0.61),
        mouth_rest=rng.normal(0.0, 0.014),
        lips=rng.uniform(0.7, 1.3),
        age=rng.uniform(0.0, 0.6),
        side=1 if rng.random() < 0.5 else -1,
    )


def random_scene(rng: np.random.Generator) -> Scene:
    """Draw a pose and a camera."""
    return Scene(
        roll=rng.normal(0.0, 0.06),
        yaw=rng.normal(0.0, 0.35),
        pitch=rng.normal(0.0, 0.28),
        scale=rng.uniform(0.415, 0.475),
        shift=(rng.normal(0.0, 0.014), rng.normal(0.0, 0.014)),
        gaze=(rng.normal(0.0, 0.4), rng.normal(0.0, 0.25)),
        background=str(rng.choice(list(BACKGROUNDS))),
        clutter=int(rng.integers(0, 6)),
        light=str(rng.choice(LIGHTS)),
        contrast=rng.uniform(0.0, 0.6),
        brightness=rng.uniform(0.72, 1.12),
        warmth=rng.normal(0.0, 0.06),
        noise=abs(rng.normal(0.0, 6.0)),
        blur=max(0.0, rng.normal(0.2, 0.7)),
        grain=int(rng.integers(2**31)),
    )


def random_face(expression: str, rng: np.random.Generator) -> Face:
    """Draw a person who shows `expression` at its apex."""
    identity, scene = random_identity(rng), random_scene(rng)
    return Face(identity, tuple(map(float, action_units(expression, rng))), scene)
