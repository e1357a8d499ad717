"""The processes that decode, pictures and videos alike, and what becomes of one that ends while it should answer.

A process is started when none is idle, so there are never more of them than threads that ask; it is used again for the next
request, and ends with this process, also when this one is killed. Nothing that a file does to a decoder leaves it.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Generator
from typing import Any

from bench.data.shared import SharedMemory
from bench.errors import BenchError, DataError
from bench.process import wire
from bench.process.workers import GoneError, Pool, Worker

# The pixels of pictures go through it.
MEMORY = SharedMemory()


class CrashedError(DataError):
    """A decoder ended while it worked, or gave nothing in time."""


def started() -> Worker:
    """A process that decodes."""
    return Worker("bench.data.decode_worker", (MEMORY.fd,))


POOL = Pool(started)
atexit.register(POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.leave_behind)
    os.register_at_fork(after_in_child=MEMORY.leave_behind)


def ask(what: str, request: dict[str, Any], seconds: float) -> Generator[wire.Message, None, None]:
    """The answers to one request; the process goes back to the idle ones only when the last of them has been taken.

    Args:
        what: the file, for errors.
        request: see `bench.data.decode_worker`.
        seconds: after which a process without a sign of life ends itself.

    Raises:
        CrashedError: the process ended or gave nothing in time.
        DataError: the file cannot be decoded.
        BenchError: what the request wants cannot be done with any file.
    """
    request = {"seconds": seconds, "memory": MEMORY.fd, **request}
    worker, waited = POOL.take(request)
    whole, begun = False, False
    try:
        while True:
            try:
                answer = worker.receive()
            except GoneError as error:
                if error.late:
                    raise CrashedError(
                        f"{what}: its decoder gave no frame within {seconds:.0f} s", "fetch the file again"
                    ) from None
                # One that had waited may have been ending already when it was asked: that is not the file's doing.
                if not waited or begun:
                    raise CrashedError(f"{what}: its decoder crashed ({error.how})", "fetch the file again") from None
                worker.end()
                worker, waited = POOL.start(request), False
                continue
            begun = True
            whole = bool(answer.body.keys() & {"done", "length", "error", "failures"})
            if "error" in answer.body:
                kind = DataError if answer.body["data"] else BenchError
                raise kind(answer.body["error"], answer.body["fix"])
            if "done" in answer.body:
                return
            yield answer
            if whole:
                return
    finally:
        if whole:
            POOL.give_back(worker)
        else:
            worker.end()
