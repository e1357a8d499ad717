"""A worker whose parent is gone, or no longer listens, ends by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from misbehaving import ADAPTERS

PARENT = """
import sys
from pathlib import Path

import torch
sys.path.insert(0, sys.argv[1])
from misbehaving import NUMPY

from bench.models import contract
from bench.models.isolated.proxy import load_isolated

model = load_isolated(
    NUMPY.model_copy(update={"timeout": float(sys.argv[2])}), sys.argv[3] + ":Generator", {"model": Path("weights")}, "cpu",
    "float32", {}, contract=contract.Generator, method="mine", root=Path(sys.argv[4])
)
model.answer(torch.zeros(1, 3, 4, 4), "hang with a child")
"""


def running(pid: int) -> bool:
    """Whether a process is there and not only waiting to be counted out."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")
@pytest.mark.parametrize(("sent", "timeout", "ended"), [(signal.SIGKILL, 600, 2), (signal.SIGSTOP, 1, 1)])
def test_a_worker_in_the_midst_of_a_call_does_not_outlive_its_parent(
    environments: Path, tmp_path: Path, sent: signal.Signals, timeout: int, ended: int
) -> None:
    adapters, pids = tmp_path / "adapters.py", tmp_path / "pids"
    adapters.write_text(ADAPTERS)
    arguments = [str(Path(__file__).parent), str(timeout), str(adapters), str(environments)]
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *arguments], env={**os.environ, "PIDS": str(pids)})
    workers: list[int] = []
    try:
        until = time.monotonic() + 60
        while not (pids.exists() and pids.read_text().endswith("\n")):
            assert time.monotonic() < until and parent.poll() is None
            time.sleep(0.02)
        workers = [int(pid) for pid in pids.read_text().split()]
        assert all(running(pid) for pid in workers)
        parent.send_signal(sent)
        until = time.monotonic() + 15
        while any(running(pid) for pid in workers[:ended]) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(running(pid) for pid in workers[:ended])
    finally:
        parent.kill()
        parent.wait()
        for pid in workers:
            if running(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_worker_multiplies_in_float32_also_after_the_adapter_switched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own functions are called, because an environment with torch takes minutes to build."""
    import torch

    from bench.models.isolated import worker
    from bench.process.wire import Message

    class Asked:
        def state(self) -> list[str]:
            return [str(torch.backends.cuda.matmul.allow_tf32), str(torch.backends.cudnn.allow_tf32)]

    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        found, _ = worker._called(Asked(), Message({"call": "state", "arguments": []}, []), "cpu")
        assert found == {"value": ["False", "False"]}
        monkeypatch.setattr(worker, "_TF32", True)
        found, _ = worker._called(Asked(), Message({"call": "state", "arguments": []}, []), "cpu")
        assert found == {"value": ["True", "True"]}
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
