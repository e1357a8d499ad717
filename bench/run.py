"""A run from request to record: plan, check the data, fill, score, write; what `bench run` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import records
from bench.cards.schema import DatasetCard
from bench.cards.table_schema import TableCard
from bench.cards.variant import Variant
from bench.cells import Choices, Source, distinct_cells, sources
from bench.data.corpus import Corpus
from bench.data.datasets import check_counts
from bench.data.samples import Split
from bench.engine import Executor, Lost, fill, pixel_hashes, unreadable
from bench.errors import BenchError, DataError
from bench.faces.manifest import crops_facts, crops_note
from bench.plan import Plan
from bench.recipes import vision_recipe
from bench.records import Record
from bench.scoring import Scorer
from bench.tower import Machine
from bench.workbench import Workbench

SHOWN = 10
MINIATURE = "the miniature: drawn faces and tiny networks; the numbers mean nothing about the real ones"


@dataclass(frozen=True)
class Allowances:
    """What the user lets pass; each is marked in the table.

    Attributes:
        missing: unreadable samples a dataset may have.
        counts: whether class counts may differ from the card's.
    """

    missing: int = 0
    counts: bool = False


@dataclass(frozen=True)
class Mark:
    """A note that a table must print: on every cell, on a dataset's cells, or on one method's cells of a dataset."""

    note: str
    dataset: str = ""
    method: str = ""


def run(
    bench: Workbench,
    tables: Mapping[str, TableCard],
    choices: Choices,
    machine: Machine,
    allow: Allowances,
    folder: Path,
    command: Sequence[str],
    say: Callable[[str], None] = lambda line: None,
    details: Sequence[str] = (),
    executor: Executor = fill,
) -> Record:
    """Fill tables and write the record.

    Args:
        tables: reference -> the table with the rows and columns that were asked for.
        folder: where the record goes; it must not exist.
        command: kept in the manifest.
        say: told in a line what was done.
        details: lines that the tables show under each row; kept in the manifest.
        executor: carries the plan out.

    Raises:
        BenchError: see `bench.errors`; what has been computed by then is in the store.
    """
    begun = time.time()
    rows = {ref: sources(table, bench.catalog, choices) for ref, table in tables.items()}
    plan = bench.plan(distinct_cells(tables, rows, bench.catalog), tolerant=True)
    check_complete(plan)
    marks = check_data(plan, bench, allow)
    outcome = executor(plan, bench.store, machine)
    if any(course.lacking for course in plan.courses):
        from bench.training import carry_out

        carry_out(plan.courses, outcome.failures, bench, machine, say)
    lost = unreadable(plan, outcome.failures)
    marks += check_missing(lost, allow)
    for method, count in sorted(outcome.encoded.items()):
        say(f"{method}: {count} inputs went through the tower")
    if not outcome.encoded:
        say("nothing to encode: every embedding is in the store")
    marks += _standing_marks(plan, bench)
    predictions = Scorer(plan, bench.store, bench.side, bench.head, lost)
    manifest = {
        "command": list(command),
        "began": begun,
        "choices": choices.__dict__,
        "tables": {ref: table_facts(tables[ref], rows[ref]) for ref in tables},
        "details": list(details),
        "miniature": bench.settings.miniature,
        "machine_used": machine.__dict__,
        "dtype": bench.dtype,
        **records.environment(),
        "datasets": {corpus.card.name: dataset_facts(corpus, lost) for corpus in plan.corpora.values()},
        "networks": network_facts(plan, bench),
        "methods": method_facts(plan, bench),
        "courses": course_facts(plan),
        "prompts": prompt_facts(plan),
        "pixels": pixel_hashes(plan, machine),
        "encoded": outcome.encoded,
        "seconds_in_towers": round(outcome.seconds, 3),
        "marks": [mark.__dict__ for mark in marks],
        "warnings": bench.warnings,
    }
    return records.write(folder, manifest, predictions)


def check_complete(plan: Plan) -> None:
    """Stop where datasets or weights are not here, naming every one of them.

    Raises:
        BenchError: something is not here: where it was looked for and how to get it.
    """
    if not plan.absent and not plan.unweighted:
        return
    listed = [f"- {text}" for text in dict.fromkeys([*plan.absent.values(), *plan.unweighted.values()])]
    asked = {cell.dataset.name for cell in plan.cells}
    here = sorted(asked - set(plan.absent))
    part = f"; or fill only what is here with --datasets {','.join(here)}" if here and not asked <= set(here) else ""
    raise BenchError(
        "not everything that this needs is here:\n" + "\n".join(listed), f"get what is missing, as said for each{part}"
    )


def check_data(plan: Plan, bench: Workbench, allow: Allowances) -> list[Mark]:
    """Compare class counts with the cards'.

    Raises:
        DataError: they differ and the user has not allowed it.
    """
    marks = []
    for card, corpus in {corpus.card.name: (corpus.card, corpus) for corpus in plan.corpora.values()}.values():
        if bench.limit:
            marks.append(Mark(f"at most {bench.limit} samples a fold of {card.label}", dataset=card.name))
            continue
        differences = count_differences(card, corpus)
        if differences and not allow.counts:
            raise DataError(
                f"{card.label} at {corpus.root} does not have the samples that its card states:\n  "
                + "\n  ".join(differences[:SHOWN])
                + (f"\n  and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""),
                "check that the right list and folder are used (bench doctor), or go on with --allow-counts",
            )
        if differences:
            marks.append(Mark(f"class counts of {card.label} differ from the card's", dataset=card.name))
    return marks


def count_differences(card: DatasetCard, corpus: Corpus) -> list[str]:
    """Where the class counts differ from the card's, in words."""
    lines = []
    for fold in corpus.folds:
        split = Split(card.name, fold.name, corpus.layout, corpus.samples[fold.start : fold.stop])
        for difference in check_counts(card, split):
            found = f"{difference.found} samples, expected {difference.expected}"
            lines.append(f"fold {difference.fold}, {difference.name}: {found}")
    return lines


