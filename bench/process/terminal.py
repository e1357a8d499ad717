"""What others wrote, on its way to a terminal: a control character in it is shown and not obeyed.

Names of files, texts of cards, records and predictions files, and what other programs said come from anywhere. A terminal that is
sent their escape sequences may move its cursor, hide text, change its title or answer as if the user had typed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

# Control characters but tab and newline, those that turn the direction of writing, and what is not text at all; not the styles
# that our own tables have: bold, dim, underlined, and their end.
_OBEYED = re.compile(
    r"\x1b\[[0124](?:;[124])*m|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """A text whose control characters are written out, as Python writes them in a literal."""
    return _OBEYED.sub(lambda found: found[0] if len(found[0]) > 1 else ascii(found[0])[1:-1], text)


class _Shown:
    """A stream that is written to as `printable` has it; all else is the stream's own."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(printable(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def shown() -> Iterator[None]:
    """While this is open, all that is written to the two standard streams is `printable`."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Shown(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def bare(stream: IO[str]) -> IO[str]:
    """The stream itself, for a program that moves the cursor and takes care of its texts."""
    return stream.stream if isinstance(stream, _Shown) else stream
