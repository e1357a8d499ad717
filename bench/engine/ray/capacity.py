"""How many workers a cluster has room for, and what each takes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.errors import BenchError


@dataclass(frozen=True)
class Capacity:
    """What one worker takes, and how many there may be.

    Attributes:
        cpus: cores per worker: its decoding threads.
        gpus: share of a GPU per worker; 0 where the towers run on the CPU.
        workers: how many there may be.
    """

    cpus: int
    gpus: float
    workers: int


def capacity_of(resources: Mapping[str, float], *, device: str, gpus: float, cpus: int, workers: int = 0) -> Capacity:
    """Share a cluster out.

    Args:
        resources: what Ray says the whole cluster has: `CPU`, `GPU`.
        device: `cpu`, or `cuda`.
        gpus: share of a GPU that a worker takes: 0.25 puts four on one; only with `cuda`.
        cpus: cores that a worker takes; with `cuda` at most as many as there are for each share of a GPU.
        workers: how many the user wants (an autoscaling cluster grows to them); 0 is as many as fit now.

    Raises:
        BenchError: nothing fits, or the device is one that Ray cannot share out.
    """
    if device not in ("cpu", "cuda"):
        raise BenchError(
            f"--device {device} with --executor ray", "use cpu or cuda: Ray chooses the GPU of each worker"
        )
    if device == "cuda" and gpus > 1 and gpus != int(gpus):
        raise BenchError(f"--gpus {gpus:g}", "a worker takes a share of one GPU, or whole ones")
    have_cpus, have_gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    share = gpus if device == "cuda" else 0.0
    shares = int(have_gpus / share + 1e-9) if share else 0
    if share and shares:
        cpus = max(1, min(cpus, int(have_cpus) // shares))
    fit = int(have_cpus) // cpus
    if share:
        fit = min(fit, shares)
    if not (workers or fit):
        wanted = f"{cpus} cores" + (f" and {share:g} GPUs" if share else "")
        raise BenchError(
            f"a worker takes {wanted}; the cluster has {have_cpus:g} cores and {have_gpus:g} GPUs",
            "lower --workers (cores per worker) or --gpus, or add nodes with ray start --address",
        )
    return Capacity(cpus, share, workers or fit)
