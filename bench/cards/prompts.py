"""Prompt sets: the texts that stand for each class."""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter

from bench.cards.prompt_schema import PromptCard
from bench.errors import BenchError


def texts(card: PromptCard, classes: Sequence[str]) -> list[list[str]]:
    """Write out a prompt set: one list a class, in the order given, and in it one text a slot.

    Args:
        card: the prompt set.
        classes: class names as the dataset's card has them. Each stands for `{c}`, unless the card has `words.c`.

    Raises:
        BenchError: the card has no texts, or no word for a placeholder, for one of the classes.
    """
    return [_of_class(card, name) for name in classes]


def _of_class(card: PromptCard, name: str) -> list[str]:
    if card.texts:
        if name not in card.texts:
            raise BenchError(
                f"prompt set {card.name!r} has no texts for the class {name!r}",
                f"add it to [texts] in {card.path}, or use another prompt set; it has {', '.join(card.texts)}",
            )
        return list(card.texts[name])
    own = card.overrides.get(name, {})
    templates = [own.get(slot, template) for slot, template in enumerate(card.templates, start=1)]
    return [_filled(template, card, name) for template in templates]


def _filled(template: str, card: PromptCard, name: str) -> str:
    try:
        placeholders = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    except ValueError as error:
        what = f"prompt set {card.name!r}: the template {template!r} is not one: {error}"
        raise BenchError(what, "write {c} for the class") from error
    words = {field: _word(field, card, name) for field in placeholders}
    return template.format_map(words)


def _word(placeholder: str, card: PromptCard, name: str) -> str:
    if placeholder == "c" and "c" not in card.words:
        return name
    word = card.words.get(placeholder, {}).get(name)
    if word is None:
        raise BenchError(
            f"prompt set {card.name!r} has no word for the placeholder {{{placeholder}}} of the class {name!r}",
            f"add it to [words.{placeholder}] in {card.path}, or use another prompt set",
        )
    return word
