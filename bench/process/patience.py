"""A word for whoever waits for code that is not ours and may never come back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

SECONDS = 60.0


@contextmanager
def word_when_late(what: str) -> Iterator[None]:
    """Warn, every minute, that something has not come back yet, and that it may be stopped.

    Code in this process cannot be ended from outside; an adapter with an [environment] runs in a worker, and can.
    """
    back = threading.Event()

    def watch() -> None:
        waited = 0.0
        while not back.wait(SECONDS):
            waited += SECONDS
            log.warning(
                "%s has not come back for %.0f s; Ctrl-C stops it, and what was computed before is kept", what, waited
            )

    watcher = threading.Thread(target=watch, name="patience", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        back.set()
