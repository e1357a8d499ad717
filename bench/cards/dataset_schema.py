"""The card of a dataset: its classes and folds, the layouts it is found in, and how it is obtained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from bench.cards.schema import Card, Facts
from bench.errors import counted


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
        obtain: how others get the data; a set of one's own needs none.
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
    obtain: Obtain | None = None
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
    def how_to_get(self) -> str:
        """How a user gets the data, for the end of an error."""
        if self.obtain is None:
            return "check the folder, and the layouts in its card"
        return f"{self.obtain.how} ({self.obtain.page})"

    @property
    def evaluated(self) -> Counts:
        """The counts a run is checked against."""
        return self.counts.get("evaluated", Counts())
