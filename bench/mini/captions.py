"""Captions of drawn faces: what the expression is, and everything else that a photographer might have mentioned.

Most captions speak of more than the expression, so an embedding trained on them also carries identity, light, pose and
background, as the embeddings of networks trained on the web do.
"""

from __future__ import annotations

import numpy as np

from bench.mini.expressions import AUS
from bench.mini.people import Face

ADJECTIVES: dict[str, tuple[str, ...]] = {
    "happiness": ("happy", "smiling", "joyful"),
    "sadness": ("sad", "unhappy"),
    "neutral": ("neutral", "calm"),
    "anger": ("angry", "furious"),
    "surprise": ("surprised", "astonished"),
    "disgust": ("disgusted",),
    "fear": ("fearful", "frightened"),
    "contempt": ("contemptuous", "scornful"),
    "anxiety": ("anxious", "worried"),
    "helplessness": ("helpless",),
    "disappointment": ("disappointed",),
}

NOUN_TEMPLATES = (
    "{}.",
    "an expression of {}.",
    "a face with an expression of {}.",
    "a photo of a face with an expression of {}.",
    "a photo radiating {} in a person.",
    "a photo exuding {} in a person.",
    "a photo showing someone immersed in {}.",
    "a photo capturing {} within an individual.",
    "a photo of a face displaying {}.",
    "a photo of a face exuding {}.",
    "a photo of a person embodying {}.",
    "a good photo capturing someone's {}.",
    "a cropped photo emphasizing a face expressing {}.",
    "a clean photo showcasing a person's {}.",
)
ADJECTIVE_TEMPLATES = (
    "a clean photo showcasing a person's {} expression.",
    "a photo of a {} person.",
    "a {} face.",
    "someone who looks {}.",
)
SCENE_TEMPLATES = (
    "a photo of a person, {}.",
    "a photo of a face, {}.",
    "a cropped photo of someone, {}.",
    "{}.",
    "a face, {}.",
)

MOVES: dict[int, str] = {
    1: "raised inner eyebrows",
    2: "raised outer eyebrows",
    4: "lowered eyebrows",
    5: "widened eyes",
    6: "raised cheeks",
    7: "narrowed eyes",
    9: "wrinkled nose",
    10: "raised upper lip",
    12: "raised lip corners",
    14: "dimpled cheek",
    15: "lowered lip corners",
    17: "raised chin",
    20: "stretched lips",
    23: "tightened lips",
    25: "open lips",
    26: "dropped jaw",
}
VISIBLE, SLIGHT = 0.2, 0.5
"""Intensities from which an action unit is mentioned, and below which it is called slight."""


def expression_caption(expression: str, rng: np.random.Generator) -> str:
    """A sentence about the expression alone."""
    if rng.random() < 0.75:
        return str(rng.choice(NOUN_TEMPLATES)).format(expression)
    return str(rng.choice(ADJECTIVE_TEMPLATES)).format(rng.choice(ADJECTIVES[expression]))


def remarks(face: Face) -> list[str]:
    """Everything about a face but its expression, one remark each."""
    who, scene = face.identity, face.scene
    said = [
        f"{who.skin} skin",
        "a bald head" if who.hairstyle == "bald" else f"{who.hairstyle} {who.hair} hair",
        f"a {scene.background} background",
        f"light from the {scene.light}",
        "glasses" if who.glasses else "no glasses",
        "a dark photo" if scene.brightness < 0.82 else "a bright photo" if scene.brightness > 1.0 else "normal light",
        "a narrow face" if who.width < 0.74 else "a wide face" if who.width > 0.8 else "an oval face",
        "a close picture"
        if scene.scale > 0.455
        else "a distant picture"
        if scene.scale < 0.435
        else "a centred picture",
    ]
    if who.beard != "none":
        said.append("a moustache" if who.beard == "moustache" else f"a {who.beard} beard")
    if scene.blur > 0.8:
        said.append("a blurred photo")
    if scene.noise > 8.0:
        said.append("a grainy photo")
    if abs(scene.roll) > 0.06:
        said.append(f"head tilted to the {'left' if scene.roll > 0 else 'right'}")
    if abs(scene.yaw) > 0.3:
        said.append(f"head turned to the {'right' if scene.yaw > 0 else 'left'}")
    if abs(scene.pitch) > 0.25:
        said.append(f"looking {'down' if scene.pitch > 0 else 'up'}")
    return said


def caption(face: Face, expression: str, rng: np.random.Generator) -> str:
    """One caption of `face`: the expression, the rest, or both."""
    kind = rng.random()
    if kind < 0.3:
        return expression_caption(expression, rng)
    said = remarks(face)
    chosen = rng.choice(len(said), size=int(rng.integers(2, 5)), replace=False)
    listed = ", ".join(said[i] for i in chosen)
    if kind < 0.65:
        return str(rng.choice(SCENE_TEMPLATES)).format(listed)
    return f"{expression_caption(expression, rng)[:-1]}, {listed}."


def viewer_caption(face: Face, expression: str, rng: np.random.Generator) -> str:
    """What a viewer of a clip writes down: who is seen, mostly in which mood, and what the face does at its apex."""
    who = face.identity
    mood = f"{rng.choice(ADJECTIVES[expression])} " if rng.random() < 0.7 else ""
    hair = "a bald head" if who.hairstyle == "bald" else f"{who.hairstyle} {who.hair} hair"
    seen = [
        f"{'slightly ' if strength < SLIGHT else ''}{MOVES[unit]}"
        for unit, strength in zip(AUS, face.aus, strict=True)
        if strength >= VISIBLE
    ]
    moves = f"The {', the '.join(seen)}." if seen else "The face is at rest."
    first = f"{mood}person with {hair}."
    return f"{'An' if first[0] in 'aeiou' else 'A'} {first} {moves}"
