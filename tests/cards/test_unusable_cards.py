"""One card that cannot be used is listed as broken with its reason, whatever it holds, and the others are there."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GOOD = 'kind = "method"\n[encoder]\nadapter = "package.module:Class"\n'
TEXTS = {
    "arrays in arrays": ('kind = "method"\na = ' + "[" * 5000 + "]" * 5000, "more than 20 tables or arrays"),
    "a few arrays too deep": ('kind = "method"\na = ' + "[" * 60 + "]" * 60, "more than 20 tables or arrays"),
    "tables in tables": ('kind = "method"\na = ' + "{b = " * 5000 + "1" + "}" * 5000, "more than 20 tables or arrays"),
    "a key of 100,000 parts": (".".join(["a"] * 100_000) + " = 1\n", "a key of more than 20 parts"),
    "a quoted key of many parts": (" . ".join(['"a"'] * 20_000) + " = 1\n", "a key of more than 20 parts"),
    "a heading of many parts": ("[" + ".".join(["a"] * 20_000) + "]\n", "a key of more than 20 parts"),
    "a number too long to read": (f'kind = "method"\nversion = 1{"0" * 5000}', "5001 digits"),
    "a number too large to print": (
        f'kind = "method"\nversion = 0x{"f" * 20_000}',
        "'version' is a whole number of more",
    ),
    "a count too large": (
        f'kind = "dataset"\nmedia = "image"\nclasses = ["a", "b"]\n[counts.evaluated]\nfolds.1 = [1{"0" * 4000}, 2]',
        "'counts.evaluated.folds.1' is a whole number of more than 64 bits",
    ),
    "NUL in a path": ('kind = "method"\nadapter = "a\\u0000.py:X"', "'adapter' holds the control character '\\x00'"),
    "an escape": ('kind = "method"\ntitle = "\\u001b[2J"', "'title' holds the control character '\\x1b'"),
    "a megabyte": ("# " + "x" * 1_000_000, "more than 256 KiB"),
}


def limited(folder: Path) -> subprocess.CompletedProcess[str]:
    """`bench list methods` with these cards, in 4 GiB and 60 seconds."""
    command = [sys.executable, "-m", "bench.cli", "list", "methods", "--cards", str(folder)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )


def test_cards_that_cannot_be_used_stop_no_other(tmp_path: Path) -> None:
    for number, (text, _) in enumerate(TEXTS.values()):
        (tmp_path / f"broken-{number}.toml").write_text(text)
    (tmp_path / "good.toml").write_text(GOOD)
    answer = limited(tmp_path)
    assert answer.returncode == 0 and "good" in answer.stdout, answer.stderr
    for number, (what, (_, reason)) in enumerate(TEXTS.items()):
        (line,) = (line for line in answer.stdout.splitlines() if f"broken-{number}.toml: " in line)
        assert reason in line, what


def test_what_is_not_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "endless.toml").symlink_to("/dev/zero")
    (tmp_path / "circle.toml").symlink_to(tmp_path / "circle.toml")
    (tmp_path / "good.toml").write_text(GOOD)
    answer = limited(tmp_path)
    assert answer.returncode == 0 and "good" in answer.stdout, answer.stderr
    assert answer.stdout.count("it is not a regular file") == 2 and "circle.toml: not readable" in answer.stdout


def test_a_long_chain_of_cards_is_broken_where_it_is_too_long(bench: Any, tmp_path: Path) -> None:
    for number in range(1100):
        base = f'extends = "chain-{number + 1}"' if number < 1099 else '[encoder]\nadapter = "package.module:Class"'
        (tmp_path / f"chain-{number}.toml").write_text(f'kind = "method"\n{base}\n')
    answer = bench("list", "methods", "--cards", tmp_path)
    assert answer.code == 0 and "chain-1099" in answer.out and "chain-0.toml: RecursionError" in answer.out


def test_a_settings_file_is_read_with_the_same_limits(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bench.toml").write_text(".".join(["a"] * 100_000) + " = 1\n")
    monkeypatch.chdir(tmp_path)
    answer = bench("doctor")
    assert answer.code == 2 and "bench.toml: not readable as TOML: a key of more than 20 parts" in answer.err
