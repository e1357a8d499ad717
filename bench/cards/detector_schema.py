"""The schema of a face detector's card."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.cards.environment import EnvironmentFacts
from bench.cards.schema import Card, Weight

Device = Literal["cpu", "cuda"]


class DetectorWeight(Weight):
    """A detector's file.

    Attributes:
        package: the import package that the file lies in; without one it is looked for in the weights folders.
        file: its path inside the package, or its name in a weights folder.
    """

    package: str = ""
    file: str


class DetectorCard(Card):
    """A face detector: its adapter, what that adapter needs, and where its weights come from.

    Attributes:
        default: `bench prepare` and `bench doctor` use this one unless the user names another.
        adapter: `package.module:Class`, or `file.py:Class` beside the card; see `bench.models.contract`.
        devices: what it can run on.
        needs: import packages that have to be installed.
        install: how to get them.
        environment: where the adapter runs, if not beside today's libraries.
        options: passed to the adapter as keywords.
        weights: role -> the file.
    """

    kind: Literal["detector"]
    default: bool = False
    page: str = ""
    licence: str = ""
    adapter: str
    devices: tuple[Device, ...] = Field(default=("cpu",), min_length=1)
    needs: tuple[str, ...] = ()
    install: str = ""
    environment: EnvironmentFacts | None = None
    options: dict[str, Any] = {}
    weights: dict[str, DetectorWeight] = {}
    notes: tuple[str, ...] = ()
