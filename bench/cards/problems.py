"""What is wrong with a card, in words and with the line it stands in."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

# Lines of a card that are looked through for a place; the largest that comes built in has a few hundred.
MOST_LINES = 5000
Where = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a card.

    Attributes:
        says: what.
        where: the keys and numbers that lead to it; none where the whole card is meant.
    """

    says: str
    where: Where = ()


def problems_of(error: ValidationError, schema: type[BaseModel]) -> tuple[Problem, ...]:
    """What a schema finds wrong, each in our words."""
    items = error.errors()
    places = [tuple(item["loc"]) for item in items]
    # What surrounds something wrong is called wrong too, as a list without a good entry is called empty.
    own = [at for at, place in enumerate(places) if not any(other[: len(place)] == place != other for other in places)]
    return tuple(Problem(_in_words(items[at], schema), places[at]) for at in own)


def _in_words(item: Mapping[str, Any], schema: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "missing":
        return f"{where}: Field required"
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(item["loc"][-1]), _fields(schema, item["loc"][:-1]), n=1)
        return f"{where}: there is no such field here" + (f"; did you mean `{near[0]}`?" if near else "")
    message = str(item["msg"]).removeprefix("Value error, ")
    found = f" (found {item['input']!r:.80})"
    return f"{where}: {message}{found}" if where else f"{message}{found}"


def _fields(schema: type[BaseModel], where: Sequence[str | int]) -> list[str]:
    """The fields of the table at a place, as far as the schema tells."""
    here: type[BaseModel] | None = schema
    for part in where:
        if isinstance(part, int) or here is None:
            continue
        field = here.model_fields.get(part)
        here = None if field is None else next(_models(field.annotation), None)
    return list(here.model_fields) if here is not None else []


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def line_of(text: str, where: Where) -> int:
    """The line, from 1, in which a place of a TOML text begins; of something that is not there, that of the table that it lacks in.

    A place begins after the longest beginning of the text that is TOML without it.
    """
    lines = text.split("\n")[:MOST_LINES]
    for depth in range(len(where), 0, -1):
        begins = 1
        for end in range(1, len(lines) + 1):
            try:
                facts = tomllib.loads("\n".join(lines[:end]))
            except (tomllib.TOMLDecodeError, RecursionError):
                continue
            if _holds(facts, where[:depth]):
                return begins
            begins = end + 1
            while begins <= len(lines) and not lines[begins - 1].split("#")[0].strip():
                begins += 1
    return 1


def stated_line(reason: str) -> int:
    """The line that a TOML reader's own message names; 1 where it names none."""
    found = re.search(r"at line (\d+)", reason)
    return int(found[1]) if found else 1


def _holds(facts: Any, where: Where) -> bool:
    for part in where:
        if isinstance(part, int):
            if not isinstance(facts, list) or part >= len(facts):
                return False
        elif not isinstance(facts, dict) or part not in facts:
            return False
        facts = facts[part]
    return True
