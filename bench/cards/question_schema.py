"""The card of a question: what a generator is asked about a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bench.cards.schema import Card, Facts

Order = Literal["labels", "reversed"]


class Wording(Facts):
    """The words of a question.

    Attributes:
        template: the question, with `{classes}` where the dataset's classes are listed.
        order: that list runs by label, or `reversed`, from the last label to the first.
        quote: put on both sides of each class in that list.
    """

    template: str
    order: Order = "labels"
    quote: str = "'"

    def about(self, classes: Sequence[str]) -> str:
        """The question for these classes, given by label."""
        listed = classes if self.order == "labels" else classes[::-1]
        return self.template.replace("{classes}", ", ".join(f"{self.quote}{name}{self.quote}" for name in listed))


class Question(Wording):
    """What a method asks.

    Attributes:
        card: the question card that the words are from; its facts hold where the method's own card states none.
        mode: `answer` parses what is generated; `likelihood` ranks the classes as answers.
    """

    card: str = ""
    mode: Literal["answer", "likelihood"] = "answer"


class QuestionCard(Card, Wording):
    """A question that any generator can be asked."""

    kind: Literal["question"]
    notes: tuple[str, ...] = ()

    @property
    def wording(self) -> dict[str, str]:
        """The words alone."""
        return {"template": self.template, "order": self.order, "quote": self.quote}
