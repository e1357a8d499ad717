"""What the tiny BLIP-2 is asked and what it is taught to say: instructions, action-unit captions, its vocabulary."""

from __future__ import annotations

import re

import numpy as np

from bench.mini.captions import (
    ADJECTIVE_TEMPLATES,
    ADJECTIVES,
    NOUN_TEMPLATES,
    SCENE_TEMPLATES,
    expression_caption,
    remarks,
)
from bench.mini.expressions import AUS, EXPRESSIONS
from bench.mini.people import Face, random_face

DESCRIBING = (
    "Please play the role of a facial action describer. Objectively describe the detailed facial actions of the person "
    "in the image.",
    "Please play the role of a facial expression recognition expert. Describe the facial expression of the person in "
    "the image.",
    "Please describe the detailed facial actions of the person in the image.",
    "Describe the facial expression of the person.",
    "Describe the facial actions.",
)
"""Instructions that ask for the face's actions: the paper's three of Table B and two shorter ones."""

QUESTION = (
    "Question: Play the role of a facial expression classification expert and select one category with the highest "
    "similarity to the input image. Here are the optional categories: {}. Answer:"
)
ACTIONS = {
    1: "inner brows raised",
    2: "outer brows raised",
    4: "brows lowered",
    5: "eyes wide open",
    6: "cheeks raised",
    7: "lids tightened",
    9: "nose wrinkled",
    10: "upper lip raised",
    12: "lip corners pulled up",
    14: "a dimple on one side",
    15: "lip corners pulled down",
    17: "chin raised",
    20: "lips stretched",
    23: "lips tightened",
    25: "lips parted",
    26: "jaw dropped",
}
"""Action unit -> how a caption says that it is there."""

SEEN = 0.25
"""Intensity above which a caption may mention an action unit."""

_OTHER_WORDS = "clearly unclear afraid state what does show the face mouth eyes"


def question(classes: int) -> str:
    """The question of the published comparison about the first so many expressions."""
    return QUESTION.format(", ".join(f"'{name}'" for name in reversed(EXPRESSIONS[:classes])))


def action_caption(face: Face, rng: np.random.Generator) -> str:
    """A sentence about the action units of a face, and nothing else."""
    shown = [ACTIONS[au] for au, intensity in zip(AUS, face.aus, strict=True) if intensity > SEEN]
    if not shown:
        return "a face without any action."
    chosen = rng.permutation(len(shown))[:4]
    return f"a face with {', '.join(shown[place] for place in chosen)}."


def vocabulary() -> tuple[str, ...]:
    """Every whole word of the instructions, captions and prompts, each once, in the order of their coming."""
    rng = np.random.default_rng(0)
    texts = [*DESCRIBING, question(len(EXPRESSIONS)), *EXPRESSIONS, _OTHER_WORDS]
    texts += [template.format("") for template in (*NOUN_TEMPLATES, *ADJECTIVE_TEMPLATES, *SCENE_TEMPLATES)]
    texts += [word for words in ADJECTIVES.values() for word in words]
    texts += [*ACTIONS.values(), "without any action"]
    texts += [remark for _ in range(400) for remark in remarks(random_face("neutral", rng))]
    texts += [expression_caption(name, rng) for name in EXPRESSIONS]
    return tuple(dict.fromkeys(word for text in texts for word in re.findall(r"[A-Za-z]{2,}", text)))
