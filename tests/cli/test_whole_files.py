"""Whatever a command writes is whole or as it was, also where the disk has no room for it."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOM = 300
METHOD = ("--methods", "clip:backbone=B32", "--datasets", "tiny-faces", "--prompts", "P-1")
WRITERS = {
    "table": ("table", "--run", "RECORD", "--format", "document", "--to", "FILE.tex"),
    "report": ("report", "RECORD", "--to", "FILE.html"),
    "check": ("check", "RECORD", "--update", "--against", "FILE.json"),
    "audit": ("audit", "RECORD", "--to", "FILE.md"),
    "figure": ("figure", "B", "--run", "RECORD", *METHOD, "--to", "FILE.png"),
    "embed npz": ("embed", "PICTURE", "--method", "clip:backbone=B32", "--to", "FILE.npz"),
    "embed parquet": ("embed", "PICTURE", "--method", "clip:backbone=B32", "--to", "FILE.parquet"),
}


def little_room() -> None:
    """No file of this process may be larger, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_finds_no_room_is_as_it_was(world: Any, tmp_path: Path, writer: str) -> None:
    assert world.run(*METHOD).code == 0
    picture = next((world.root / "data" / "tiny-faces").rglob("*.jpg"))
    if writer.startswith("embed"):  # what it has to compute is stored before
        to = tmp_path / f"before.{writer.split()[1]}"
        assert world.call("embed", picture, "--method", "clip:backbone=B32", "--to", to, *world.flags).code == 0
    if writer == "figure":  # and so is the list of fonts
        before = ("figure", "B", "--run", world.records()[-1], *METHOD, "--to", tmp_path / "before.png")
        assert world.call(*before, *world.flags).code == 0
    folder = tmp_path / "written"
    folder.mkdir()
    words = {"RECORD": str(world.records()[-1]), "PICTURE": str(picture)}
    command = [words.get(word, word.replace("FILE", str(folder / "file"))) for word in WRITERS[writer]]
    flags = world.flags if writer.startswith(("embed", "figure")) else ["--cards", str(world.root / "cards")]
    command += [] if writer == "check" else flags
    file = folder / Path(next(word for word in command if str(folder) in word)).name
    file.write_text("what was here")
    answer = subprocess.run(
        [sys.executable, "-B", "-m", "bench.cli", *command],
        capture_output=True,
        text=True,
        preexec_fn=little_room,
        check=False,
    )
    assert answer.returncode == 2, answer
    assert f"{file}" in answer.stderr and "Traceback" not in answer.stderr and "could not be written" in answer.stderr
    assert [path.name for path in folder.iterdir()] == [file.name] and file.read_text() == "what was here"
