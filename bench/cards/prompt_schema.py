"""The card of a prompt set: what is said of each class."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from bench.cards.schema import Card

Combine = Literal["mean-logits", "mean-embeddings", "mean-normalized-embeddings"]


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
