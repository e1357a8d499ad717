"""What a worker process does: holds networks, and puts what it is given through them.

It may be on a cluster or work for a device of this machine: it knows no store, and not who started it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from bench.data.loader import get_ready
from bench.engine.batch_size import Trial
from bench.engine.device_encoder import Machine
from bench.engine.shards import Shard, Step, TextRows, read_texts
from bench.errors import BenchError, WeightsError, counted
from bench.models.network import Network

SHARED = "every node must see data, weights and cards under the same paths, and run the same fer-bench"


class TextJob(NamedTuple):
    """Texts for a network's text side.

    Attributes:
        beside: keys of networks that are needed next; those that are loaded stay.
    """

    network: Network
    texts: Sequence[str]
    beside: Sequence[str]

    @property
    def title(self) -> str:
        """For a line to the user."""
        return f"{counted(len(self.texts), 'text')} for {self.network.method}"


class Worker:
    """Holds the networks of the work in hand, so that a group's shards load them once."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._models: dict[str, Any] = {}

    def ready(self) -> str:
        """Where this worker runs."""
        return f"process {os.getpid()} on {socket.gethostname()}"

    def texts(self, job: TextJob) -> TextRows:
        """Texts through the text side of a network.

        Raises:
            BenchError: see `bench.engine.shards.read_texts`.
        """
        self._hold([job.network.key, *job.beside])
        return read_texts(job.network, self._model(job.network), job.texts)

    def batch_size(self, trial: Trial) -> int:
        """How many inputs a group's networks are given at a time on this worker's device.

        Raises:
            BenchError: an adapter is at fault.
        """
        self._hold([each.network.key for each in trial.networks])
        return trial.run(self.machine.device, self._model)

    def shard(self, shard: Shard) -> list[Step]:
        """A shard's items through its networks.

        Raises:
            BenchError: an adapter is at fault.
        """
        self._hold([work.network.key for work in shard.works])
        get_ready(self.machine.workers, len(shard.items))
        return list(shard.steps(self.machine, self._model))

    def _hold(self, keys: Sequence[str]) -> None:
        for key in set(self._models).difference(keys):
            del self._models[key]

    def _model(self, network: Network) -> Any:
        if network.key not in self._models:
            for path in network.weights.values():
                if not path.exists():
                    raise WeightsError(f"{network.method}: {path} is not on node {socket.gethostname()}", SHARED)
            here = replace(network, _identity={}).identity
            if here != network.identity:
                raise BenchError(
                    f"{network.method}: node {socket.gethostname()} has version {here['version']} of its adapter, "
                    f"and this machine has {network.identity['version']}",
                    SHARED,
                )
            self._models[network.key] = network.load(self.machine.device)
        return self._models[network.key]
