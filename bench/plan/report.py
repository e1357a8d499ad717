"""A plan in words and as facts, for `--dry-run`."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.data.samples import Blob
from bench.plan.cost import Cost, size_in_words
from bench.plan.plan import Plan, VisionWork
from bench.plan.trainings import TrainingGroup

# Files whose sizes are asked for; of more, the others are taken to be like them.
LOOKED_AT = 4096


def as_facts(plan: Plan, cost: Cost | None = None) -> dict[str, Any]:
    """The plan as JSON-able facts: counts of inputs, multiply-accumulates, bytes to read, what is missing, the cost."""
    works = [_work_facts(work) for work in plan.vision.values()]
    known = [work["macs"] for work in works if work["macs"] is not None]
    return {
        "cells": len(plan.cells),
        "encodes": plan.encodes,
        "to_do": plan.to_do,
        "loop_over_cells": plan.naive,
        "macs": sum(known) if len(known) == len(works) else None,
        "bytes_to_read": sum(work["bytes_to_read"] for work in works),
        "texts_to_do": sum(len(work.missing) for work in plan.texts.values()),
        "vision": works,
        "trainings": [_training_facts(group) for group in plan.trainings],
        "expected": None if cost is None else cost.facts(),
        "datasets_absent": plan.absent,
        "weights_absent": plan.unweighted,
    }


def _work_facts(work: VisionWork) -> dict[str, Any]:
    estimated = sum(work.estimates.values())
    gmacs = work.network.facts.gmacs
    to_do = len(work.missing) + estimated
    return {
        "method": work.network.method,
        "weights": ", ".join(work.network.facts.weights.values()),
        "protocol": work.protocol.name,
        "dtype": work.network.dtype,
        "compiled": work.network.compiled,
        "distinct": work.distinct + estimated,
        "estimated": estimated,
        "stored": work.distinct - len(work.missing),
        "to_do": to_do,
        "macs": None if gmacs is None else round(gmacs * 1e9) * to_do,
        "bytes_to_read": _bytes_to_read(work),
        "datasets": {
            **{name: len(inputs.corpus.samples) for (name, _), inputs in work.inputs.items()},
            **work.estimates,
        },
    }


def _training_facts(group: TrainingGroup) -> dict[str, Any]:
    """A group's heads and the teacher's passes that they need: what is missing of each."""
    return {
        "dataset": group.dataset.name,
        "pictures": group.pictures,
        "heads": len(group.heads),
        "heads_to_do": len(group.lacking),
        "teachers": [
            {
                "method": passes.network.method,
                "pictures_through_the_tower": len(passes.queries_lacking)
                if group.corpus is not None
                else group.pictures,
                "passes": [
                    {
                        "instruction": told.text if told.noise is None else f"noise {told.noise}",
                        "epoch": None if draw is None else draw.epoch,
                        "to_do": missing,
                    }
                    for (told, draw), missing in passes.targets_lacking.items()
                ],
            }
            for passes in group.teacher_passes
        ],
    }


def _bytes_to_read(work: VisionWork) -> int:
    """Bytes of the files that hold what is missing: of all, or, where there are many, by some that are evenly spaced."""
    total = 0.0
    seen: set[Blob] = set()
    for inputs, numbers in work.missing.parts:
        positions = np.unique(inputs.samples_of(numbers))
        looked_at = positions[np.linspace(0, len(positions) - 1, min(LOOKED_AT, len(positions))).round().astype(int)]
        here = 0
        for position in looked_at.tolist():
            files = {ref.blob for ref in inputs.corpus.frames(position)} - seen
            here += sum(blob.length or _size(blob.path) for blob in files)
            seen |= files
        total += here * len(positions) / max(1, len(looked_at))
    return round(total)


def _size(path: Any) -> int:
    try:
        return int(path.stat().st_size)
    except OSError:
        return 0


def as_text(plan: Plan, cost: Cost | None = None) -> str:
    """The plan as a user reads it."""
    from tabulate import tabulate

    facts = as_facts(plan, cost)
    rows = [
        (
            work["method"],
            work["weights"],
            work["protocol"],
            f"{work['distinct']:,}",
            f"{work['stored']:,}",
            f"{work['to_do']:,}",
            "?" if work["macs"] is None else f"{2 * work['macs'] / 1e15:,.2f}",
        )
        for work in facts["vision"]
    ]
    headings = ("method", "weights", "protocol", "inputs", "stored", "to do", "PFLOP")
    lines = [
        tabulate(rows, headings, disable_numparse=True, colalign=("left",) * 3 + ("right",) * 4),
        "",
        f"{facts['cells']} cells need {facts['encodes']:,} encodes, each once; {facts['to_do']:,} are to do. "
        f"A loop over the cells would make {facts['loop_over_cells']:,}.",
        f"{facts['texts_to_do']:,} texts to encode; {size_in_words(facts['bytes_to_read'])} of files to decode.",
        *(cost.lines() if cost is not None else ()),
    ]
    for group in facts["trainings"]:
        lines.append(
            f"{group['heads']} heads are trained on {group['pictures']:,} pictures of {group['dataset']}; "
            f"{group['heads_to_do']} are to do."
        )
        for teacher in group["teachers"]:
            told = len({done["instruction"] for done in teacher["passes"]})
            to_do = sum(done["to_do"] > 0 for done in teacher["passes"])
            lines.append(
                f"{teacher['method']} as the teacher: {teacher['pictures_through_the_tower']:,} pictures through its tower, and "
                f"{len(teacher['passes'])} passes for {told} instructions, {to_do} of them to do."
            )
    if any(work["estimated"] for work in facts["vision"]):
        lines.append("Datasets that are not here are counted by their cards.")
    for title, missing in (("Datasets", plan.absent), ("Weights", plan.unweighted)):
        if missing:
            lines += ["", f"{title} that are not here:", *(f"- {text}" for text in dict.fromkeys(missing.values()))]
    return "\n".join(lines)
