"""What is audited: printed numbers, what each row is, and how many samples each test set has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.audit.findings import Place
from bench.cards.claims_schema import Claim
from bench.cards.table_schema import Row, TableCard
from bench.tables.grid import Emphasis


class Identity(NamedTuple):
    """What a row is, whatever its label: two rows with the same identity must print the same numbers.

    Attributes:
        kind: `method`, or `minus`, `mean`, `variance`, `best` of other rows.
        method: the card's name.
        axes: sorted (axis, value), without those at the card's default.
        prompts: the prompt set; empty is the card's own.
        parts: the rows it is computed from.
    """

    kind: str
    method: str = ""
    axes: tuple[tuple[str, str], ...] = ()
    prompts: str = ""
    protocol: str = ""
    parts: tuple[Identity, ...] = ()

    @property
    def label(self) -> str:
        """For a reader: `method axis=value, prompt set`."""
        if self.kind != "method":
            return f"{self.kind} of ({'; '.join(part.label for part in self.parts)})"
        axes = " ".join(f"{axis}={value}" for axis, value in self.axes)
        name = f"{self.method} {axes}".strip()
        return ", ".join(part for part in (name, self.prompts, self.protocol) if part)


class Value(NamedTuple):
    """One printed number.

    Attributes:
        text: as printed.
        std: deviation over seeds where it is known; None elsewhere.
    """

    table: str
    row: str
    dataset: str
    metric: str
    text: str
    emphasis: Emphasis = ""
    std: float | None = None

    @property
    def value(self) -> float:
        """The number."""
        return float(self.text)

    @property
    def decimals(self) -> int:
        """Digits behind the point."""
        return len(self.text.partition(".")[2])

    @property
    def unit(self) -> float:
        """The last printed digit: a printed number may be off by half of it."""
        return 10.0**-self.decimals

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.table, self.row, self.dataset, self.metric)


class CellId(NamedTuple):
    """A number's meaning: two prints of it must agree."""

    identity: Identity
    dataset: str
    metric: str


@dataclass(frozen=True)
class Counted:
    """What one source says of a test set's size.

    Attributes:
        source: who counted.
        folds: samples per class and fold; empty where only a total is known.
        total: samples in all folds.
    """

    source: str
    folds: tuple[tuple[int, ...], ...]
    total: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Samples a fold; empty where that is not known."""
        return tuple(sum(fold) for fold in self.folds)


@dataclass(frozen=True)
class TestSet:
    """A column's test set.

    Attributes:
        classes: how many classes it has.
        folds: how many folds its numbers are means over.
        counts: name of the source -> what it says; `evaluated` is believed where it is there.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    folds: int
    counts: Mapping[str, Counted]

    __test__ = False  # pytest would take the name for a test

    @property
    def believed(self) -> Counted | None:
        """Class counts to reckon with: the evaluated ones, else any that are known by class."""
        known = [self.counts["evaluated"]] if "evaluated" in self.counts else list(self.counts.values())
        return next((counted for counted in known if counted.folds), None)

    def sizes(self, counted: Counted) -> tuple[int, ...]:
        """Samples a fold; empty where only the total of several folds is known."""
        return counted.sizes or ((counted.total,) if self.folds == 1 else ())


@dataclass(frozen=True)
class AuditedTables:
    """A paper's (or a run's) tables with their numbers, and all that is known about rows and columns.

    Attributes:
        subject: what it is, in words.
        tables: name -> card.
        values: table -> (row, dataset, metric) -> number.
        identities: (table, row) -> what the row is.
        sets: dataset -> its test set.
        claims: what the text says of the numbers.
        marked: whether bold and underline were printed; a run's are ours and not tested.
        trained_on: method -> datasets that its weights have seen.
        seeds: (table, row, dataset) -> runs that a number is the mean of, where it is known.
    """

    subject: str
    tables: Mapping[str, TableCard]
    values: Mapping[str, Mapping[tuple[str, str, str], Value]]
    identities: Mapping[tuple[str, str], Identity]
    sets: Mapping[str, TestSet]
    claims: tuple[Claim, ...] = ()
    marked: bool = True
    trained_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seeds: Mapping[tuple[str, str, str], int] = field(default_factory=dict)

    def get(self, table: str, row: str, dataset: str, metric: str) -> Value | None:
        """One printed number, or None."""
        return self.values[table].get((row, dataset, metric))

    def prints(self) -> dict[CellId, list[Value]]:
        """Every number by its meaning, with each place it is printed in."""
        found: dict[CellId, list[Value]] = {}
        for table, values in self.values.items():
            for (row, dataset, metric), value in values.items():
                key = CellId(self.identities[table, row], dataset, metric)
                found.setdefault(key, []).append(value)
        return found

    def measured(self) -> dict[CellId, Value]:
        """The first print of every number that a method fills."""
        return {key: values[0] for key, values in self.prints().items() if key.identity.kind == "method"}

    def rows(self, table: str) -> Iterator[Row]:
        """The rows of a table that are computed from others."""
        yield from (row for row in self.tables[table].rows if row.sources)

    def where(self, identity: Identity) -> tuple[str, ...]:
        """The tables in which a row of this identity is printed."""
        names = [
            table for (table, row), found in self.identities.items() if found == identity and self._has(table, row)
        ]
        return tuple(dict.fromkeys(names))

    def title(self, dataset: str) -> str:
        """A column's heading."""
        return self.sets[dataset].title if dataset in self.sets else dataset

    def _has(self, table: str, row: str) -> bool:
        return any(key[0] == row for key in self.values[table])


def tables_named(names: tuple[str, ...]) -> str:
    """`Table 2` or `Tables 3 and B`."""
    if len(names) == 1:
        return f"Table {names[0]}"
    return f"Tables {', '.join(names[:-1])} and {names[-1]}"
