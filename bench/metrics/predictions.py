"""A predictions file that anyone made, read and checked: CSV (also compressed) or Parquet.

Columns: `label` and `prediction` (class names or indices; -1 is an answer that names no class); optionally `dataset` (a
file without it is of one set), `fold` ("1" where it is missing), `method`, `variant`, `prompt_set`, `protocol`, `seed`,
`sample` (or `sample_id`) and `count` (that many equal rows). Other columns are not read. A CSV is separated by commas,
semicolons or tabs, as its heading is.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import BenchError

REQUIRED = ("label", "prediction")
RUN = ("method", "variant", "prompt_set", "protocol", "seed")
OPTIONAL = ("dataset", "fold", *RUN, "count")
SEPARATORS = (",", ";", "\t")
SAMPLE = ("sample", "sample_id")

Token = int | str
Objects = npt.NDArray[np.object_]

MOST_DIGITS = 15

_MISSING = ("", "nan", "NaN", "<NA>")
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_predictions(path: Path, dataset: str = "", answers: str = "") -> pd.DataFrame:
    """Read a predictions file as `tidy` returns it; the index tells the line (CSV) or row (Parquet) in the file.

    Args:
        path: the file.
        dataset: the set of a file without such a column; the file's own name by default.
        answers: a column of texts that stands in the place of `prediction`, kept as `answer` for a parser.

    Raises:
        BenchError: the file is missing, empty or unreadable, or its content is not as described above; names the file
            and the line.
    """
    try:
        with path.open("rb") as file:
            parquet = file.read(4) == b"PAR1"
    except FileNotFoundError as error:
        raise BenchError(f"{path} does not exist", "name a CSV or Parquet file of predictions") from error
    except OSError as error:
        raise BenchError(f"{path} cannot be opened: {error.strerror}", "name a readable file of predictions") from error
    try:
        frame = _read_parquet(path, answers) if parquet else _read_csv(path)
    except pd.errors.EmptyDataError as error:
        raise BenchError(f"{path} is empty", f"its columns are {', '.join(REQUIRED)} and more") from error
    except (OSError, EOFError, ValueError, pa.ArrowException, pd.errors.ParserError, Warning) as error:
        kind = "Parquet" if parquet else "CSV in UTF-8"
        raise BenchError(f"{path} is not readable as {kind}: {error}", "write the file again") from error
    _check_columns([str(name) for name in frame.columns], str(path), answers)
    if "dataset" not in frame:
        frame["dataset"] = dataset or path.stem
    elif dataset:
        raise BenchError(f"{path} has a column 'dataset' already", "leave --dataset out")
    return tidy(frame, str(path), answers)


def tidy(frame: pd.DataFrame, where: str = "the predictions", answers: str = "") -> pd.DataFrame:
    """Check predictions and give every column one form.

    Args:
        frame: with the columns described above; its index is quoted in errors.
        where: what to call the frame in errors.
        answers: as for `read_predictions`.

    Returns:
        `dataset` and `fold` as text; `method`, `variant`, `prompt_set`, `protocol` as text and `seed` as an integer
        (text where it is none), None where empty or absent; `label` and `prediction` as integers or text; `count` as
        int64; `sample` as text where there is such a column.

    Raises:
        BenchError: a column is missing or misspelt, there are no rows, or a value is missing or of the wrong kind.
    """
    _check_columns([str(name) for name in frame.columns], where, answers)
    if frame.empty:
        raise BenchError(f"{where} has no rows", "one row per sample, or a count column")
    columns: dict[str, Any] = {}
    for name in ("dataset", "fold"):
        columns[name] = _map(frame[name], _text, where) if name in frame else {"fold": "1", "dataset": "the file"}[name]
        if name in frame:
            _no_gap(columns[name], frame.index, name, where)
    for name in RUN:
        columns[name] = _map(frame[name], _seed if name == "seed" else _text, where) if name in frame else None
    if answers:
        columns["answer"] = pd.Series([str(text) for text in frame[answers]], index=frame.index, dtype=object)
    for name in ("label",) if answers else ("label", "prediction"):
        columns[name] = _map(frame[name], _token, where)
        _no_gap(columns[name], frame.index, name, where)
    columns["count"] = _counts(frame["count"], where) if "count" in frame else np.int64(1)
    for name in SAMPLE:
        if name in frame:
            columns["sample"] = _map(frame[name], _text, where)
            _no_gap(columns["sample"], frame.index, name, where)
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.dtype == object:  # else pandas turns None into NaN
            columns[name] = pd.Series(values, index=frame.index, dtype=object)
    return pd.DataFrame(columns, index=frame.index)


def place(index: pd.Index[Any], position: int) -> str:
    """Where a row lies, for an error: `line 17` of a CSV, `row 16` of anything else."""
    return f"{index.name or 'row'} {index[position]}"


def _read_csv(path: Path) -> pd.DataFrame:
    with warnings.catch_warnings():
        # A row longer than the heading would lose its last fields with no more than a warning.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(
            path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False, sep=_separator(path)
        )
    frame.columns = [str(name).strip() for name in frame.columns]
    frame.index = pd.RangeIndex(2, len(frame) + 2, name="line")
    return frame


def _separator(path: Path) -> str:
    """What separates the heading's columns: the one that gives most of the known ones."""
    with pd.io.common.get_handle(path, "r", encoding="utf-8-sig", compression="infer") as opened:  # type: ignore[attr-defined]
        heading = opened.handle.readline()
    known = {*REQUIRED, *OPTIONAL, *SAMPLE}
    return max(SEPARATORS, key=lambda each: sum(part.strip().strip('"') in known for part in heading.split(each)))


