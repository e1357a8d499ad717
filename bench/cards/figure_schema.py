"""The schema of a paper's figures: what is drawn, of which methods and datasets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bench.cards.schema import Card

Drawing = Literal["map", "confusions", "variances", "probabilities", "retrieval"]


class FigureCard(Card):
    """A figure of a paper: one kind of drawing of some methods on some datasets.

    Attributes:
        draws: `map` (features in the plane), `confusions` (a matrix for each method and fold), `variances` (of the
            features, class by class), `probabilities` (of single samples, under their pictures) or `retrieval` (of one
            dataset's captions by its clips: precision over places).
        methods: methods or variants of them (`clip:backbone=L14`), in the order drawn; the last one is the paper's own.
        labels: what each is called in the figure; the variant's title where there is none.
        datasets: in the order drawn.
        prompts: prompt set; the method card's where it is empty.
        protocol: input protocol, likewise.
        places: of `retrieval`: how many of the nearest captions are looked at, the k of precision at k.
        notes: what the paper leaves open, and what is done here.
    """

    kind: Literal["figure"]
    draws: Drawing
    caption: str = ""
    methods: tuple[str, ...] = Field(min_length=1)
    labels: tuple[str, ...] = ()
    datasets: tuple[str, ...] = Field(min_length=1)
    prompts: str = ""
    protocol: str = ""
    places: tuple[Annotated[int, Field(gt=0)], ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _places_fit(self) -> FigureCard:
        if (self.draws == "retrieval") != bool(self.places):
            raise ValueError("a figure that draws 'retrieval', and no other, states `places`")
        if list(self.places) != sorted(set(self.places)):
            raise ValueError(f"places = {list(self.places)} do not rise")
        return self
