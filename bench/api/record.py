"""A record as a notebook wants it: tables that show themselves, scores and predictions as data frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cards.catalog import Catalog
from bench.errors import BenchError, UnknownName
from bench.gate.verify import Findings, verify_record
from bench.records import record as records
from bench.records.manifest import Manifest
from bench.records.predictions import CellKey, FoldPredictions
from bench.records.scores import Matrices, RowKey, fold_scores, matrices_of
from bench.store.files import write_whole
from bench.tables.csv import csv
from bench.tables.grid import Grid
from bench.tables.html import html
from bench.tables.latex import document, latex
from bench.tables.markdown import markdown
from bench.tables.pairs import meant_row, row_differences
from bench.tables.record import grids_of, table_of
from bench.tables.terminal import terminal

if TYPE_CHECKING:
    import pandas as pd

    from bench.settings import Settings


@dataclass(frozen=True)
class Table:
    """A table of a record; a notebook shows it as HTML."""

    grid: Grid

    def __str__(self) -> str:
        """As the terminal shows it, without colour."""
        return terminal(self.grid).plain

    def _repr_html_(self) -> str:
        return html(self.grid)

    def to_markdown(self) -> str:
        """GitHub's Markdown."""
        return markdown(self.grid)

    def to_latex(self, *, standalone: bool = False) -> str:
        """LaTeX for booktabs; `standalone` is a whole document."""
        return document(self.grid) if standalone else latex(self.grid)

    def to_csv(self) -> str:
        """CSV with unrounded numbers."""
        return csv(self.grid)

    def to_frame(self) -> pd.DataFrame:
        """A data frame with unrounded numbers: what `to_csv` writes."""
        import io

        import pandas as pd

        return pd.read_csv(io.StringIO(self.to_csv()))


