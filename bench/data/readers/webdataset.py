"""Tar shards in the webdataset convention, pictures read in place."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.data.formats import PICTURES
from bench.data.readers.lists import Labels, text_lines, whole
from bench.data.readers.tree import Kind, Tree, inside, some
from bench.data.samples import Blob, Sample, Still
from bench.errors import DataError


@dataclass(slots=True)
class _Group:
    where: str
    pictures: list[Blob] = field(default_factory=list)
    label: str | None = None


def read(
    root: Path,
    classes: Sequence[str],
    fold: str,
    *,
    shards: str,
    names: str = "",
    label: str = "cls",
    key: str = "",
    codes: Mapping[str, str] | None = None,
    skip: Sequence[str] = (),
) -> Iterator[Sample]:
    """Read pictures and their labels out of tar files, without unpacking.

    Members `KEY.jpg` (or another picture) and `KEY.cls` belong together; `.cls` holds a label, or, where there are `names`, a number,
    and line `number` of them, from 0, says in a word what it means.

    Args:
        root: the dataset's root.
        classes: class words; a label is an index into them.
        fold: put in place of `{fold}`.
        shards: glob of the tar files, below the root, read in the order of the numbers in their names.
        names: a text file with one class name a line.
        label: ending of the member with the label.
        key: where that member is JSON: the key of the label in it.
        codes: name in that file, or label -> class word.
        skip: names left out on purpose.

    Yields:
        Samples in the order of the shards; the id is the key.

    Raises:
        DataError: see `bench.data.readers`; also a damaged or compressed shard, and a key without its picture or label, and
            JSON without the key.
    """
    tree = Tree(root)
    words = [line.strip() for line in text_lines(tree.one(names)) if line.strip()] if names else []
    labels = Labels(classes, codes or {}, skip)
    found = [path for path in tree.expand(inside(shards.format(fold=fold), str(root))) if tree.kind(path) is Kind.FILE]
    if not found:
        raise DataError(f"{root}: nothing matches {shards!r}", "see `bench show` for how to obtain the dataset")
    for shard in sorted(found, key=_by_numbers):
        for sample, group in _groups(root / shard, label):
            if len(group.pictures) != 1 or group.label is None:
                raise DataError(f"{group.where}: expected one picture and one .{label}, found {len(group.pictures)} and "
                                f"{'one' if group.label is not None else 'none'}")  # fmt: skip
            index = labels.index(_word(group, words, names, key), group.where)
            if index is not None:
                yield Sample(sample, index, Still(group.pictures[0]))


def _word(group: _Group, words: Sequence[str], names: str, key: str) -> str:
    """What a group's label is called."""
    text = group.label or ""
    if key:
        try:
            found = json.loads(text)[key]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DataError(f"{group.where}: its JSON has no {key!r}: {text[:80]!r}") from None
        text = str(found)
    if not names:
        return text
    number = whole(text)
    if number is None or number >= len(words):
        raise DataError(f"{group.where}: the label {text!r} is not a line of {names}: {some(words)}")
    return words[number]


def _by_numbers(path: str) -> list[tuple[str, int]]:
    return [(words, int(digits or 0)) for words, digits in re.findall(r"([^0-9]*)([0-9]*)", path)]


def _groups(shard: Path, label: str) -> Iterator[tuple[str, _Group]]:
    """The members of a shard by key, in order; other members than pictures and labels are passed over."""
    groups: dict[str, _Group] = {}
    size = shard.stat().st_size
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                folder, _, base = member.name.rpartition("/")
                key, _, ending = base.partition(".")
                key = f"{folder}/{key}" if folder.strip("./") else key
                group = groups.setdefault(key, _Group(f"{shard}, member {member.name}"))
                if member.offset_data + member.size > size:
                    raise DataError(f"{shard} ends inside its member {member.name}", "fetch the shard again")
                if f".{ending.lower()}" in PICTURES:
                    group.pictures.append(Blob(str(shard), member.offset_data, member.size))
                elif ending == label:
                    content = tar.extractfile(member)
                    group.label = content.read().decode("utf-8", "replace").strip() if content else None
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{shard} is not a plain tar file, or is damaged: {error}", "fetch the shard again") from None
    yield from groups.items()
