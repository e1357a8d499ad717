"""Methods named by their repository on the Hugging Face hub, `hf:ORG/NAME` or `hf:ORG/NAME@REVISION`, which need no card."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.errors import BenchError

PREFIX = "hf:"
_PART = r"[A-Za-z0-9](?:\.?[A-Za-z0-9_-])*"
PATTERN = rf"^hf:{_PART}/{_PART}(?:@{_PART})?$"


@dataclass(frozen=True)
class HubName:
    """A repository, and the commit, tag or branch of it; where that is empty, the one that is here or, else, today's."""

    repository: str
    revision: str = ""

    def __str__(self) -> str:
        return PREFIX + self.folder

    @property
    def folder(self) -> str:
        """Its folder below a weights folder."""
        return f"{self.repository}@{self.revision}" if self.revision else self.repository


def hub_name(name: str) -> HubName | None:
    """The repository that a method's or a checkpoint's name means; None where it is no such name.

    Raises:
        BenchError: it begins like one, and is none.
    """
    if not name.startswith(PREFIX):
        return None
    if not re.match(PATTERN, name):
        raise BenchError(f"{name!r} is not a repository of the hub", "write hf:ORG/NAME, or hf:ORG/NAME@REVISION")
    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    return HubName(repository, revision)
