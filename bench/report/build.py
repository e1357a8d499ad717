"""Puts the page together: one data block, one script, one style sheet, and nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from importlib import resources
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from bench.cards.catalog import Catalog
from bench.errors import BenchError
from bench.records.manifest import ServedFacts
from bench.records.predictions import CellKey
from bench.records.record import Record
from bench.report.numbers import CellNumbers, SampleLists, Samples, cells_of
from bench.report.pictures import SampleName, Thumbnails, thumbnails
from bench.report.tables import tables_of
from bench.settings import Settings

RUN_FACTS = {"command", "revision", "versions", "machine", "device", "dtype", "miniature", "warnings", "marks"}
DATASET_FACTS = {"title", "root", "layout", "classes", "folds", "fingerprint", "missing"}

SCRIPTS = ("page.js", "statistics.js", "tables.js", "cell.js", "facts.js", "compare.js", "start.js")


class Page(NamedTuple):
    """A finished page.

    Attributes:
        html: the text of the file.
        reasons: dataset -> why it has no thumbnails, or misses some.
    """

    html: str
    reasons: dict[str, str]


def page(
    record: Record,
    catalog: Catalog,
    settings: Settings | None = None,
    *,
    shown: int = 6,
    progress: bool = False,
) -> Page:
    """A record as one HTML page that needs no other file and no network.

    Args:
        record: the run.
        catalog: cards that the record was made with; they tell how the datasets lie on disk.
        settings: where the datasets are of which thumbnails are put in; None leaves these out.
        shown: how many of the worst and of the best samples each cell shows.
        progress: whether a bar is shown while they are drawn.

    Raises:
        BenchError: the record has no predictions, or is broken.
    """
    lists = SampleLists()
    cells = list(cells_of(record, lists, shown))
    if not cells:
        raise BenchError(f"the record {record.path} has no predictions to show", "run it again")
    manifest = record.manifest
    drawn = Thumbnails({}, dict.fromkeys(record.classes, "the page was made without them"))
    if settings is not None:
        drawn = thumbnails(looked_at(cells, lists.lists), settings, catalog, progress=progress)
    facts = {
        "run": {
            "name": record.path.name,
            "began": _date(record),
            **manifest.model_dump(mode="json", include=RUN_FACTS),
        },
        "datasets": {
            name: facts.model_dump(mode="json", include=DATASET_FACTS) for name, facts in manifest.datasets.items()
        },
        "networks": [network.model_dump(mode="json") for network in manifest.networks],
        "methods": {name: facts.model_dump(mode="json") for name, facts in manifest.methods.items()},
        "prompts": {name: facts.model_dump(mode="json") for name, facts in manifest.prompts.items()},
        "samples": _samples(lists.lists, drawn),
        "pictures": list(drawn.pictures.values()),
        "reasons": drawn.reasons,
        "cells": [_provenance(record, cell.key) | cell.facts() for cell in cells],
        "tables": tables_of(
            record,
            catalog,
            {cell.key: cell.matrices for cell in cells},
            {cell.key: number for number, cell in enumerate(cells)},
        ),
    }
    return Page(_render(record.path.name, facts), drawn.reasons if settings is not None else {})


def looked_at(cells: Iterable[CellNumbers], lists: Sequence[Samples]) -> list[SampleName]:
    """The samples that any cell shows, each once."""
    found: dict[SampleName, None] = {}
    for cell in cells:
        samples = lists[cell.samples]
        for look in (*cell.worst, *cell.best):
            name = SampleName(samples.dataset, samples.fold_of(look.position), samples.ids[look.position])
            found[name] = None
    return list(found)


def _samples(lists: Sequence[Samples], drawn: Thumbnails) -> list[dict[str, Any]]:
    """The lists, each with the numbers of its pictures: position -> picture."""
    numbers = {name: number for number, name in enumerate(drawn.pictures)}
    facts = []
    for samples in lists:
        position = 0
        seen: dict[int, int] = {}
        for fold, count in samples.folds:
            for sample in samples.ids[position : position + count]:
                number = numbers.get(SampleName(samples.dataset, fold, sample))
                if number is not None:
                    seen[position] = number
                position += 1
        facts.append({**samples.facts(), "pictures": seen})
    return facts


def _provenance(record: Record, cell: CellKey) -> dict[str, Any]:
    """What the manifest says of a cell: its variant's name there, and the networks and prompts behind it."""
    variant = f"{cell.method}:{cell.variant}" if cell.variant else cell.method
    networks = [
        number
        for number, network in enumerate(record.manifest.networks)
        if ServedFacts(variant=variant, protocol=cell.protocol) in network.serves
    ]
    prompts = record.manifest.prompts
    own = f"{cell.method} {cell.prompt_set}"  # how a generator's question is filed
    sent = own if own in prompts else cell.prompt_set if cell.prompt_set in prompts else None
    return {"name": variant, "networks": networks, "prompts": sent}


def _date(record: Record) -> str:
    return record.manifest.began.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def embedded(facts: Mapping[str, Any]) -> Markup:
    """Facts as JSON that can stand inside a `<script>` element: it holds no `<`, `>` or `&`."""
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _render(name: str, facts: Mapping[str, Any]) -> str:
    folder = resources.files("bench.report")
    style, template = ((folder / file).read_text(encoding="utf-8") for file in ("page.css", "page.html"))
    script = "\n".join((folder / "script" / file).read_text(encoding="utf-8") for file in SCRIPTS)
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(template).render(
        name=name,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=embedded(facts),
    )


def _hash(text: str) -> str:
    """What a content security policy calls an inline text by, so that no other one is run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
