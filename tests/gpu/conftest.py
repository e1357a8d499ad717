"""What only a GPU shows. Where there is none, what a CPU can do of it runs there, and each other test says so in one line."""

from __future__ import annotations

import pytest
from gpus import gpu_only


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=gpu_only)])
def device(request: pytest.FixtureRequest) -> str:
    """Where a test runs: on the CPU always, so that the test itself is known to be sound, and on a GPU where there is one."""
    name: str = request.param
    return name
