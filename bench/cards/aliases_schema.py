"""The card of words that mean the same class, for predictions files of other tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import model_validator

from bench.cards.schema import Card


class AliasesCard(Card):
    """Words that mean the same.

    Attributes:
        words: a name for each meaning -> words for it; letter case does not matter, and the name is one of the words.
    """

    kind: Literal["aliases"]
    words: dict[str, tuple[str, ...]]

    @model_validator(mode="after")
    def _one_meaning(self) -> AliasesCard:
        seen: dict[str, str] = {}
        for meaning, words in self.words.items():
            for word in {word.casefold() for word in (meaning, *words)}:
                other = seen.setdefault(word, meaning)
                if other != meaning:
                    raise ValueError(f"{word!r} stands for {other!r} and for {meaning!r}")
        return self

    def class_of(self, word: str, classes: Sequence[str]) -> str | None:
        """The class that a word means: its own name in another letter case, or the one class with the same meaning."""
        folded = {name.casefold(): name for name in classes}
        if word.casefold() in folded:
            return folded[word.casefold()]
        for meaning, words in self.words.items():
            alike = {each.casefold() for each in (meaning, *words)}
            if word.casefold() in alike:
                found = [name for key, name in folded.items() if key in alike]
                return found[0] if len(found) == 1 else None
        return None
