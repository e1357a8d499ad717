"""The help is there at once; this one is held in every run of the tests, not only where speed is measured."""

from __future__ import annotations

import subprocess
import sys
import time

RUNS = 7
# 0.33 s on the machine that was promised for, where Python with click alone takes 0.066 s.
PROMISED = 5.0


def seconds(*arguments: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begun


def test_help_takes_no_more_than_five_times_what_click_alone_takes() -> None:
    """The best of seven runs against the best of seven of `import click`, turn by turn.

    Both start an interpreter on the same machine in the same minute, so a slow or busy one slows both; the best run is
    the one that the other work hindered least.
    """
    pairs = [(seconds("-m", "bench.cli", "--help"), seconds("-c", "import click")) for _ in range(RUNS)]
    ours, clicks = (min(times) for times in zip(*pairs, strict=True))
    assert ours <= PROMISED * clicks, f"{ours:.3f} s, and click alone {clicks:.3f} s"
