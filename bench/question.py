"""The question put to a generator: the card's template with the set's own classes written into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

CLASSES = "{classes}"


class Question(BaseModel):
    """A question that names the classes, as a card states it under `[question]`.

    Attributes:
        template: the text, with `{classes}` where the list of classes goes. No other braces are special.
        order: `labels` lists the classes by label; `reversed` from the last label to the first.
        quote: put before and after each class.
        separator: put between two classes.
        scoring: `answers` parses the generated text (`bench.answers`); `likelihood` takes the class whose name is the
            likeliest answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str
    order: Literal["labels", "reversed"] = "labels"
    quote: str = "'"
    separator: str = ", "
    scoring: Literal["answers", "likelihood"] = "answers"

    @field_validator("template")
    @classmethod
    def _names_the_classes(cls, template: str) -> str:
        if template.count(CLASSES) != 1:
            raise ValueError(f"{template!r} has the placeholder {CLASSES} {template.count(CLASSES)} times, not once")
        return template

    def ask(self, classes: Sequence[str]) -> str:
        """Write the question out for these classes, given in label order."""
        listed = classes if self.order == "labels" else classes[::-1]
        return self.template.replace(CLASSES, self.separator.join(f"{self.quote}{name}{self.quote}" for name in listed))
