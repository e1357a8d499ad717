"""`bench run` in real processes that begin with the libraries loaded: fifty runs cost fifty runs, not fifty times torch."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

LOADED = (
    "torch",
    "open_clip",
    "pandas",
    "pyarrow.parquet",
    "bench.cli.run",
    "bench.run.run",
    "bench.models.adapters.open_clip",
    "forked",
)
ROWS_PER_SHARD = 16  # so that a kill finds some shards written and one in hand


def start(arguments: Sequence[str], log: Path) -> BaseProcess:
    """Begin a command in a process of its own; what it says goes to a file."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    process = context.Process(target=begin, args=(list(arguments), str(log)))
    process.start()
    return process


def begin(arguments: Sequence[str], log: str) -> None:
    """Be the command; does not come back."""
    import bench.store.artifacts
    from bench.cli import main

    said = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.argv = ["bench", *arguments]
    bench.store.artifacts.ROWS_PER_SHARD = ROWS_PER_SHARD
    main(arguments)
