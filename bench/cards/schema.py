"""The card schemas: what may be stated about a method, dataset, prompt set, protocol, paper or table.

A card is a TOML file whose `kind` says which schema it follows. Facts live here; no schema knows a name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from bench.cards.environment import EnvironmentFacts
from bench.cards.head_training import HeadTraining
from bench.cards.input_protocol import FrameSampling, Pixels
from bench.errors import counted

Combine = Literal["mean-logits", "mean-embeddings", "mean-normalized-embeddings"]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class Facts(BaseModel):
    """A strict, frozen table of facts: an unknown field is an error that names it, and a field's former name its new one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    renamed: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _present_names(cls, stated: Any) -> Any:
        for former, name in cls.renamed.items():
            if isinstance(stated, Mapping) and former in stated:
                raise ValueError(f"`{former}` is called `{name}` now")
        return stated


class Card(Facts):
    """What every card has in common.

    Attributes:
        name: what a user types.
        title: what a table prints.
        source: where the facts were read.
    """

    name: str = Field(pattern=NAME)
    title: str = ""
    source: str = ""
    _path: Path = PrivateAttr(default=Path())

    @property
    def path(self) -> Path:
        """The file this card was read from."""
        return self._path

    def as_read_from(self, path: Path) -> Self:
        """The same card from another file; files that it names beside itself are then looked for there."""
        card = self.model_copy()
        card._path = path
        return card

    @property
    def label(self) -> str:
        """The title, or the name where there is none."""
        return self.title or self.name


class Unknown(Facts):
    """Something the published work does not state, and what we do about it."""

    what: str
    default: str
    alternative: str = ""


class Weight(Facts):
    """Where a checkpoint file comes from.

    Attributes:
        url: a direct address, or
        hub: a Hugging Face repository, with `revision` pinned and `files` named.
        sha256: the file's hash, or a prefix of it (OpenAI's addresses carry the whole one).
        manual: how to get it where no program may (a form, a drive link).
    """

    url: str = ""
    hub: str = ""
    revision: str = ""
    files: tuple[str, ...] = ()
    sha256: str = ""
    licence: str = ""
    manual: str = ""


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


class Question(Facts):
    """What a generator is asked.

    Attributes:
        template: the question, with `{classes}` where the dataset's classes are listed.
        order: that list runs by label, or `reversed`, from the last label to the first.
        quote: put on both sides of each class in that list.
        mode: `answer` parses what is generated; `likelihood` ranks the classes as answers.
    """

    template: str
    order: Literal["labels", "reversed"] = "labels"
    quote: str = "'"
    mode: Literal["answer", "likelihood"] = "answer"

    def about(self, classes: Sequence[str]) -> str:
        """The question for these classes, given by label."""
        listed = classes if self.order == "labels" else classes[::-1]
        return self.template.replace("{classes}", ", ".join(f"{self.quote}{name}{self.quote}" for name in listed))


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


class Layout(Facts):
    """One way the dataset lies on disk: the reader that knows it, and what that reader must be told.

    Attributes:
        reader: `package.module:function`; see `bench.data.readers`.
        needs: paths (globs) below the root, all of which exist where this layout is in use.
        like: another layout of the card; its options hold here too, with this layout's own on top.
        options: passed to the reader as keywords.
    """

    name: str
    like: str = ""
    reader: str
    needs: tuple[str, ...]
    options: dict[str, Any] = {}


class Counts(Facts):
    """Test samples per class.

    Attributes:
        folds: fold -> samples per class, in the order of the card's `classes`.
        total: where only a total is known.
        source: who counted.
    """

    folds: dict[str, tuple[int, ...]] = {}
    total: int | None = None
    source: str = ""


class Captions(Facts):
    """Lists that name samples and say what was written about them; looked up by name, whatever layout is read.

    Attributes:
        files: a glob below the root; every file that matches is read.
        name: column of the sample's name, by number from 0 or by heading.
        text: column of the caption; a row without it, or with nothing in it, has none.
        separator: one character, or `whitespace`.
        header: whether the first line names the columns.
        encoding: of the lists.
        source: where the columns were read.
    """

    files: str
    name: int | str = 0
    text: int | str
    separator: str = "\t"
    header: bool = False
    encoding: str = "utf-8-sig"
    source: str = ""


