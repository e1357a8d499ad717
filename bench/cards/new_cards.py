"""Cards to start from: files in `templates`, in which `$name` is put; they work as they are."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.cards.schema import NAME
from bench.cards.toml_file import read_toml
from bench.errors import BenchError, UnknownName

ROOT = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Template:
    """What a kind of card is begun with.

    Attributes:
        says: one line of help.
        folder: its files lie here; `NAME` and `TABLE` in their names are replaced as in their texts.
        only: which of them; all where it is empty.
        next: commands to go on with.
    """

    says: str
    folder: str
    only: str = ""
    next: tuple[str, ...] = ()


KINDS: Mapping[str, Template] = {
    "method": Template(
        "a method: a card, and a class to fill in",
        "method",
        next=(
            "bench check-plugin $name --cards $folder",
            "bench run --table 1 --mini --methods +$name --cards $folder",
        ),
    ),
    "dataset": Template(
        "a dataset of your own",
        "dataset",
        next=(
            "bench check-card $folder/$name.toml",
            "bench run --methods NAME --datasets $name --data $name=/where/it/lies --cards $folder",
        ),
    ),
    "prompts": Template(
        "a prompt set",
        "prompts",
        next=(
            "bench check-card $folder/$name.toml",
            "bench run --table 2 --mini --prompts $name --cards $folder",
        ),
    ),
    "question": Template(
        "a question to generators",
        "question",
        next=(
            "bench check-card $folder/$name.toml",
            "bench run --mini --methods NAME --datasets NAME --question $name --cards $folder",
        ),
    ),
    "paper": Template(
        "a paper: its card, a table, and the numbers that it prints",
        "paper",
        next=("bench check-card $folder/*.toml", "bench run --table $name:$table --mini --cards $folder"),
    ),
    "table": Template(
        "a further table of a paper of yours; --to is the paper's folder",
        "paper",
        "table-TABLE",
        ("bench check-card $folder/*.toml", "bench run --table $name:$table --mini --cards $folder"),
    ),
}


@dataclass(frozen=True)
class Begun:
    """The files that were written, and the commands to go on with."""

    files: tuple[Path, ...]
    next: tuple[str, ...]


def begin(kind: str, name: str, folder: Path) -> Begun:
    """Write the files of a kind of card; none of them is there yet.

    Raises:
        UnknownName: there is no such kind.
        BenchError: it is not a name, one of the files is there already, or a table's folder is not a paper's.
    """
    if kind not in KINDS:
        raise UnknownName("kind of card", kind, KINDS)
    if not re.match(NAME, name):
        raise BenchError(f"{name!r} is not a name", "letters, digits, '.', '_' and '-', with a letter or digit first")
    template = KINDS[kind]
    words = {"name": name, "table": "1", "folder": str(folder)}
    if kind == "table":
        words |= {"name": _paper(folder), "table": name}
    sources = sorted(path for path in (ROOT / template.folder).iterdir() if path.name.startswith(template.only))
    files = {folder / _named(path.name, words): path for path in sources if path.suffix in (".toml", ".py", ".csv")}
    there = [path for path in files if path.exists()]
    if there:
        raise BenchError(f"{there[0]} is there already", "name another folder with --to, or another name")
    folder.mkdir(parents=True, exist_ok=True)
    for path, source in files.items():
        path.write_text(string.Template(source.read_text("utf-8")).substitute(words), encoding="utf-8")
    return Begun(tuple(files), tuple(string.Template(line).substitute(words) for line in template.next))


def _named(file: str, words: Mapping[str, str]) -> str:
    return file.replace("NAME", words["name"]).replace("TABLE", words["table"])


def _paper(folder: Path) -> str:
    """The name of the paper whose folder it is."""
    card = folder / "paper.toml"
    if not card.is_file():
        raise BenchError(
            f"{folder} has no paper.toml, and a table lies beside its paper's", "bench new --kind paper NAME makes both"
        )
    return str(read_toml(card).get("name", folder.name))
