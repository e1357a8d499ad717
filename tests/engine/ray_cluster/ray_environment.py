"""The environment of every process that a test of this folder starts."""

from __future__ import annotations

import os
import uuid

# One thread each, so that no sum is taken in another order; and a token of the test's own, since whether Ray asks for one
# otherwise depends on what lies in the user's home.
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": uuid.uuid4().hex,
}
