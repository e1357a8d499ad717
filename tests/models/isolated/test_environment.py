"""Environments are built once, whole or not at all, and a failure says what the installer said."""

from __future__ import annotations

import logging
import subprocess
import threading
from pathlib import Path

import pytest
from misbehaving import NUMPY

from bench.cards.environment import EnvironmentFacts
from bench.errors import BenchError
from bench.models.isolated.environment import COMPLETE, ensure, folder_of, is_built

SMALL = EnvironmentFacts(requirements=("iniconfig==2.0.0",))


def test_an_environment_holds_what_its_card_asks_for_and_nothing_of_ours(environments: Path) -> None:
    python = ensure(NUMPY, environments, method="mine")
    script = "import sys, numpy; print(sys.version_info[:2], numpy.__version__ < '2.3'); import torch"
    done = subprocess.run([python, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "(3, 11) True"
    assert "No module named 'torch'" in done.stderr


def test_an_environment_that_is_there_is_not_built_again(environments: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bench")
    marker = folder_of(NUMPY, environments) / COMPLETE
    before = marker.stat().st_mtime_ns
    ensure(NUMPY, environments, method="mine")
    assert caplog.messages == []
    assert marker.stat().st_mtime_ns == before


def test_what_a_killed_build_left_is_removed_and_built_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bench")
    left = folder_of(SMALL, tmp_path)
    left.mkdir()
    (left / "half.txt").write_text("")
    assert not is_built(SMALL, tmp_path)
    python = ensure(SMALL, tmp_path, method="mine")
    assert is_built(SMALL, tmp_path)
    assert not (left / "half.txt").exists()
    assert subprocess.run([python, "-c", "import iniconfig"]).returncode == 0
    assert "half built" in caplog.messages[0]
    assert "ready after" in caplog.messages[-1]


def test_two_who_ask_at_once_get_one_build(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bench")
    threads = [threading.Thread(target=ensure, args=(SMALL, tmp_path), kwargs={"method": "mine"}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert is_built(SMALL, tmp_path)
    assert sum("building" in line for line in caplog.messages) == 1


def test_a_requirement_that_cannot_be_met_is_quoted_in_the_installers_words(tmp_path: Path) -> None:
    facts = EnvironmentFacts(requirements=("iniconfig==2.0.0", "iniconfig==1.0.0"))
    with pytest.raises(
        BenchError, match=r"(?s)mine: its environment could not be built.*iniconfig==1.0.0.*unsatisfiable"
    ):
        ensure(facts, tmp_path, method="mine")
    assert not is_built(facts, tmp_path)


def test_a_python_that_does_not_exist_is_quoted(tmp_path: Path) -> None:
    facts = EnvironmentFacts(python="3.99", requirements=("numpy",))
    with pytest.raises(BenchError, match=r"(?s)mine: .*uv venv ended with code.*3\.99"):
        ensure(facts, tmp_path, method="mine")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match=r"cannot be built in .*file"):
        ensure(SMALL, tmp_path / "file", method="mine")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (EnvironmentFacts(requirements=("b", "a")), True),
        (EnvironmentFacts(requirements=("a", "b", "a"), timeout=1, loading=2), True),
        (EnvironmentFacts(requirements=("a", "b==1")), False),
        (EnvironmentFacts(requirements=("a",)), False),
        (EnvironmentFacts(requirements=("a", "b"), python="3.12"), False),
    ],
)
def test_its_key_is_what_is_in_it_and_nothing_else(other: EnvironmentFacts, same: bool) -> None:
    assert (EnvironmentFacts(requirements=("a", "b")).key == other.key) is same
