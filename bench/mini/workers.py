"""Fresh interpreters that draw: `python -m bench.mini.workers` reads its jobs from its input and does them.

The standard library's spawned pools import the caller's script again, which for a script without a guard means that each
worker starts the build anew. These know nothing of the caller, and end when it does, however it ends.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MOST = 8

Job = Callable[[], None]


class Workers:
    """Does jobs in one process per core; leave the `with` block to wait for them.

    Args:
        jobs: picklable, independent of one another and of their order.
        done: called after each job, from several threads.

    Raises:
        Exception: what the first job that failed raised; the others are stopped.
    """

    def __init__(self, jobs: Sequence[Job], done: Callable[[], None]) -> None:
        count = max(1, min(MOST, os.cpu_count() or 1, len(jobs)))
        self._shares = [list(jobs[first::count]) for first in range(count)]
        self._done = done
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Workers:
        # What this process can import, they must find too: the jobs' classes lie there.
        path = os.pathsep.join(dict.fromkeys([str(Path(__file__).parents[2]), *filter(None, sys.path)]))
        for _ in self._shares:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", __name__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": path},
                )
            )
        self._pool = ThreadPoolExecutor(len(self._processes))
        self._running = [
            self._pool.submit(self._attend, *pair) for pair in zip(self._processes, self._shares, strict=True)
        ]
        return self

    @property
    def pids(self) -> list[int]:
        """The ids of the processes."""
        return [process.pid for process in self._processes]

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                for running in self._running:
                    running.result()
        finally:
            for process in self._processes:
                process.kill()
            self._pool.shutdown()
            for process in self._processes:
                process.wait()

    def _attend(self, process: subprocess.Popen[bytes], share: list[Job]) -> None:
        assert process.stdin is not None and process.stdout is not None
        finished = 0
        with process.stdin, process.stdout:
            try:
                pickle.dump(share, process.stdin)
                process.stdin.flush()
            except BrokenPipeError:
                pass
            for line in process.stdout:
                if line != b"\n":
                    raise pickle.loads(bytes.fromhex(line.decode()))
                finished += 1
                self._done()
        if finished < len(share):
            raise RuntimeError(f"a drawing process ended with code {process.wait()} before its work was done")


def main() -> None:
    """Do the jobs that come in; write an empty line for each, or the error of one in hexadecimal and end."""
    out, sys.stdout = sys.stdout, sys.stderr
    jobs: list[Job] = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_caller, daemon=True).start()
    for job in jobs:
        try:
            job()
            said = ""
        except Exception as error:
            said = pickle.dumps(error).hex()
        print(said, file=out, flush=True)
        if said:
            return


def _end_with_caller() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    main()
