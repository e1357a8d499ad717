"""A list of names and labels, with the pictures, videos or frame folders in a fixed place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.data.readers.lists import Column, Labels, Row, Where, rows
from bench.data.readers.tree import MediaFinder, Tree, inside, stem
from bench.data.samples import Sample
from bench.errors import DataError


def read(
    root: Path,
    classes: Sequence[str],
    fold: str,
    *,
    file: str,
    path: str,
    name: Column = 0,
    label: Column = 1,
    separator: str = "whitespace",
    header: bool = False,
    encoding: str = "utf-8-sig",
    where: Mapping[str, str] | None = None,
    codes: Mapping[str, str] | None = None,
    skip: Sequence[str] = (),
    id: str = "{stem}",
) -> Iterator[Sample]:
    """Read a label list.

    Args:
        root: the dataset's root.
        classes: class words; a label is an index into them.
        fold: put in place of `{fold}` in `file` and `path`.
        file: the list, below the root; a glob that matches one file.
        path: where a sample's media lies, below the root, made of `{name}` (the field), `{stem}` (its last part
            without suffix) and `{number}` (the stem without leading zeros), with Python's format rules
            (`{name:0>5}`). The folders before the first field may hold wildcards.
        name: column of the name, by number from 0 or by heading.
        label: column of the label.
        separator: one character, or `whitespace`.
        header: whether the first line names the columns.
        encoding: of the list.
        where: column -> regular expression; rows that do not match are another split's.
        codes: label -> class word, where the list does not use the class words.
        skip: labels left out on purpose.
        id: the sample's id, made like `path`.

    Yields:
        Samples in the order of the list.

    Raises:
        DataError: see `bench.data.readers`.
    """
    tree = Tree(root)
    listed = tree.one(file.format(fold=fold))
    folders, below = _places(tree, path)
    labels = Labels(classes, codes or {}, skip)
    keep = Where(where or {})
    finder = MediaFinder(tree, listed)
    for row in rows(listed, separator, header, encoding):
        if not keep(row):
            continue
        index = labels.index(row.cell(label), row.where)
        if index is None:
            continue
        fields = _fields(row.cell(name), fold)
        rest = inside(_fill(below, fields, row), row.where)
        media = finder.find(*(f"{folder}/{rest}" if folder else rest for folder in folders))
        if media is not None:
            yield Sample(_fill(id, fields, row), index, media)
    finder.require()


def _places(tree: Tree, path: str) -> tuple[list[str], str]:
    """Split a path into the folders before its first field, wildcards expanded, and the rest."""
    fixed, _, _ = path.partition("{")
    base, slash, _ = fixed.rpartition("/")
    folders = tree.expand(base) if base else [""]
    return folders or [base], path[len(base + slash) :]


def _fields(name: str, fold: str) -> dict[str, str]:
    fields = {"name": name.replace("\\", "/"), "stem": stem(name.replace("\\", "/")), "fold": fold}
    if re.fullmatch(r"[0-9]+", fields["stem"]):
        fields["number"] = fields["stem"].lstrip("0") or "0"
    return fields


def _fill(template: str, fields: Mapping[str, str], row: Row) -> str:
    try:
        return template.format_map(fields)
    except KeyError as error:
        raise DataError(
            f"{row.where}: {fields['name']!r} gives no {{{error.args[0]}}} for {template!r}",
            "a {number} needs a name of digits",
        ) from None
