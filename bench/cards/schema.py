"""What every card has in common: strict facts, a name, where it was read, and the files that methods and detectors load.

A card is a TOML file whose `kind` says which schema it follows. Facts live in cards; no schema knows a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class Facts(BaseModel):
    """A strict, frozen table of facts: an unknown field is an error that names it, and a field's former name its new one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    renamed: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _present_names(cls, stated: Any) -> Any:
        for former, name in cls.renamed.items():
            if isinstance(stated, Mapping) and former in stated:
                raise ValueError(f"`{former}` is called `{name}` now")
        return stated


class Card(Facts):
    """What every card has in common.

    Attributes:
        name: what a user types.
        title: what a table prints.
        source: where the facts were read.
    """

    name: str = Field(pattern=NAME)
    title: str = ""
    source: str = ""
    _path: Path = PrivateAttr(default=Path())

    @property
    def path(self) -> Path:
        """The file this card was read from."""
        return self._path

    def as_read_from(self, path: Path) -> Self:
        """The same card from another file; files that it names beside itself are then looked for there."""
        card = self.model_copy()
        card._path = path
        return card

    @property
    def label(self) -> str:
        """The title, or the name where there is none."""
        return self.title or self.name


class Unknown(Facts):
    """Something the published work does not state, and what we do about it."""

    what: str
    default: str
    alternative: str = ""


class Weight(Facts):
    """Where a checkpoint file comes from.

    Attributes:
        url: a direct address, or
        hub: a Hugging Face repository, with `revision` pinned and `files` named.
        sha256: the file's hash, or a prefix of it (OpenAI's addresses carry the whole one).
        git_blob: git's own id of the file, where it lies in a git repository and nobody states its sha256.
        manual: how to get it where no program may (a form, a drive link).
    """

    url: str = ""
    hub: str = ""
    revision: str = ""
    files: tuple[str, ...] = ()
    sha256: str = ""
    git_blob: str = ""
    licence: str = ""
    manual: str = ""