class Record:
    """What a run left behind: a folder with its manifest and every prediction. Every number is computed from these.

    Args:
        inner: the folder, opened.
        catalog: cards that the record's own copies do not hold.
        settings: where datasets are, for the pictures of `report`.
    """

    def __init__(self, inner: records.Record, catalog: Catalog, settings: Settings | None = None) -> None:
        self._inner, self._catalog, self._settings = inner, catalog, settings

    def __repr__(self) -> str:
        return f"Record({str(self.path)!r}, tables {', '.join(self.tables)})"

    @property
    def path(self) -> Path:
        """The folder."""
        return self._inner.path

    @property
    def manifest(self) -> Manifest:
        """What made the numbers: versions, hashes, prompts, protocols, the device."""
        return self._inner.manifest

    @property
    def tables(self) -> list[str]:
        """The names that `table` takes."""
        return list(self.manifest.tables)

    @property
    def files(self) -> list[Path]:
        """What follows from the predictions, written beside them: the metrics and the tables."""
        return [self.path / name for name in self._inner.derived()]

    @cached_property
    def _matrices(self) -> Matrices:
        return matrices_of(self._inner)

    def table(self, ref: str = "", *, show: Sequence[str] = (), significance: bool = False) -> Table:
        """A table, laid out anew from the predictions.

        Args:
            ref: its name, as in `tables`; may be left out where there is one.
            show: lines under each row: `std`, `interval`, `paper`, `difference`; as the run asked for by default.
            significance: whether only those numbers are bold that are better than the next beyond chance.

        Raises:
            BenchError: several tables and no name, or none of that name.
        """
        if not ref and len(self.tables) != 1:
            raise BenchError(f"{self.path} has {len(self.tables)} tables", f"name one: {', '.join(self.tables)}")
        details = show or self.manifest.details
        chosen = [ref or self.tables[0]]
        grids = grids_of(
            self._inner, self._catalog, chosen, details, significance=significance, matrices=self._matrices
        )
        return Table(grids[0])

    @property
    def scores(self) -> pd.DataFrame:
        """UAR and WAR in percent: a line for each cell and fold, and one for each cell's mean (`fold` is `mean`)."""
        import pandas as pd

        from bench.metrics.accuracy import summarise

        rows = []
        for cell, folds in self._matrices.items():
            found = fold_scores(folds)
            mean = summarise(found)
            lines = [(fold.fold, fold.uar, fold.war, fold.n) for fold in found]
            lines.append(("mean", mean.uar, mean.war, sum(fold.n for fold in found)))
            rows += [(*cell, *line) for line in lines]
        return pd.DataFrame(rows, columns=[*CellKey._fields, "fold", "uar", "war", "n"])

    def predictions(self, *, method: str = "", dataset: str = "") -> pd.DataFrame:
        """A line for each sample and cell: what it is (`label`), what was predicted, by name; with scores a column for each class.

        Args:
            method: only those of this method.
            dataset: only those on this dataset; the columns of scores are its classes.
        """
        import pandas as pd

        parts = []
        for part in self._parts(method, dataset):
            names = [*self._inner.classes[part.cell.dataset], None]
            frame = pd.DataFrame({**part.cell._asdict(), "fold": part.fold, "sample": list(part.samples)})
            frame["label"] = [names[at] for at in part.labels.tolist()]
            frame["prediction"] = [names[at] for at in part.predictions.tolist()]
            if part.answers is not None:
                frame["answer"] = list(part.answers)
            if part.scores is not None:
                for at, name in enumerate(names[:-1]):
                    frame[f"score {name}"] = part.scores[:, at]
            parts.append(frame)
        if not parts:
            raise BenchError(
                f"{self.path} has no predictions of {method or 'any method'} on {dataset or 'any dataset'}"
            )
        return pd.concat(parts, ignore_index=True)

    def _parts(self, method: str, dataset: str) -> Iterator[FoldPredictions]:
        if dataset and dataset not in self._inner.classes:
            raise UnknownName("dataset of the record", dataset, self._inner.classes)
        for part in self._inner.predictions():
            if method in ("", part.cell.method) and dataset in ("", part.cell.dataset):
                yield part

    def confusion(self, row: str, dataset: str, *, ref: str = "") -> pd.DataFrame:
        """The confusion matrix of a row, over all folds and seeds: lines are labels, columns predictions; the last is `none`.

        Args:
            row: by name or as the table labels it.
            dataset: one of its columns.
            ref: the table that the row is of; the first that has it by default.

        Raises:
            BenchError: the record has no such row, or nothing of it on that dataset.
        """
        import pandas as pd

        key = self._row(row, ref)
        found = [folds for cell, folds in self._matrices.items() if (cell[:4], cell.dataset) == (key, dataset)]
        if not found:
            raise BenchError(
                f"{self.path}: {row!r} was not run on {dataset!r}", f"datasets: {', '.join(self._inner.classes)}"
            )
        names = self._inner.classes[dataset]
        total = sum(matrix for folds in found for matrix in folds.values())
        return pd.DataFrame(total, index=names, columns=[*names, "none"])

    def _row(self, name: str, ref: str) -> RowKey:
        known: dict[str, None] = {}
        for each in [ref] if ref else self.tables:
            card, rows = table_of(self._inner, self._catalog, each)
            meant = meant_row(card, rows, name)
            if len(meant) == 1:
                return rows[meant[0]]
            known.update(dict.fromkeys(rows))
        raise UnknownName("row", name, known)

    def compare(self, first: str, second: str, *, ref: str = "") -> pd.DataFrame:
        """The first row minus the second, on every dataset that both have; see `bench.tables.pairs.row_differences`.

        Raises:
            BenchError: the record has no such rows, or they share no dataset.
        """
        import pandas as pd

        return pd.DataFrame(row_differences(self._inner, (first, second), self._catalog, ref))

    def verify(self) -> Findings:
        """Recompute every number of the folder's files from the predictions: how many there are, and which are wrong."""
        return verify_record(self._inner, self._catalog)

    def report(self, to: str | Path = "", *, shown: int = 6, pictures: bool = True) -> Path:
        """Write the record as one HTML page that needs no other file, and give its path.

        Args:
            to: the file; `report.html` in the record's folder by default.
            shown: how many of the worst and of the best samples each cell shows.
            pictures: whether thumbnails of them are put in; mind the dataset's licence before the page is passed on.
        """
        from bench.report.build import page

        made = page(self._inner, self._catalog, self._settings if pictures else None, shown=shown)
        path = Path(to) if to else self.path / "report.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, made.html)
        return path
