"""Workers that are processes of this machine, one for each device; the work of one that fails goes to the others."""

from __future__ import annotations

import logging
import queue
import sys
import threading
from typing import Any

from bench.engine.device_encoder import Machine
from bench.engine.devices import named
from bench.engine.groups import Outcome, todos_of
from bench.engine.pool import Heard, Pool, Task
from bench.engine.several.messages import request_of, result_of
from bench.engine.spread import spread
from bench.errors import BenchError, counted
from bench.plan.plan import Plan
from bench.process import wire
from bench.process.workers import GoneError, Worker
from bench.store.artifacts import Store

log = logging.getLogger(__name__)


def fill_on_several(plan: Plan, store: Store, machine: Machine) -> Outcome:
    """Compute whatever the plan misses on all of the machine's devices; see `bench.engine.fill.Executor`.

    Raises:
        BenchError: as there; or no device is left.
    """
    outcome = Outcome()
    todos = todos_of(plan, store)
    if not todos:
        return outcome
    devices = DeviceProcesses(machine)
    share = min(each.workers for each in machine.each())
    log.info("on %s: a process each, with %s to decode", named(machine.devices), counted(share, "worker"))
    try:
        spread(todos, store, machine, Pool(devices), outcome)
    finally:
        devices.close()
    outcome.device, outcome.failed = devices.used, list(devices.failed)
    return outcome


class DeviceProcesses:
    """A process for each device of a machine, as `bench.engine.pool.Workers`; a worker is its device's name."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._processes: dict[str, Worker] = {}
        self._listeners: dict[str, threading.Thread] = {}
        self._heard: queue.SimpleQueue[tuple[str, wire.Message | GoneError]] = queue.SimpleQueue()
        self._names: dict[str, str] = {}
        self.failed: dict[str, str] = {}

    @property
    def room(self) -> int:
        """How many devices have not failed."""
        return len(self._machine.devices) - len(self.failed)

    @property
    def used(self) -> str:
        """Each device that came up, as its driver calls it, and which of them failed."""
        return ", ".join(
            f"{device} ({self._names[device]}{', failed' if device in self.failed else ''})"
            for device in self._machine.devices
            if device in self._names
        )

    def start(self) -> str:
        """Start the process of the next device."""
        its = self._machine.each()[len(self._processes)]
        process = Worker("bench.engine.several.serve")
        self._processes[its.device] = process
        listener = threading.Thread(target=self._listen, args=(its.device, process), name=f"hear {its.device}")
        listener.daemon = True
        listener.start()
        self._listeners[its.device] = listener
        import torch  # while the process imports it too

        process.send(
            {
                "device": its.device,
                "workers": its.workers,
                "threads": torch.get_num_threads(),
                "path": sys.path,
                "level": logging.getLogger("bench").getEffectiveLevel(),
            }
        )
        return its.device

    def give(self, worker: str, method: str, job: Any) -> None:
        """Send a job; one that is gone by now is heard to be."""
        self._processes[worker].send(*request_of(method, job))

    def hear(self) -> Heard[str]:
        """Wait for a process.

        Raises:
            BenchError: its job raised, and not because its device failed.
        """
        while True:
            device, message = self._heard.get()
            if device in self.failed:
                continue
            if isinstance(message, GoneError):
                return Heard(device, lost=f"its process ended: {message}")
            body = message.body
            if "said" in body:
                said = body["said"]
                logging.getLogger(said["logger"]).log(said["level"], "%s: %s", device, said["text"])
            elif "error" in body:
                if not body["device"]:
                    raise BenchError(body["error"], body["fix"])
                return Heard(device, lost=body["error"])
            elif "name" in body:
                self._names[device] = body["name"]
                return Heard(device)
            else:
                self._processes[device].forget()
                return Heard(device, result_of(message))

    def lose(self, worker: str, task: Task | None, reason: str) -> None:
        """Say which device failed, and who goes on.

        Raises:
            BenchError: none is left.
        """
        reason = " ".join(reason.split())
        self.failed[worker] = reason
        self._end(worker)
        left = tuple(device for device in self._machine.devices if device not in self.failed)
        if not left:
            every = "; ".join(f"{device}: {why}" for device, why in self.failed.items())
            raise BenchError(
                f"no device is left: {every}",
                "mend that, or name other devices with --device; what was computed before is kept, and the same command "
                "goes on from there",
            )
        if task is None:
            log.warning("%s failed (%s); %s goes on without it", worker, reason, named(left))
        else:
            log.warning("%s failed (%s); its work, %s, is handed on to %s", worker, reason, task.job.title, named(left))

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        for device in self._processes:
            if device not in self.failed:
                self._end(device)

    def _end(self, device: str) -> None:
        self._processes[device].kill()
        self._listeners[device].join()
        self._processes[device].end()

    def _listen(self, device: str, process: Worker) -> None:
        while True:
            try:
                self._heard.put((device, process.receive()))
            except GoneError as error:
                self._heard.put((device, error))
                return
