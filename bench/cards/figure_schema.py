"""The schema of a paper's figures: what is drawn, of which methods and datasets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.cards.schema import Card

Drawing = Literal["map", "confusions", "variances", "probabilities"]


class FigureCard(Card):
    """A figure of a paper: one kind of drawing of some methods on some datasets.

    Attributes:
        draws: `map` (features in the plane), `confusions` (a matrix for each method and fold), `variances` (of the
            features, class by class) or `probabilities` (of single samples, under their pictures).
        methods: methods or variants of them (`clip:backbone=L14`), in the order drawn; the last one is the paper's own.
        labels: what each is called in the figure; the variant's title where there is none.
        datasets: in the order drawn.
        prompts: prompt set; the method card's where it is empty.
        protocol: input protocol, likewise.
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
    notes: tuple[str, ...] = ()