def check_missing(lost: Lost, allow: Allowances) -> list[Mark]:
    """Stop at unreadable samples, or mark the cells that go on without them.

    Raises:
        DataError: a dataset has more of them than allowed; lists them.
    """
    marks = []
    for name, samples in lost.items():
        if len(samples) > allow.missing:
            listed = [f"{sample.sample}: {sample.reason}" for sample in samples.values()]
            raise DataError(
                f"{len(samples)} samples of {name} could not be read:\n  "
                + "\n  ".join(listed[:SHOWN])
                + (f"\n  and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""),
                f"put the files right, or go on without them with --allow-missing {len(samples)}",
            )
        marks.append(Mark(f"{len(samples)} samples of {name} could not be read and are left out", dataset=name))
    return marks


def _standing_marks(plan: Plan, bench: Workbench) -> list[Mark]:
    marks = [Mark(MINIATURE)]
    marks = marks if bench.settings.miniature else []
    for corpus in {corpus.card.name: corpus for corpus in plan.corpora.values()}.values():
        if note := crops_note(corpus.root, corpus.card.label):
            marks.append(Mark(note, dataset=corpus.card.name))
    seen = set()
    for cell in plan.cells:
        card = cell.source.variant.card
        if cell.dataset.name in card.trained_on and (card.name, cell.dataset.name) not in seen:
            seen.add((card.name, cell.dataset.name))
            marks.append(Mark(f"{card.label} was trained on {cell.dataset.label}", cell.dataset.name, card.name))
    return marks


def table_facts(table: TableCard, rows: Mapping[str, Source]) -> dict[str, Any]:
    """The table's card as it was run, and the cells its rows are filled from."""
    return {
        "card": table.model_dump(mode="json"),
        "path": str(table.path),
        "rows": {
            row: {
                "method": source.variant.method,
                "variant": source.variant.key,
                "prompt_set": source.prompt_set,
                "protocol": source.protocol.name,
            }
            for row, source in rows.items()
        },
    }


def dataset_facts(corpus: Corpus, lost: Lost) -> dict[str, Any]:
    """What a dataset was in this run."""
    card = corpus.card
    return {
        "title": card.label,
        "root": str(corpus.root),
        "layout": corpus.layout,
        "classes": list(card.classes),
        "folds": {fold.name: fold.stop - fold.start for fold in corpus.folds},
        "fingerprint": corpus.fingerprint,
        "missing": {sample.sample: sample.reason for sample in lost.get(card.name, {}).values()},
        **crops_facts(corpus.root),
    }


def network_facts(plan: Plan, bench: Workbench) -> list[dict[str, Any]]:
    """What every network was, which variants it served under which protocol, and the pixels that it saw."""
    served: dict[str, set[tuple[str, str]]] = {}
    for source in (cell.source for cell in plan.cells):
        key = vision_recipe(bench.side(source.variant, "image"), source).key
        served.setdefault(key, set()).add((str(source.variant), source.protocol.name))
    return [
        {
            "method": work.network.method,
            "serves": [{"variant": variant, "protocol": protocol} for variant, protocol in sorted(served[key])],
            **work.network.identity,
            "protocol": work.protocol.model_dump(mode="json"),
            "size": work.network.facts.size,
            "files": {role: str(path) for role, path in work.network.weights.items()},
            "shelf": f"{work.recipe.step}/{work.recipe.key}",
        }
        for key, work in plan.vision.items()
        if key in served
    ]


def method_facts(plan: Plan, bench: Workbench) -> dict[str, Any]:
    """Every variant's title, card and head."""
    facts: dict[str, Any] = {}
    for cell in plan.cells:
        variant = cell.source.variant
        if str(variant) not in facts:
            facts[str(variant)] = {
                "title": variant.title,
                "card": str(variant.card.path),
                "head": _head_facts(variant, cell.source.seeds, bench),
            }
    return facts


def _head_facts(variant: Variant, seeds: Sequence[int | None], bench: Workbench) -> dict[str, Any] | None:
    """A variant's head files and their hashes, and what stands on the two sides."""
    head = variant.card.head
    if head is None:
        return None
    files = [bench.head_file(variant, seed) for seed in seeds] if head.projects else []
    return {
        "image": head.image,
        "text": head.text,
        "files": [
            {"seed": seed, "file": str(file), "hash": bench.weight_hash(file)}
            for seed, file in zip(seeds, files, strict=False)
        ],
    }


def course_facts(plan: Plan) -> list[dict[str, Any]]:
    """What heads were trained on: the pictures and, for every variant, its recipe as it was followed."""
    return [
        {
            "dataset": course.dataset.name,
            "root": str(course.corpus.root),
            "pictures": course.pictures,
            "fingerprint": course.corpus.fingerprint,
            "recipes": {str(lesson.variant): lesson.recipe.model_dump(mode="json") for lesson in course.lessons},
        }
        for course in plan.courses
        if course.corpus is not None
    ]


def prompt_facts(plan: Plan) -> dict[str, Any]:
    """Every prompt set as it was sent, for each dataset's classes; a generator's questions likewise."""
    facts: dict[str, Any] = {}
    for cell in plan.cells:
        source = cell.source
        question = source.variant.card.question
        if question is not None:
            entry = facts.setdefault(f"{source.variant.method} {source.prompt_set}", {"combine": "", "texts": {}})
            entry["texts"][cell.dataset.name] = [question.about(cell.dataset.classes)]
            continue
        entry = facts.setdefault(source.prompt_set, {"combine": source.combine, "texts": {}})
        for name, row in zip(cell.dataset.classes, source.texts(cell.dataset.classes), strict=True):
            entry["texts"].setdefault(name, row)
    return facts
