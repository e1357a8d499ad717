"""The process that works for one device; `bench.engine.several.processes` starts it and talks to it.

The first request says which device; the others are jobs of `bench.engine.several.messages`. What the log says goes to whoever
asks. Once its device has failed the process ends, since nothing can be done on it any more; and it ends when whoever asks
does, however that ends and whatever it is doing.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
from typing import Any, BinaryIO

from bench.engine.device_encoder import Machine
from bench.engine.devices import device_name
from bench.engine.several.messages import answer_of, job_of
from bench.engine.worker import Worker
from bench.errors import BenchError, DeviceError
from bench.models.faults import of_device
from bench.process import wire


class Answers(logging.Handler):
    """The way back, for answers and for what the log says meanwhile; several threads may use it."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._sending = threading.Lock()

    def send(self, answer: wire.Message) -> None:
        """Send one message whole."""
        with self._sending:
            wire.send(self._stream, *answer)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line of the log."""
        said = {"logger": record.name, "level": record.levelno, "text": record.getMessage()}
        self.send(wire.Message({"said": said}, []))


def main() -> None:
    """Do jobs until there are no more, or the device fails."""
    requests, answers = _streams()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks is told, and ends this process
    first = wire.receive(requests).body
    waiting: queue.SimpleQueue[wire.Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, waiting), name="listen", daemon=True).start()
    log = logging.getLogger("bench")
    log.setLevel(first["level"])
    log.addHandler(answers)
    try:
        worker = _opened(first)
        answers.send(wire.Message({"name": device_name(first["device"])}, []))
        while True:
            request = waiting.get()
            method = request.body["call"]
            answers.send(answer_of(method, getattr(worker, method)(job_of(request))))
    except Exception as error:
        answers.send(wire.Message(_told(error), []))


def _opened(first: dict[str, Any]) -> Worker:
    """A worker on its device, where adapters are found as they are by whoever asks."""
    sys.path += [place for place in first["path"] if place not in sys.path]
    device = first["device"]
    import torch

    torch.set_num_threads(first["threads"])
    try:
        if device.startswith("cuda"):
            torch.cuda.set_device(device)  # or pinned memory would be asked of the first
        torch.zeros(1, device=device)
    except Exception as error:
        raise DeviceError(f"{type(error).__name__}: {error}") from error
    return Worker(Machine(device, workers=first["workers"], show=False))


def _told(error: Exception) -> dict[str, Any]:
    if isinstance(error, BenchError):
        return {"error": error.what, "fix": error.fix, "device": isinstance(error, DeviceError)}
    return {"error": f"{type(error).__name__}: {error}", "fix": "", "device": of_device(error)}


def _listen(requests: BinaryIO, waiting: queue.SimpleQueue[wire.Message]) -> None:
    """Pass requests on until the other side is gone; then end this process, also in the midst of a job."""
    try:
        while True:
            waiting.put(wire.receive(requests))
    except (EOFError, OSError, ValueError):
        os._exit(1)


def _streams() -> tuple[BinaryIO, Answers]:
    """The pipes, moved to where nothing writes or reads by accident; what a library prints goes to the errors."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, Answers(answers)


if __name__ == "__main__":
    main()
