"""The commands that make the miniature's weights anew, in a quick try."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import making
import pytest
import teacher
import train
from safetensors import safe_open

ROOT = Path(__file__).resolve().parents[2]


def shapes(path: Path) -> dict[str, list[int]]:
    with safe_open(path, "pt") as file:
        return {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 - not a dict


@pytest.mark.slow
def test_one_command_makes_towers_heads_and_teacher(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tools" / "miniature" / "train.py"), "--scale", "0.002", "--threads", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "build" / "miniature"
    shipped = {path.name for path in making.WEIGHTS.glob("*.safetensors")}
    assert {path.name for path in out.iterdir()} == shipped
    for path in out.iterdir():
        assert path.stat().st_mode & 0o444 == 0o444
        before, made = shapes(making.WEIGHTS / path.name), shapes(path)
        assert made.keys() == before.keys()
        assert all(made[key] == shape for key, shape in before.items() if not key.startswith("token"))  # words differ


def command(monkeypatch: pytest.MonkeyPatch, module: object, *args: object) -> None:
    monkeypatch.setattr(sys, "argv", ["-m", *map(str, args)])
    module.main()  # type: ignore[attr-defined]


def test_a_quick_try_never_replaces_what_ships(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (train, teacher):
        with pytest.raises(SystemExit):
            command(monkeypatch, module, "--scale", "0.5", "--out", making.WEIGHTS)
        assert "name another --out DIR" in capsys.readouterr().err


def test_a_teacher_without_a_tower_to_look_through_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"clip_B32.safetensors is missing\n  fix: `python tools/miniature/train.py`"):
        command(monkeypatch, teacher, "--out", tmp_path)
