"""The most memory that a command of ours needs at once."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import NamedTuple

# ru_maxrss starts at what the parent had when it forked, VmHWM at nothing.
CODE = """
import pathlib, re, sys
from bench.cli import main
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
print(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1], file=sys.stderr)
"""


class Peak(NamedTuple):
    """What a command printed, its peak of resident memory in KiB, and how long it took."""

    out: str
    kib: int
    seconds: float


def peak_of(*args: str) -> Peak:
    """Run `bench ARGS` in a process of its own; it must succeed."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CODE, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Peak(done.stdout, int(done.stderr.split()[-1]), time.perf_counter() - begun)
