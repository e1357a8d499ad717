"""What every test shares: no network, the command line in this process, and a small world on disk to run it in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings
from small_world import Answer, World, write_datasets, write_weights

# How long an example takes says more about the machine's other work than about us.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

# Inherited by every command a test starts: a hub library that would ask its hub fails at once instead.
os.environ["HF_HUB_OFFLINE"] = "1"
# Commands that tests start share their compiled files, whatever the machine's setting: from source torch takes seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(tempfile.gettempdir()) / "fer-bench-compiled"))
# Test processes that share the cores with one another are fastest with one thread each.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A file goes to one process whole, so those that take longest begin first, or the others would wait for them at the end.
LONGEST = (
    "test_miniature.py",
    "test_wheel.py",
    "test_blip2.py",
    "test_disk.py",
    "test_mini_making.py",
    "test_mini_world.py",
)
# The pages need what `test_miniature.py` computes, and would wait for it.
LAST = "test_documentation.py"
TABLES = ("1", "2", "3", "4", "5", "A", "B")
# glibc gives large blocks back at once and asks for them anew at every layer: six hundredths of the towers' time.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, see `LONGEST`, and `LAST` last. Within a file, and among the others, all keep their place."""
    places = {name: place for place, name in enumerate(LONGEST)} | {LAST: len(LONGEST) + 1}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """The command line, called in this process."""
    from bench.cli import main

    def call(*args: str) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(arg) for arg in args])
        said = capsys.readouterr()
        return Answer(int(left.value.code or 0), said.out, said.err)

    return call


@pytest.fixture(scope="session")
def built_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, clips as frames and clips as videos of three classes, and tiny CLIPs and heads with random weights."""
    root = tmp_path_factory.mktemp("world")
    write_datasets(root)
    write_weights(root / "weights")
    return root


@pytest.fixture
def world(built_world: Path, tmp_path: Path, bench: Callable[..., Answer]) -> World:
    """A copy of the small world that a test may break."""
    root = tmp_path / "world"
    shutil.copytree(built_world, root)
    return World(root, bench)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tiny networks are slower on several threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def miniature_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole paper on the miniature, run from cold once for all test processes: a folder with its `store` and its `runs`.

    Whoever works on a page names a folder in MINIATURE_RUN, which is filled the first time and found the next.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    root = Path(os.environ.get("MINIATURE_RUN") or shared / "miniature-run")
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "lock"):
        if not (root / "runs").is_dir():
            tables = [part for name in TABLES for part in ("--table", name)]
            places = ["--store", str(root / "store"), "--out", str(root / "runs")]
            run = [sys.executable, "-m", "bench.cli", "run", *tables, "--mini", *places]
            done = subprocess.run(run, env=os.environ | KEEP_MEMORY, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
    return root
