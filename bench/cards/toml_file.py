"""Reads a TOML file that may hold anything: what is too large, too deep or not plain facts ends in an error that says why."""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from bench.errors import BenchError

# The largest card that comes built in has 8 KiB, and the deepest five levels.
MOST_BYTES = 256 * 1024
MOST_LEVELS = 20
_KEY = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
# tomllib takes memory with the square of a dotted key's length, so its length is looked at before.
_LONG_KEY = re.compile(rf"(?:[ \t]*\.[ \t]*{_KEY}){{{MOST_LEVELS}}}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_WHOLE = range(-(2**63), 2**63)


def read_toml(path: Path) -> dict[str, Any]:
    """The facts of a TOML file.

    Raises:
        BenchError: it is not a regular file, larger than `MOST_BYTES`, not TOML in UTF-8, nested deeper than `MOST_LEVELS`, or
            holds a whole number of more than 64 bits or a control character; says which, without the file's name.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise BenchError("it is not a regular file", "put a TOML file there, or take it away")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise BenchError(
                f"it has more than {MOST_BYTES // 1024} KiB", "a card holds facts; put data into files of their own"
            )
        text = data.decode("utf-8").replace("\r\n", "\n")
        if _LONG_KEY.search(text):
            raise BenchError(
                f"not readable as TOML: a key of more than {MOST_LEVELS} parts", "use fewer tables in one another"
            )
        facts = tomllib.loads(text)
    except RecursionError:
        raise _too_deep() from None
    except (OSError, ValueError) as error:
        raise BenchError(f"not readable as TOML: {error}", "correct the file") from error
    _check(facts, "", 0)
    return facts


def _check(value: Any, where: str, level: int) -> None:
    """Refuse what TOML allows and no fact needs."""
    if level > MOST_LEVELS:
        raise _too_deep()
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{where}.{key}" if where else key
            _check(key, here, level)
            _check(inner, here, level + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, where, level + 1)
    elif isinstance(value, str) and (found := _CONTROL.search(value)):
        raise BenchError(f"{where[:200]!r} holds the control character {found[0]!r}", "take it out")
    elif isinstance(value, int) and value not in _WHOLE:
        raise BenchError(f"{where[:200]!r} is a whole number of more than 64 bits", "correct it")


def _too_deep() -> BenchError:
    return BenchError(f"not readable as TOML: more than {MOST_LEVELS} tables or arrays in one another", "use fewer")
