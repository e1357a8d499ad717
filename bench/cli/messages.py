"""What the house logs, as lines for whoever sits at the command line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

from bench.process.terminal import printable


class _ErrorStream(logging.Handler):
    """Writes to the error stream as it is at that moment, which may be another one than at the start."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            # A progress bar may have taken the stream's place, so the line is made printable here.
            click.echo(printable(self.format(record)), err=True)
        except Exception:
            self.handleError(record)


@contextmanager
def messages(*, verbose: bool, quiet: bool) -> Iterator[None]:
    """While this is open, what `bench` logs goes to the error stream.

    Args:
        verbose: also what only helps to find a fault, and every line with its time and the module that says it.
        quiet: warnings and errors only.
    """
    logger = logging.getLogger("bench")
    handler = _ErrorStream()
    if verbose:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    before = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)
    # A library that configures the root logger would show every line twice.
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
