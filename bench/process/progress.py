"""Progress for whoever waits: bars on the error stream, and only for work that lasts."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from bench.process.terminal import bare, printable

log = logging.getLogger(__name__)


# What a caller hears of work: its title, how many units are done, and how many there are.
Listener = Callable[[str, int, int], None]
_listener: ContextVar[Listener | bool] = ContextVar("listener", default=False)


@contextmanager
def heard_by(listener: Listener | bool) -> Iterator[None]:
    """Meanwhile all progress goes to a function instead; True draws bars also where no messages are heard."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class Bar(Protocol):
    """What is told that work has been done."""

    def advance(self, count: int) -> None:
        """Some more units are done."""
        ...


class _Quiet:
    def advance(self, count: int) -> None:
        """Nothing to show."""


class _Heard:
    """For a caller who wants to know."""

    def __init__(self, title: str, total: int, listener: Listener) -> None:
        self._title, self._total, self._listener, self._done = title, total, listener, 0

    def advance(self, count: int) -> None:
        self._done += count
        self._listener(self._title, self._done, self._total)


class _Lines:
    """For a log: a line every ten seconds instead of a moving bar."""

    def __init__(self, title: str, total: int, unit: str) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = 0
        self.begun = self.last = time.monotonic()

    def advance(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.last > 10:
            self.last = now
            rate = self.done / (now - self.begun)
            left = (self.total - self.done) / rate
            log.info("%s: %d/%d %s, %.0f/s, %.0f s left", self.title, self.done, self.total, self.unit, rate, left)


@contextmanager
def bar(title: str, total: int, unit: str, *, show: bool = True) -> Iterator[Bar]:
    """A progress bar with rate and time left; a terminal sees it move, a log gets lines, and who hears no messages gets none."""
    listener = _listener.get()
    if callable(listener) and total:
        yield _Heard(title, total, listener)
        return
    if not show or not total or not (listener or log.isEnabledFor(logging.INFO)):
        yield _Quiet()
        return
    if not sys.stderr.isatty():
        yield _Lines(title, total, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=bare(sys.stderr)), transient=True) as progress:
        task = progress.add_task(printable(title), total=total, rate="")

        class _Rich:
            def advance(self, count: int) -> None:
                progress.advance(task, count)
                speed = progress.tasks[task].speed
                progress.update(task, rate=f"{speed:.0f}/s" if speed else "")

        yield _Rich()
