"""Isolated environments: built once by uv, kept in the user's cache, found again by what is in them.

A folder is an environment only when it holds `complete.json`, which is written last. Whatever else lies there is the
remains of a build that was cut short, and is removed. One build at a time per environment (a file lock): who comes
second waits and finds it done.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.cards.environment import EnvironmentFacts
from bench.errors import BenchError
from bench.store.files import write_whole

COMPLETE = "complete.json"
_TAIL = 12
_REPORT_EVERY = 10.0
_LEADING = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV")

log = logging.getLogger(__name__)


def folder_of(facts: EnvironmentFacts, root: Path) -> Path:
    """Where an environment lies, built or not."""
    return root / facts.key


def is_built(facts: EnvironmentFacts, root: Path) -> bool:
    """Whether an environment is there and complete."""
    return (folder_of(facts, root) / COMPLETE).is_file()


def ensure(facts: EnvironmentFacts, root: Path, *, method: str) -> Path:
    """The environment's interpreter; the environment is built first where it is not there.

    Args:
        facts: what is in it.
        root: the folder that holds all environments.
        method: the card that asks for it, for messages.

    Raises:
        BenchError: uv could not build it, with the last lines that it printed; or the folder cannot be written.
    """
    from filelock import FileLock

    folder = folder_of(facts, root)
    if not is_built(facts, root):
        try:
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):
                if not is_built(facts, root):
                    _build(facts, folder, method)
        except OSError as error:
            raise BenchError(
                f"{method}: its environment cannot be built in {folder}: {error}",
                "free some space there, or set XDG_CACHE_HOME to a folder that can be written",
            ) from error
    return _interpreter(folder)


def _interpreter(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _build(facts: EnvironmentFacts, folder: Path, method: str) -> None:
    if folder.exists():
        log.warning("%s: %s was left half built; it is built again", method, folder)
        shutil.rmtree(folder)
    begun = time.monotonic()
    log.info("%s: building its environment, once (Python %s, %s)", method, facts.python, ", ".join(facts.requirements))
    _uv(["venv", "--quiet", "--python", facts.python, str(folder)], method, begun)
    install = ["pip", "install", "--python", str(_interpreter(folder)), *facts.requirements]
    _uv(install, method, begun)
    seconds = time.monotonic() - begun
    done = {"python": facts.python, "requirements": facts.requirements, "seconds": round(seconds, 1)}
    write_whole(folder / COMPLETE, json.dumps(done, indent=1))
    log.info("%s: its environment is ready after %.0f s (%s)", method, seconds, folder)


def _uv(arguments: Sequence[str], method: str, begun: float) -> None:
    """Run uv; its output is kept for the message, and its last line shown while it lasts."""
    from uv import find_uv_bin

    try:
        program = find_uv_bin()
    except FileNotFoundError as error:
        raise BenchError(
            f"{method}: uv, which builds its environment, is not here: {error}", "pip install uv"
        ) from error
    process = subprocess.Popen(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=clean(os.environ),
    )
    lines: list[str] = []
    reported = begun
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if time.monotonic() - reported > _REPORT_EVERY:
                reported = time.monotonic()
                log.info("%s: %.0f s: %s", method, reported - begun, lines[-1].strip())
    except BaseException:
        process.kill()
        raise
    finally:
        code = process.wait()
    if code:
        told = "\n    ".join(line for line in lines[-_TAIL:] if line)
        raise BenchError(
            f"{method}: its environment could not be built: uv {arguments[0]} ended with code {code}:\n    {told}",
            "correct [environment] in its card, or see that the package index can be reached, and run again",
        )


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment variables without what would lead an interpreter to another one's packages."""
    return {key: value for key, value in environ.items() if key not in _LEADING}
