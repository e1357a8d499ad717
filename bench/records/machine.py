"""What a run was made with: the machine, the versions of what can change a number, the checkout."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import bench
from bench.records.manifest import MachineFacts

PACKAGES = (
    "torch",
    "torchvision",
    "open_clip_torch",
    "transformers",
    "numpy",
    "pillow",
    "simplejpeg",
    "decord",
    "av",
    "pyarrow",
)


def versions() -> dict[str, str]:
    """The versions of what can change a number."""
    return {"fer-bench": bench.__version__, "python": platform.python_version(), **installed(PACKAGES)}


def installed(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> MachineFacts:
    """This machine."""
    return MachineFacts(system=platform.platform(), processor=processor(), cores=os.cpu_count())


def revision() -> str:
    """The checkout's git revision, with `+` behind it where files differ from it; empty outside a checkout."""
    here = Path(bench.__file__).parents[1]
    if not (here / ".git").exists():
        return ""
    try:
        describe = ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        return subprocess.run(describe, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
