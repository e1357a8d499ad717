"""Processes that draw: they do every job, hand errors back, need no guarded script and die with their caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from bench.mini.workers import Workers


def test_every_job_is_done_once_and_counted(tmp_path: Path) -> None:
    told: list[int] = []
    with Workers([partial(os.mkdir, tmp_path / str(i)) for i in range(40)], lambda: told.append(1)):
        pass
    assert len(told) == 40 and len(list(tmp_path.iterdir())) == 40


def test_the_error_of_a_job_comes_back_with_its_file_name(tmp_path: Path) -> None:
    jobs = [partial(os.mkdir, tmp_path / "missing" / str(i)) for i in range(4)]
    with pytest.raises(FileNotFoundError) as raised, Workers(jobs, lambda: None):
        pass
    assert str(tmp_path / "missing") in str(raised.value.filename)


def test_a_process_that_dies_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="code 3"), Workers([partial(os._exit, 3)], lambda: None):
        pass


def test_a_script_without_a_guard_does_not_start_itself_again(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import os\nfrom functools import partial\nfrom bench.mini.workers import Workers\nprint('started')\n"
        f"with Workers([partial(os.mkdir, {str(tmp_path / 'made')!r})], lambda: None):\n    pass\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    said = subprocess.check_output([sys.executable, str(script)], text=True, env=env, timeout=60)
    assert said == "started\n" and (tmp_path / "made").is_dir()


def test_workers_end_when_their_caller_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, time\nfrom functools import partial\nfrom bench.mini.workers import Workers\n"
        "with Workers([partial(time.sleep, 300)], lambda: None) as workers:\n"
        "    print(workers.pids[0], flush=True)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    caller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env)
    assert caller.stdout is not None
    worker = int(caller.stdout.readline())
    time.sleep(0.5)
    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _alive(worker):
        time.sleep(0.1)
    assert not _alive(worker)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
