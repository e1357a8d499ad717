"""Variants: a method card with a value chosen on each of its axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bench.cards.hub_name import PREFIX
from bench.cards.method_schema import MethodCard
from bench.errors import BenchError, UnknownName


@dataclass(frozen=True)
class Variant:
    """One row's worth of a method: the card with its axes' facts merged in.

    Attributes:
        method: the card's name.
        axes: axis -> value, in the card's order, without the defaults that go `unnamed`.
        card: the facts that hold for this variant.
        title: the method's title with the values' titles behind it.
    """

    method: str
    axes: Mapping[str, str]
    card: MethodCard
    title: str

    @property
    def key(self) -> str:
        """`backbone=L14,head=lm`: how records and the command line write it; empty where a method has no axes."""
        return ",".join(f"{axis}={value}" for axis, value in self.axes.items())

    def __str__(self) -> str:
        return f"{self.method}:{self.key}" if self.axes else self.method


def parse(ref: str) -> tuple[str, dict[str, str]]:
    """Split `name:axis=value,axis=value` into the method's name and the values asked for."""
    hub = PREFIX if ref.strip().startswith(PREFIX) else ""
    name, _, rest = ref.strip().removeprefix(hub).partition(":")
    name = hub + name
    chosen: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        axis, equals, value = part.partition("=")
        if not equals:
            raise BenchError(f"{ref!r}: {part!r} is not AXIS=VALUE", "write, for example, clip:backbone=B32")
        chosen[axis.strip()] = value.strip()
    return name.strip(), chosen


def resolve(card: MethodCard, chosen: Mapping[str, str]) -> Variant:
    """Fix every axis of a card.

    Raises:
        BenchError: an axis or value that the card does not have (with the near ones), or an axis left open that has no
            default.
    """
    for axis in chosen:
        if axis not in card.axes:
            raise UnknownName(f"axis of {card.name}", axis, card.axes)
    axes: dict[str, str] = {}
    for axis, values in card.axes.items():
        value = chosen.get(axis, card.default.get(axis, ""))
        if not value:
            raise BenchError(f"{card.name} needs a value for its axis {axis!r}", f"one of {', '.join(values)}")
        if value not in values:
            raise UnknownName(f"{axis} of {card.name}", value, values)
        axes[axis] = value
    named = {axis: value for axis, value in axes.items() if axis not in card.unnamed or value != card.default[axis]}
    titles = [str(card.axes[axis][value].get("title", value)) for axis, value in named.items()]
    title = f"{card.label} ({', '.join(titles)})" if titles else card.label
    return Variant(card.name, named, _with_values(card, axes), title)


def all_variants(card: MethodCard, chosen: Mapping[str, str], *, defaults: bool = True) -> list[Variant]:
    """Every combination of the values of the axes that `chosen` leaves open.

    Args:
        defaults: whether an axis with a default value is fixed at it.
    """
    open_axes = [axis for axis in card.axes if axis not in chosen and not (defaults and axis in card.default)]
    combinations: list[dict[str, str]] = [dict(chosen)]
    for axis in open_axes:
        combinations = [{**done, axis: value} for done in combinations for value in card.axes[axis]]
    return [resolve(card, combination) for combination in combinations]


def weight_files(card: MethodCard, chosen: Mapping[str, str], *, defaults: bool = True) -> list[str]:
    """The files, heads included, that the variants of `all_variants` need, each once."""
    files: dict[str, None] = {}
    for variant in all_variants(card, chosen, defaults=defaults):
        files.update(dict.fromkeys(variant.card.encoder.weights.values()))
        if variant.card.head is not None and variant.card.head.file:
            files[variant.card.head.file] = None
    return list(files)


def check_axes(card: MethodCard) -> None:
    """Merge every value once, so that a misspelt fact is found when the card is read and not when it is used."""
    for axis, value in card.default.items():
        if value not in card.axes.get(axis, {}):
            raise BenchError(f"default.{axis} = {value!r} is not a value of that axis", "name one of the axis's values")
    for axis in card.unnamed:
        if axis not in card.default:
            raise BenchError(f"unnamed: {axis!r} has no default value", "state one under [default], or leave it out")
    for axis, values in card.axes.items():
        for value, facts in values.items():
            _with_values(card.model_copy(update={"axes": {axis: {value: facts}}}), {axis: value})


def _with_values(card: MethodCard, axes: Mapping[str, str]) -> MethodCard:
    facts: dict[str, Any] = card.model_dump()
    for axis, value in axes.items():
        own = {key: fact for key, fact in card.axes[axis][value].items() if key != "title"}
        facts = merged(facts, own)
    try:
        result = type(card).model_validate(facts)
    except ValidationError as error:
        item = error.errors()[0]
        where = ".".join(str(part) for part in item["loc"])
        raise BenchError(
            f"axes {dict(axes)}: {where}: {item['msg']}", "correct the axis's facts in the card"
        ) from error
    result._path = card.path
    return result


def merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """`top` laid over `base`, tables merged key by key, everything else replaced."""
    result = dict(base)
    for key, value in top.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result
