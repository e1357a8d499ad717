"""The wheel alone, in an empty environment outside the checkout: cards and miniature are inside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_wheel_alone_lists_its_cards_and_runs_the_miniature(tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    # The checkout must not be found by the side door.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "VIRTUAL_ENV": str(tmp_path / "venv")}
    # uv's own cache of downloads is not what is tested.
    env["UV_CACHE_DIR"] = (
        os.environ.get("UV_CACHE_DIR") or subprocess.check_output([uv, "cache", "dir"], text=True).strip()
    )

    def call(*command: str | Path) -> str:
        done = subprocess.run(
            [str(part) for part in command], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    call(uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path / "dist", CHECKOUT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    call(uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    call(uv, "pip", "install", "--quiet", wheel)
    bench = tmp_path / "venv" / "bin" / "bench"
    for kind in ("method", "dataset", "prompts", "question", "paper"):
        assert "now: bench" in call(bench, "new", "mine", "--kind", kind, "--to", str(tmp_path / kind))
        assert "ok" in call(bench, "check-card", *map(str, (tmp_path / kind).glob("*.toml")))
    listing = call(bench, "list")
    assert "exp-clip" in listing and "ferv39k" in listing and "P-5-printed" in listing and "Table B" in listing
    table = call(bench, "run", "--table", "2", "--mini", "--datasets", "raf-db,afew", "--methods", "clip")
    assert "ViT-B/32" in table and "miniature" in table
    assert str(CHECKOUT) not in call(tmp_path / "venv" / "bin" / "python", "-c", "import bench; print(bench.__file__)")
