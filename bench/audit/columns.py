"""How many samples a column was measured on: what its own numbers say.

Single runs on n samples leave a trace: every WAR is k/n. Of the sizes that somebody states, and of all sizes there are, the
one that more numbers fit than chance explains is the one that was used. Numbers that are means of several runs fit
nothing in particular, and only weaken the trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.audit.attainable import Floats, attainable, share, single_sizes
from bench.audit.attainable import fits as fit
from bench.audit.audited_tables import AuditedTables, CellId, TestSet, Value

CERTAIN = 1e-4  # chance below which a size is taken as proved
SMALLEST = 20


class Fit(NamedTuple):
    """How a column's numbers fit a size.

    Attributes:
        source: who states it.
        samples: the size.
        fits: how many numbers fit.
        cells: of how many.
        chance: that so many numbers fit by accident.
    """

    source: str
    samples: int
    fits: int
    cells: int
    chance: float


@dataclass(frozen=True)
class Column:
    """What is known of a column's size.

    Attributes:
        dataset: its test set.
        unit: the last printed digit, in percent.
        samples: a fold; empty where nothing is known.
        proved: whether the numbers themselves prove it.
        attainable_values: what a single run can give; None where it can give anything.
        share: the chance that any number fits.
        stated: how each stated size fits; empty where no size can be told from another.
        found: the size that the numbers alone point to, of all there are; None where they point to none.
    """

    dataset: TestSet
    unit: float
    samples: tuple[int, ...]
    proved: bool
    attainable_values: Floats | None
    share: float
    stated: tuple[Fit, ...] = ()
    found: Fit | None = None


def columns(audited: AuditedTables) -> dict[str, Column]:
    """Dataset -> its column, over all tables."""
    measured = audited.measured()
    numbers: dict[str, list[Value]] = {}
    seen: set[tuple[str, str, str]] = set()
    for key, value in measured.items():
        other = measured.get(key._replace(metric="uar"))
        pair = (key.dataset, value.text, other.text if other else "")
        # The same pair again is taken for the same run under another name, which proves nothing more.
        if key.metric == "war" and (other is None or pair not in seen):
            seen.add(pair)
            numbers.setdefault(key.dataset, []).append(value)
    # A set that no card knows has one fold as far as anybody can tell.
    return {
        name: _column(audited.sets.get(name, TestSet(name, name, (), 1, {})), values)
        for name, values in numbers.items()
    }


def _column(dataset: TestSet, values: Sequence[Value]) -> Column:
    unit = max(value.unit for value in values)
    texts = [value.value for value in values]
    believed = dataset.believed
    believed_sizes = dataset.sizes(believed) if believed else ()
    if dataset.folds > 1:
        return _with(dataset, unit, believed_sizes, proved=False)
    stated = _stated(dataset, texts, unit)
    found = _searched(texts, unit)
    best = min(stated, key=lambda one: one.chance, default=None)
    doubtful = found is not None and best is not None and found.chance < CERTAIN * best.chance
    if best is not None and best.chance < CERTAIN and not doubtful:
        return _with(dataset, unit, (best.samples,), proved=True, stated=stated, found=found)
    if found is not None and (best is None or best.samples != found.samples):
        return _with(dataset, unit, (found.samples,), proved=True, stated=stated, found=found)
    return _with(dataset, unit, believed_sizes, proved=False, stated=stated)


def _with(
    dataset: TestSet,
    unit: float,
    samples: tuple[int, ...],
    *,
    proved: bool,
    stated: tuple[Fit, ...] = (),
    found: Fit | None = None,
) -> Column:
    attainable_values = attainable(samples, unit) if samples else None
    return Column(
        dataset,
        unit,
        samples,
        proved,
        attainable_values,
        1.0 if attainable_values is None else share(attainable_values, unit),
        stated,
        found,
    )


def _stated(dataset: TestSet, values: Sequence[float], unit: float) -> tuple[Fit, ...]:
    from scipy.special import bdtrc

    fitted = []
    totals = [counted.total for counted in dataset.counts.values()]
    for total in dict.fromkeys(totals):
        source = ", ".join(name for name, counted in dataset.counts.items() if counted.total == total)
        attainable_values = attainable((total,), unit)
        if attainable_values is None:
            continue
        count = int(np.sum(fit(np.array(values), unit, attainable_values)))
        chance = float(bdtrc(count - 1, len(values), share(attainable_values, unit)))
        fitted.append(Fit(source, total, count, len(values), chance))
    return tuple(fitted)


def _searched(values: Sequence[float], unit: float) -> Fit | None:
    """The size, of all that leave gaps, which the numbers fit beyond chance even so many sizes tried."""
    from scipy.special import bdtrc

    sizes = np.arange(SMALLEST, round(100.0 / unit))
    counts = single_sizes(values, unit, sizes)
    chances = bdtrc(counts - 1, len(values), np.minimum(1.0, (sizes + 1) * unit / 100.0))
    best = int(np.argmin(chances))
    chance = float(chances[best]) * len(sizes)
    return (
        Fit("the numbers alone", int(sizes[best]), int(counts[best]), len(values), chance) if chance < CERTAIN else None
    )


def cells_of(audited: AuditedTables, columns: dict[str, Column]) -> dict[CellId, Value]:
    """WAR numbers that can be tested: those in columns whose attainable values have gaps."""
    return {
        key: value
        for key, value in audited.measured().items()
        if key.metric == "war"
        and columns[key.dataset].attainable_values is not None
        and value.unit == columns[key.dataset].unit
    }
