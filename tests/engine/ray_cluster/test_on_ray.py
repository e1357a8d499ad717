"""`bench run --executor ray` on a real cluster: the same rows as here, also when a worker is killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray_environment import ENVIRONMENT

from bench.records.record import Record, open_record

pytest.importorskip("ray")
WAIT = 120


def rows(store: Path) -> dict[tuple[str, bytes], bytes]:
    """Every row of a store's vision and text artifacts."""
    files = [path for step in ("frames", "texts") for path in store.glob(f"{step}/*/*.npy")]
    return {
        (path.parent.name, bytes(record["digest"])): record["row"].tobytes()
        for path in files
        for record in np.load(path)
    }


def record_of(runs: Path) -> Record:
    (path,) = runs.iterdir()
    return open_record(path)


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_worker_killed_in_the_middle_changes_no_bit(group: Any, head: Any) -> None:
    here = group.start("here")
    said = here.communicate(timeout=WAIT)[1]
    assert here.returncode == 0, said
    for path in group.log.iterdir():
        path.unlink()

    (group.log / "slow").touch()
    there = group.start("there", "--executor", "ray", "--address", head.address)
    deadline = time.monotonic() + WAIT
    while len(group.seen()) < 2:
        assert there.poll() is None and time.monotonic() < deadline, there.communicate()[1]
        time.sleep(0.02)
    killed = next(iter(group.seen()))
    os.kill(killed, signal.SIGKILL)
    (group.log / "slow").unlink()
    said = there.communicate(timeout=WAIT)[1]
    assert there.returncode == 0, said
    assert "up to 3 workers, 1 cores" in said and "a worker was lost, and its work is given to another one" in said
    assert len(group.seen()) > 1

    root = group.world.root
    assert rows(root / "there" / "store") == rows(root / "here" / "store")
    local, remote = (record_of(root / place / "runs") for place in ("here", "there"))
    assert remote.manifest.encoded == local.manifest.encoded
    for one, other in zip(local.predictions(), remote.predictions(), strict=True):
        assert one.cell == other.cell and one.predictions.tolist() == other.predictions.tolist()
        assert np.array_equal(one.scores, other.scores)
    assert not list(root.rglob("*.tmp"))


POOL = """
import logging, os, sys
import ray
from typing import NamedTuple
from bench.engine.pool import Pool
from bench.engine.ray.actors import Actors
from bench.errors import DeviceError

class Job(NamedTuple):
    title: str

class Worker:
    def ready(self):
        return "here"
    def work(self, job):
        if job.title == "deadly":
            os._exit(9)
        if job.title.startswith("/") and not os.path.exists(job.title):
            open(job.title, "w").close()
            raise DeviceError("out of memory")
        return job.title.upper()

logging.basicConfig(format="said %(message)s", stream=sys.stdout)
ray.init(address=sys.argv[1], log_to_driver=False)
actor = ray.remote(Worker).options(num_cpus=1)
pool = Pool(Actors(actor.remote, 2))
for jobs in sys.argv[2:]:
    for job, done in pool.run("work", map(Job, jobs.split())):
        print(job.title, done)
"""


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_work_that_kills_every_worker_ends_the_run_and_costs_no_other_work(head: Any, tmp_path: Path) -> None:
    once = str(tmp_path / "full")
    command = [sys.executable, "-c", POOL, head.address, once, "deadly a b"]
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=WAIT)
    assert "3 workers were lost over the same work, deadly" in run.stderr
    assert "a A" in run.stdout and "b B" in run.stdout and f"{once} {once.upper()}" in run.stdout
    assert run.stdout.count("its work is given to another one: deadly") == 2
    assert f"its work is given to another one: {once} (out of memory" in run.stdout


def test_without_ray_its_extra_is_named(group: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    run = ("--methods", "seen", "--datasets", "tiny-faces")
    answer = group.world.run(*run, "--executor", "ray")
    assert answer.code == 2 and "pip install 'fer-bench[ray]'" in answer.err

    assert group.world.run(*run).code == 0
    answer = group.world.run(*run, "--executor", "ray")
    assert answer.code == 0 and "nothing to encode" in answer.err


def test_a_clusters_options_without_a_cluster_are_refused(group: Any) -> None:
    answer = group.world.run("--methods", "seen", "--datasets", "tiny-faces", "--address", "head:6379")
    assert answer.code == 2 and "--executor ray" in answer.err
