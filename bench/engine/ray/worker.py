"""What a cluster's worker process does: holds networks, and puts what it is given through them. Knows no store and no Ray."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.engine.batch_size import Trial
from bench.engine.device_encoder import Machine
from bench.engine.shards import Shard, Step, TextRows, read_texts
from bench.errors import BenchError, WeightsError
from bench.models.network import Network

SHARED = "every node must see data, weights and cards under the same paths, and run the same fer-bench"


class Worker:
    """Holds the networks of the work in hand, so that a group's shards load them once."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._models: dict[str, Any] = {}

    def ready(self) -> str:
        """Where this worker runs."""
        return f"process {os.getpid()} on {socket.gethostname()}"

    def texts(self, job: tuple[Network, Sequence[str]]) -> TextRows:
        """Texts through the text side of a network.

        Raises:
            BenchError: see `bench.engine.shards.read_texts`.
        """
        network, texts = job
        self._hold([network])
        return read_texts(network, self._model(network), texts)

    def batch_size(self, trial: Trial) -> int:
        """How many inputs a group's networks are given at a time on this worker's device.

        Raises:
            BenchError: an adapter is at fault.
        """
        self._hold([each.network for each in trial.networks])
        return trial.run(self.machine.device, self._model)

    def shard(self, shard: Shard) -> list[Step]:
        """A shard's items through its networks.

        Raises:
            BenchError: an adapter is at fault.
        """
        self._hold([work.network for work in shard.works])
        return list(shard.steps(self.machine, self._model))

    def _hold(self, networks: Sequence[Network]) -> None:
        for key in set(self._models).difference(network.key for network in networks):
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
