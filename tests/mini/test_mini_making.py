"""The commands that make the miniature's weights anew, at the smallest size."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from bench.mini import making, teacher, train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "FEWEST_FACES", 66)
    monkeypatch.setattr(train, "COURSES", {"B32": train.COURSES["B32"]._replace(steps=1000)})


def command(monkeypatch: pytest.MonkeyPatch, module: object, *args: object) -> None:
    monkeypatch.setattr(sys, "argv", ["-m", *map(str, args)])
    module.main()  # type: ignore[attr-defined]


def shapes(path: Path) -> dict[str, list[int]]:
    with safe_open(path, "pt") as file:
        return {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 - not a dict


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_one_command_makes_towers_heads_and_teacher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "not" / "there"
    command(monkeypatch, train, "--scale", "0.001", "--threads", "1", "--out", out)
    assert {path.name for path in out.iterdir()} == {
        "clip_B32.safetensors",
        "expclip_B32.safetensors",
        "blip2.safetensors",
    }
    for path in out.iterdir():
        assert path.stat().st_mode & 0o444 == 0o444
        shipped = shapes(making.WEIGHTS / path.name)
        made = shapes(path)
        assert made.keys() == shipped.keys()
        assert all(made[key] == shape for key, shape in shipped.items() if not key.startswith("token"))  # words differ


def test_a_quick_try_never_replaces_what_ships(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (train, teacher):
        with pytest.raises(SystemExit):
            command(monkeypatch, module, "--scale", "0.5")
        assert "name --out DIR" in capsys.readouterr().err


def test_a_teacher_without_a_tower_to_look_through_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"clip_B32.safetensors is missing\n  fix: `python -m bench.mini.train`"):
        command(monkeypatch, teacher, "--out", tmp_path)
