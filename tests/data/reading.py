"""Readers called as a dataset calls them: every sample taken, and looked at together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench.data.datasets import collected
from bench.data.samples import Sample


def reading(reader: Callable[..., Iterator[Sample]]) -> Callable[..., list[Sample]]:
    """The reader, but every sample is read at once, so that what is wrong is said at once."""

    def read(*args: Any, **options: Any) -> list[Sample]:
        return list(collected(reader(*args, **options), "test"))

    return read