class Obtain(Facts):
    """How a user gets the data."""

    page: str
    licence: str
    how: str


class Published(Facts):
    """A number somebody published on this dataset, as something to check a first run against."""

    method: str
    prompts: str
    war: float
    source: str


class DatasetCard(Card):
    """A labelled test set (or an unlabelled training set): classes, folds, counts, layouts, and how to get it.

    Attributes:
        media: `image` or `clip`.
        classes: class names; a label is an index into this list.
        folds: fold names; metrics are averaged over them without weights.
        counts: `evaluated` is what a run is checked against; others (`paper`) are shown beside it.
        short_clips: how many evaluated clips have at most 16 frames; used to plan where no data are at hand.
        inside: a dataset that holds the same files, so that the work is shared; used likewise.
        layouts: tried in order; the first whose `needs` all exist is read.
        captions: where captions of the samples lie, where there are any.
    """

    kind: Literal["dataset"]
    media: Literal["image", "clip"]
    classes: tuple[str, ...]
    folds: tuple[str, ...] = ("1",)
    counts: dict[str, Counts] = {}
    short_clips: int = 0
    inside: str = ""
    labelled: bool = True
    layouts: tuple[Layout, ...] = Field(min_length=1)
    captions: Captions | None = None
    obtain: Obtain
    published: tuple[Published, ...] = ()
    notes: tuple[str, ...] = ()

    @field_validator("layouts")
    @classmethod
    def _with_likes(cls, layouts: tuple[Layout, ...]) -> tuple[Layout, ...]:
        known: dict[str, Layout] = {}
        for layout in layouts:
            if layout.like and layout.like not in known:
                raise ValueError(f"layout {layout.name!r} is like {layout.like!r}, which is not a layout before it")
            if layout.name in known:
                raise ValueError(f"two layouts are called {layout.name!r}")
            base = known[layout.like].options if layout.like else {}
            known[layout.name] = layout.model_copy(update={"options": {**base, **layout.options}})
        return tuple(known.values())

    @model_validator(mode="after")
    def _counts_fit(self) -> DatasetCard:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes: {self.classes} names one twice")
        for who, counts in self.counts.items():
            for fold, row in counts.folds.items():
                if fold not in self.folds:
                    raise ValueError(f"counts.{who}.folds: {fold!r} is not one of the folds {self.folds}")
                if len(row) != len(self.classes):
                    raise ValueError(
                        f"counts.{who}.folds.{fold}: {counted(len(row), 'number')} for {counted(len(self.classes), 'class')}"
                    )
        return self

    @property
    def evaluated(self) -> Counts:
        """The counts a run is checked against."""
        return self.counts.get("evaluated", Counts())


class PromptCard(Card):
    """A prompt set: for each class, one or more texts.

    Attributes:
        templates: texts with `{c}` for the class word, and any other placeholder that `words` explains.
        words: placeholder -> class -> word; `words.c` replaces the class name itself.
        overrides: class -> slot (1-based) -> another template for that class.
        texts: class -> texts written out, instead of templates.
        combine: how several texts become one score.
    """

    kind: Literal["prompts"]
    templates: tuple[str, ...] = ()
    words: dict[str, dict[str, str]] = {}
    overrides: dict[str, dict[int, str]] = {}
    texts: dict[str, tuple[str, ...]] = {}
    combine: Combine = "mean-logits"
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> PromptCard:
        if bool(self.templates) == bool(self.texts):
            raise ValueError("give `templates` or `texts`, one of the two")
        for name, slots in self.overrides.items():
            for slot in slots:
                if not 1 <= slot <= len(self.templates):
                    raise ValueError(f"overrides.{name}: slot {slot} is outside 1..{len(self.templates)}")
        return self


class ProtocolCard(Card):
    """An input protocol that any method can be run with."""

    kind: Literal["protocol"]
    pixels: Pixels = Pixels()
    frames: FrameSampling = FrameSampling()
