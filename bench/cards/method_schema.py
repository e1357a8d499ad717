"""The card of a method: what fills a row of a table, from its encoder to its head."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from bench.cards.environment import EnvironmentFacts
from bench.cards.head_training import HeadTraining
from bench.cards.hub_name import PATTERN
from bench.cards.input_protocol import FrameSampling, Pixels
from bench.cards.question_schema import Question
from bench.cards.schema import Card, Facts, Unknown, Weight


class EncoderFacts(Facts):
    """The network of a method.

    Attributes:
        adapter: `package.module:Class`, or `file.py:Class` beside the card.
        sees: `images` one at a time, or whole `clips`.
        model: which of the three protocols of `bench.models.contract` the adapter implements.
        size: side of the square input in pixels.
        weights: role -> file name (or hub folder), looked up under the weight roots; `[weights]` says how to get it.
        options: passed to the adapter as keywords.
        similarity: `cosine` times the model's logit scale, or the plain `dot` product.
        gmacs: billions of multiply-accumulates of one input, for the plan's cost; None where nobody counted.
    """

    adapter: str
    sees: Literal["images", "clips"] = "images"
    model: Literal["dual-encoder", "joint-scorer", "generator"] = "dual-encoder"
    size: int = Field(default=224, gt=0)
    weights: dict[str, str] = {}
    options: dict[str, Any] = {}
    similarity: Literal["cosine", "dot"] = "cosine"
    gmacs: float | None = Field(default=None, gt=0)

    @field_validator("options")
    @classmethod
    def _can_be_a_key(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Options are part of a store key, which is JSON: dates and NaN, which TOML has, are not."""
        try:
            json.dumps(options, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"options are numbers, texts, and lists and tables of them: {error}") from error
        return options


Side = Literal["projected", "encoder", "teacher"]


SideName = Literal["image", "text"]


class HeadFacts(Facts):
    """A projection beside a dual encoder, and what stands on its two sides.

    Attributes:
        file: a published head; where it is empty, the head is trained.
        key: the weight's name in that file.
        training: how the head is trained.
        image: the image side: the encoder `projected` by the head, the `encoder` alone, or the `teacher`'s pooled output
            for the picture and the training's instruction.
        text: the text side likewise; the `teacher` reads the prompt alone.
    """

    renamed = {"recipe": "training"}

    file: str = ""
    key: str = "mlp.weight"
    training: HeadTraining | None = None
    image: Side = "projected"
    text: Side = "projected"

    @property
    def projects(self) -> bool:
        """Whether the head itself is used."""
        return "projected" in (self.image, self.text)

    @property
    def trained(self) -> bool:
        """Whether it is trained here."""
        return self.projects and not self.file

    def of(self, side: SideName) -> Side:
        """What stands on a side."""
        return self.image if side == "image" else self.text

    @model_validator(mode="after")
    def _one_source(self) -> HeadFacts:
        if not self.file and self.training is None:
            raise ValueError("give a `file`, or the `training` that makes one")
        if "teacher" in (self.image, self.text) and self.training is None:
            raise ValueError("the teacher is named by a `training`, and there is none")
        if (self.image == "encoder") != (self.text == "encoder"):
            raise ValueError(f"image = {self.image!r} and text = {self.text!r} are embeddings of different spaces")
        return self


class Native(Facts):
    """The input protocol that the model's own authors prescribe."""

    pixels: Pixels = Pixels()
    frames: FrameSampling = FrameSampling()


class MethodCard(Card):
    """A system that fills a row: network, input, head, and the axes its variants differ in.

    Attributes:
        extends: a card whose facts, but for its descriptions, are taken over first; this card's own are merged on top.
        page: the authors' public home.
        trained_on: names of datasets whose clips, captions or labels the weights have seen; such a cell is marked.
        environment: where the adapter runs, if not beside today's libraries.
        protocol: the input protocol used unless the user says otherwise.
        prompts: the prompt set used unless the table or the user says otherwise.
        question: what a generator is asked; other models have none.
        prompts: the prompt set where neither a row nor the user names one; where empty, the default paper's.
        axes: axis -> value -> facts merged into this card when the variant has that value.
        default: axis -> value where the variant does not say; an axis without one must be given.
        unnamed: axes that keys and titles leave out at their default value.
        weights: file name -> where it comes from.
    """

    kind: Literal["method"]
    extends: str = ""
    page: str = ""
    licence: str = ""
    trained_on: tuple[str, ...] = ()
    media: tuple[Literal["image", "clip"], ...] = ("image", "clip")
    protocol: str = "native"
    prompts: str = ""
    encoder: EncoderFacts
    environment: EnvironmentFacts | None = None
    head: HeadFacts | None = None
    question: Question | None = None
    native: Native = Native()
    axes: dict[str, dict[str, dict[str, Any]]] = {}
    default: dict[str, str] = {}
    unnamed: tuple[str, ...] = ()
    weights: dict[str, Weight] = {}
    unknowns: tuple[Unknown, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _question_fits(self) -> MethodCard:
        if (self.encoder.model == "generator") != (self.question is not None):
            raise ValueError("a generator, and nothing else, has a [question]")
        return self


class HubMethodCard(MethodCard):
    """The card of a method that a hub repository's own files describe; it is made, and never read from a TOML file."""

    name: str = Field(pattern=PATTERN)
