"""`bench compare RECORD --rows A B`: two rows of one record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.cli import options

HEADINGS = (
    "dataset",
    "metric",
    "first",
    "second",
    "difference",
    "95 % interval",
    "p",
    "p (Holm)",
    "only first",
    "only second",
)


def compare_two(path: Path, rows: tuple[str, str], ref: str, cards: Sequence[Path], *, as_json: bool) -> str:
    """The comparison as a table, or as JSON.

    Raises:
        BenchError: the record has no such rows, or they share no dataset.
    """
    from bench.records.record import open_record
    from bench.tables.pairs import row_differences

    facts = row_differences(open_record(path), rows, options.open_catalog(cards), ref)
    if as_json:
        return json.dumps({"first": rows[0], "second": rows[1], "cells": facts}, indent=1, ensure_ascii=False)
    return _text(rows, facts)


def _text(rows: tuple[str, str], facts: Sequence[dict[str, Any]]) -> str:
    from tabulate import tabulate

    lines = [
        (
            _name(fact),
            fact["metric"].upper(),
            f"{fact['first']:.2f}",
            f"{fact['second']:.2f}",
            f"{fact['difference']:+.2f}",
            f"{fact['interval'][0]:+.2f} to {fact['interval'][1]:+.2f}",
            _p(fact["p_value"]),
            _p(fact["p_holm"]),
            str(fact["only_first"]),
            str(fact["only_second"]),
        )
        for fact in facts
    ]
    drawn = tabulate(lines, HEADINGS, disable_numparse=True, colalign=("left", "left", *("right",) * 8))
    better = sum(fact["p_holm"] < 0.05 and fact["difference"] > 0 for fact in facts)
    worse = sum(fact["p_holm"] < 0.05 and fact["difference"] < 0 for fact in facts)
    return (
        f"first: {rows[0]}\nsecond: {rows[1]}\n\n{drawn}\n\n"
        f"the first is better in {better} and worse in {worse} of {len(facts)} cells, p < 0.05 after Holm's correction"
    )


def _name(fact: dict[str, Any]) -> str:
    seeds = [str(seed) for seed in dict.fromkeys(fact["seeds"]) if seed is not None]
    return f"{fact['dataset']} (seed {'/'.join(seeds)})" if seeds else str(fact["dataset"])


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
