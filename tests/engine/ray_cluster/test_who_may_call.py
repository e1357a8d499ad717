"""A Ray that `bench` starts answers nobody who lacks the token of the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SERVE = """
from bench.engine.ray.driver import connected

with connected("") as ray:
    print(ray.get_runtime_context().gcs_address, flush=True)
    input()
"""
CALL = """
import sys
import ray

ray.init(address=sys.argv[1], log_to_driver=False)
print("ran", ray.get(ray.remote(lambda: 6 * 7).remote()))
"""


@pytest.mark.slow
def test_a_caller_without_the_token_is_refused(tmp_path: Path) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # A user's own token in the home folder would be found by both.
    plain |= {"HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"}
    serving = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        env=plain,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert serving.stdout is not None
        address = serving.stdout.readline().strip()
        assert ":" in address
        for mode in ({}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}):
            command = [sys.executable, "-c", CALL, address]
            answer = subprocess.run(command, env=plain | mode, capture_output=True, text=True, timeout=120, check=False)
            assert answer.returncode != 0 and "ran 42" not in answer.stdout
            assert "uthenticat" in answer.stderr, answer.stderr
    finally:
        serving.communicate("\n", timeout=60)
    assert not (tmp_path / ".ray" / "auth_token").exists()
