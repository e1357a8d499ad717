"""Text lists and tables: rows with their line numbers, columns by number or by heading, labels by code."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import DataError

Column = int | str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list.

    Attributes:
        file: the list.
        line: its line, from 1.
        cells: the fields, without surrounding blanks.
        heading: column names, where the list has them.
    """

    file: Path
    line: int
    cells: Sequence[str]
    heading: Sequence[str] = ()

    @property
    def where(self) -> str:
        """File and line, to open an error with."""
        return f"{self.file}, line {self.line}"

    def cell(self, column: Column, default: str | None = None) -> str:
        """One field, by its number from 0 or by its heading; `default`, where one is given, if the line is too short.

        Raises:
            DataError: the list has no such column, or the line is too short.
        """
        if isinstance(column, str) and column in self.heading:
            column = self.heading.index(column)
        elif isinstance(column, str) and whole(column) is None:
            raise DataError(f"{self.file}: no column is called {column!r}", f"its columns: {', '.join(self.heading)}")
        if int(column) >= len(self.cells):
            if default is not None:
                return default
            raise DataError(
                f"{self.where}: expected at least {int(column) + 1} fields, found {len(self.cells)}: {list(self.cells)}"
            )
        return self.cells[int(column)]


def whole(text: str) -> int | None:
    """A whole number written in plain digits, or None; so many digits that no count has them are none either."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def text_lines(file: Path, encoding: str = "utf-8-sig") -> list[str]:
    """All lines of a list, without their ends; the last may or may not end in a newline.

    Raises:
        DataError: the file cannot be read, or is not in that encoding.
    """
    try:
        return file.read_bytes().decode(encoding).splitlines()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not {encoding}: byte {error.start} is {error.object[error.start]:#04x}") from None


def rows(file: Path, separator: str = "whitespace", header: bool = False, encoding: str = "utf-8-sig") -> Iterator[Row]:
    """Rows of a list, empty lines left out.

    Args:
        file: the list.
        separator: one character, or `whitespace` for any run of blanks. With a comma, fields may be quoted.
        header: whether the first line names the columns.
        encoding: as Python names it.

    Raises:
        DataError: the list cannot be read, or holds no row at all.
    """
    lines = text_lines(file, encoding)
    if separator == "whitespace":
        split = ((number, line.split()) for number, line in enumerate(lines, 1))
    else:
        # Captions, which only tab separated lists have, may hold a lone quotation mark.
        plain = separator != ","
        table = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL)
        split = ((table.line_num, [cell.strip() for cell in cells]) for cells in table)
    heading: Sequence[str] = ()
    found = False
    try:
        for number, cells in split:
            if not any(cells):
                continue
            if header and not heading:
                heading = cells
                continue
            found = True
            yield Row(file, number, cells, heading)
    except csv.Error as error:
        raise DataError(f"{file}: not a table: {error}") from None
    if not found:
        raise DataError(f"{file} lists nothing", "fetch the list again")


class Where:
    """Keeps the rows whose columns match regular expressions.

    Args:
        patterns: column -> pattern, searched in the field.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = [(column, re.compile(pattern)) for column, pattern in patterns.items()]

    def __call__(self, row: Row) -> bool:
        """Whether every column matches."""
        return all(pattern.search(row.cell(column)) for column, pattern in self._patterns)


class Labels:
    """Turns a list's own label codes into indices of the card's classes.

    Args:
        classes: class words; a label is an index into them.
        codes: code -> class word. The class words themselves are always codes. Case does not matter.
        skip: codes whose samples are left out on purpose.

    Raises:
        DataError: a code means a word that is not a class.
    """

    def __init__(self, classes: Sequence[str], codes: Mapping[str, str], skip: Sequence[str] = ()) -> None:
        self._known = {word.casefold(): index for index, word in enumerate(classes)}
        for code, word in codes.items():
            if word not in classes:
                raise DataError(f"the layout's code {code!r} means {word!r}, which is none of {list(classes)}")
            self._known[str(code).casefold()] = list(classes).index(word)
        self._skip = {str(code).casefold() for code in skip}

    def index(self, code: str, where: str) -> int | None:
        """The class index of a code, or None for one that is left out on purpose.

        Raises:
            DataError: the code means no class.
        """
        key = code.casefold()
        if key in self._skip:
            return None
        if key not in self._known:
            raise DataError(
                f"{where}: the label {code!r} is outside the classes",
                f"known labels: {', '.join(self._known)}" + (f"; left out: {', '.join(self._skip)}" * bool(self._skip)),
            )
        return self._known[key]
