"""What comes from elsewhere is shown by a terminal and not obeyed, run by no spreadsheet, and compiles."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.records.predictions import CellKey
from bench.records.record import write_checksums
from bench.records.scores import metrics_csv

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[8m\u202etxt\x9b31m"


@pytest.fixture
def record(world: Any) -> Path:
    """A run whose table has a hostile title, note and row, and a row that is a formula."""
    assert world.run("--methods", "clip:backbone=B32,clip:backbone=B16", "--datasets", "tiny-faces").code == 0
    path = Path(world.records()[-1]) / "manifest.json"
    facts = json.loads(path.read_text())
    table = facts["tables"]["run"]["card"]
    table["title"] = table["caption"] = EVIL
    table["rows"][0]["cells"][0] = f"{EVIL} one"
    table["rows"][1]["cells"][0] = "=HYPERLINK(1)"
    facts["marks"] = [{"note": EVIL, "dataset": "", "method": ""}]
    path.write_text(json.dumps(facts))
    write_checksums(path.parent)
    return path.parent


def escapes(text: str) -> set[str]:
    """The characters that a terminal would obey."""
    return {character for character in text if not character.isprintable()} - {"\n", "\t"}


def test_no_escape_of_a_record_reaches_the_output(bench: Any, record: Path) -> None:
    for form in ("terminal", "markdown", "latex", "html", "csv"):
        answer = bench("table", "--run", record, "--format", form)
        assert answer.code == 0 and not escapes(answer.out + answer.err), form
    assert "\\x1b]0;owned" in answer.out


def test_no_escape_in_a_name_reaches_the_errors(bench: Any, tmp_path: Path) -> None:
    odd = tmp_path / f"odd{EVIL.replace('/', '')}\udcff"
    odd.mkdir()
    (odd / "card.toml").write_text("kind = ")
    (odd / "labels.csv").write_text(f"label,prediction,sample\n0,{EVIL},1\n")
    for command in (
        ("table", "--run", odd),
        ("score", odd / "labels.csv"),
        ("list", "methods", "--cards", odd),
        ("doctor", "--cards", odd, "--store", tmp_path / "store"),
        (f"show{EVIL}",),
        ("table", f"--{EVIL}"),
        ("table", "--format", EVIL),
    ):
        answer = bench(*command)
        assert not escapes(answer.out + answer.err), command
        assert "\\x1b" in answer.out + answer.err, command


def test_a_terminal_gets_the_styles_of_our_own_tables_and_no_other(record: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.cli", "table", "--run", str(record)],
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "300"},
    )
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 4096):
            said += part
    except OSError:  # the other side is closed
        pass
    assert process.wait() == 0
    text = said.decode()
    assert "\x1b[1m" in text and "\\x1b[2J" in text
    for style in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[4m"):
        text = text.replace(style, "")
    assert escapes(text) <= {"\r"}


def test_no_cell_of_a_csv_is_a_formula(bench: Any, record: Path) -> None:
    answer = bench("table", "--run", record, "--format", "csv")
    heading, *lines = csv.reader(io.StringIO(answer.out.strip()))
    assert [line[heading.index("Method")] for line in lines][1] == "'=HYPERLINK(1)"
    matrices = {CellKey("=m", "+v", "-p", "@q", "d"): {"=f": np.eye(2, 3, dtype=np.int64)}}
    assert metrics_csv(matrices).splitlines()[1].startswith("'=m,'+v,'-p,'@q,d,,'=f,")
