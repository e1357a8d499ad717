"""The errors a user can mend: each says what is wrong, where, and how to put it right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BenchError(Exception):
    """What was asked for cannot be done here (exit code 2): a wrong name, file or option, or something that is missing.

    Args:
        what: what is wrong, naming the file, card or field and quoting what was found.
        fix: what the user can do about it.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        self.what = what
        self.fix = fix
        super().__init__(f"{what}\n  fix: {fix}" if fix else what)


class UnknownName(BenchError):
    """A name that no card carries; offers the near ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        folded = {known_name.lower(): known_name for known_name in names}
        near = [folded[match] for match in difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)]
        hint = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else f"known: {', '.join(names) or 'none'}"
        super().__init__(f"no {kind} is called {name!r}", hint)
        self.name = name


class DataError(BenchError):
    """A dataset on disk is not what its card says."""


class WeightsError(BenchError):
    """A checkpoint is missing, or is not what the adapter can load."""


class DeviceError(BenchError):
    """A device failed, or its memory does not suffice: another one may do the same work."""


class StoreError(BenchError):
    """The artifact store cannot be read or written."""


def counted(number: int, noun: str) -> str:
    """A number of things in words: `1 sample`, `2 samples`; `1 class`, `2 classes`."""
    plural = f"{noun}es" if noun.endswith(("s", "sh", "x")) else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
