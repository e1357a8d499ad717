"""The pages that a user reads, as tests take them: each block runs in the page's own folder, after the blocks above it.

`sh` holds commands, `console` commands behind `$ ` with what they print (`...` stands for anything), `python` is run, a block with
`title="FILE"` is written to that file, and other languages are only read. Before a block, a comment that no reader of the page sees
may say

    <!-- test: with --mini -->             its calls of `bench` get these words too
    <!-- test: exits 1 -->                 its last command ends with this code
    <!-- test: printed -->                 it is what the Python block above it prints
    <!-- test: not run, needs a GPU -->    its commands are only held against the command line (`calls.py`)
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from calls import check
from small_world import Answer
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, RawFencedCodeBlockLexer

from bench.settings import cache_home

ROOT = Path(__file__).resolve().parents[1]
INFO = re.compile(r'(?P<language>[\w-]*)(?:[^\n]*?title="(?P<title>[^"]+)")?[^\n]*$\n', re.MULTILINE)
READ = ("ini", "json", "text", "toml", "yaml")
SHELL = re.compile(r"[|&;<>$]")
REMARK = re.compile(r"with .+|exits \d+|printed|not run, .+")


class Step(NamedTuple):
    """A command, and what stands below it."""

    command: str
    prints: str


def pages() -> list[Path]:
    """Every page with blocks to run."""
    return [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]


def steps(language: str, source: str) -> Iterator[Step]:
    """The commands of a block: each line of `sh`; what follows `$ ` in `console`, with the output below it."""
    if language == "sh":
        for line in source.replace("\\\n", " ").splitlines():
            if command := re.split(r"(?:^|\s\s)#", line)[0].strip():
                yield Step(command, "")
        return
    head, *parts = re.split(r"^\$ ", source, flags=re.MULTILINE)
    assert not head, f"a console block begins with '$ ', not with {head!r}"
    for part in parts:
        command, _, prints = part.replace("\\\n", "").partition("\n")
        yield Step(command, prints)


def files(path: Path) -> dict[str, str]:
    """The files that a page writes: name -> text."""
    found = RawFencedCodeBlockLexer(INFO)(Document(path.read_text(encoding="utf-8"), str(path)))
    return {region.lexemes["title"]: region.lexemes["source"] for region in found if region.lexemes["title"]}


class Page:
    """One page, run block by block in a folder.

    Args:
        folder: where its commands run; empty at the start.
        bench: the command line, called in this process.
    """

    def __init__(self, folder: Path, bench: Callable[..., Answer]) -> None:
        self.folder = folder
        self.bench = bench
        self.told: list[str] = []
        self.printed = ""
        self.python = PythonEvaluator()

    def run(self, path: Path) -> None:
        """Run every block of a page.

        Raises:
            SybilFailure: a block does not do what the page says; names page and line.
        """
        for example in Sybil(parsers=[self.blocks, self.remarks], path=str(path.parent)).parse(path).examples():
            example.evaluate()
        assert not self.told, f"{path}: no block stands below {self.told}"

    def blocks(self, document: Document) -> Iterable[Region]:
        """Every fenced block."""
        lexer = RawFencedCodeBlockLexer(INFO)
        for region in lexer(document):
            yield Region(region.start, region.end, region.lexemes["source"], self.block, region.lexemes)

    def remarks(self, document: Document) -> Iterable[Region]:
        """Every comment that begins with `test:`."""
        for region in DirectiveInHTMLCommentLexer("test", arguments=r".+?")(document):
            yield Region(region.start, region.end, region.lexemes["arguments"], self.remark)

    def remark(self, example: Example) -> str | None:
        """Keep what is said of the block below; what is wrong with it, or None."""
        self.told.append(str(example.parsed).strip())
        return None if REMARK.fullmatch(self.told[-1]) else f"{self.told[-1]!r} is no remark: see {__name__}.py"

    def block(self, example: Example) -> str | None:
        """Run one block; what is wrong with it, or None."""
        told, self.told = self.told, []
        language, title = example.region.lexemes["language"], example.region.lexemes["title"]
        if title:
            file = self.folder / title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(example.parsed, encoding="utf-8")
            return None
        if "printed" in told:
            return differs(example.parsed, self.printed)
        if language in ("sh", "console"):
            return self.commands(list(steps(language, example.parsed)), told)
        if language == "python":
            self.python_block(example, told)
            return None
        known = ("sh", "console", "python", *READ)
        return None if language in READ else f"language {language!r}: state one of {', '.join(known)}"

    def commands(self, found: list[Step], told: list[str]) -> str | None:
        """Run a block's commands, or hold them against the command line; what is wrong, or None."""
        if any(remark.startswith("not run, ") for remark in told):
            return next(filter(None, (check(step.command) for step in found)), None)
        more = " ".join(remark.removeprefix("with ") for remark in told if remark.startswith("with "))
        codes = [int(remark.removeprefix("exits ")) for remark in told if remark.startswith("exits ")]
        for number, step in enumerate(found):
            answer = self.call(step.command, more)
            wanted = codes[0] if codes and number == len(found) - 1 else 0
            if answer.code != wanted:
                return f"$ {step.command}\nexits with {answer.code}:\n{answer.out[-3000:]}{answer.err[-3000:]}"
            if step.prints and (wrong := differs(step.prints, answer.out or answer.err)):
                return f"$ {step.command}\n{wrong}"
        return None

    def call(self, command: str, more: str = "") -> Answer:
        """Run one command: of `bench` in this process, anything else in a shell."""
        words = shlex.split(command, comments=True)
        if words[0] != "bench" or SHELL.search(command):
            done = subprocess.run(command, shell=True, cwd=self.folder, capture_output=True, text=True, timeout=300)
            return Answer(done.returncode, done.stdout, done.stderr)
        files = [sorted(map(str, Path().glob(word))) or [word] if "*" in word else [word] for word in words[1:]]
        return self.bench(*(word for part in files for word in part), *shlex.split(more))

    def python_block(self, example: Example, told: list[str]) -> None:
        """Run a Python block, in the names that the page's blocks above have made; or only compile it."""
        if any(remark.startswith("not run, ") for remark in told):
            compile(str(example.parsed), str(example.path), "exec")
            return
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.python(example)
        self.printed = out.getvalue()


def differs(shown: str, printed: str) -> str | None:
    """How what a page shows differs from what is printed, or None."""
    want, got = ("".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines()) for text in (shown, printed))
    checker = doctest.OutputChecker()
    if checker.check_output(want, got, doctest.ELLIPSIS):
        return None
    return checker.output_difference(doctest.Example("", want), got, doctest.REPORT_UDIFF)


def surroundings(store: Path) -> dict[str, str]:
    """The environment of every command: `bench` on the path, and a store that holds the miniature's embeddings.

    Nothing else that is on this machine is found, but the miniature itself.
    """
    home = store.parent / "home"
    mini = home / "fer-bench" / "mini"
    if not mini.exists():
        mini.parent.mkdir(parents=True, exist_ok=True)
        mini.symlink_to(cache_home() / "mini")
    return {
        "BENCH_STORE": str(store),
        "COLUMNS": "100",
        "EDITOR": "true",
        "XDG_CACHE_HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