def _read_parquet(path: Path, answers: str = "") -> pd.DataFrame:
    file = pq.ParquetFile(path)
    present: list[str] = file.schema_arrow.names
    wanted = {*REQUIRED, *OPTIONAL, *SAMPLE, answers}
    _check_columns(present, str(path), answers)
    frame: pd.DataFrame = file.read([name for name in present if name in wanted]).to_pandas(ignore_metadata=True)
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    if {"label_name", "prediction_name"} <= set(present):  # a record's: its numbers have names beside them
        named = file.read(["label_name", "prediction_name"]).to_pandas(ignore_metadata=True)
        frame["label"] = named["label_name"].astype(object).to_numpy()
        said = named["prediction_name"].astype(object).to_numpy()
        frame["prediction"] = np.where(pd.isna(said), -1, said)
    return frame


def _check_columns(present: list[str], where: str, answers: str = "") -> None:
    for name in ("label", answers) if answers else REQUIRED:
        if name not in present:
            near = _near(name, present)
            fix = f"rename {near!r} to {name!r}" if near else f"add it; required are {', '.join(REQUIRED)}"
            raise BenchError(f"{where} has no column {name!r}; it has {', '.join(map(repr, present))}", fix)
    absent = [name for name in OPTIONAL if name not in present]
    for name in present:
        if name not in (*REQUIRED, *OPTIONAL, *SAMPLE) and (meant := _near(name, absent)):
            raise BenchError(
                f"{where}: the column {name!r} would not be read, and looks like {meant!r}",
                f"rename it to {meant!r}, or to something else if it is not that",
            )


def _near(name: str, others: Iterable[str]) -> str:
    """The column most like `name`, or an abbreviation of it; empty where none is."""
    folded = {other.lower().replace(" ", "_").replace("-", "_"): other for other in others}
    short = name.lower().replace(" ", "_").replace("-", "_")
    close = difflib.get_close_matches(short, folded, n=1, cutoff=0.8)
    close += [
        other
        for other in folded
        if len(min(other, short)) >= 4 and (other.startswith(short) or short.startswith(other))
    ]
    return folded[close[0]] if close else ""


def _map(column: pd.Series[Any], convert: Callable[[Any], Token | None], where: str) -> Objects:
    """Convert each distinct value once; None stands for a missing one."""
    codes, uniques = pd.factorize(column.astype(object), use_na_sentinel=True)
    converted = np.empty(len(uniques) + 1, object)
    for number, value in enumerate(uniques):
        try:
            converted[number] = convert(value)
        except ValueError as error:
            position = int((codes == number).argmax())
            raise BenchError(
                f"{where}, {place(column.index, position)}: {column.name} {value!r} {error}", "correct it"
            ) from error
    converted[-1] = None
    return converted[codes]


def _no_gap(values: Objects, index: pd.Index[Any], name: str, where: str) -> None:
    gaps = np.array([value is None for value in values])
    if gaps.any():
        fix = "write -1 where the answer names no class" if name == "prediction" else f"give every row its {name}"
        raise BenchError(f"{where}, {place(index, int(gaps.argmax()))}: {name} is empty", fix)


def _text(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():  # an integer column that has gaps
        value = int(value)
    text = str(value).strip()
    return None if text in _MISSING else text


def _seed(value: Any) -> Token | None:
    text = _text(value)
    return int(text) if text is not None and re.fullmatch(r"\d+", text) else text


def _token(value: Any) -> Token | None:
    """A class index, or a class name."""
    text = _text(value)
    if text is None:
        return None
    if _WHOLE.fullmatch(text):
        return _whole(text)
    if _NUMBER.fullmatch(text) or text.lower() in ("inf", "-inf"):
        raise ValueError("is neither a class index nor a name")
    return text


def _counts(column: pd.Series[Any], where: str) -> npt.NDArray[np.int64]:
    values = _map(column, _count, where)
    _no_gap(values, column.index, "count", where)
    return values.astype(np.int64)


def _count(value: Any) -> int | None:
    text = _text(value)
    if text is None:
        return None
    if not _WHOLE.fullmatch(text) or _whole(text) < 0:
        raise ValueError("is not a whole number of 0 or more")
    return _whole(text)


def _whole(text: str) -> int:
    digits = text.partition(".")[0]
    if len(digits) > MOST_DIGITS:
        raise ValueError("is a number beyond all counting")
    return int(digits)
