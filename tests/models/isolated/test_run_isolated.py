"""A stranger's card with an environment of its own, through `bench run`: a crash costs nothing that was done before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from misbehaving import NUMPY

from bench.records.record import open_record

CARD = f"""
kind = "method"
name = "mine"
media = ["image"]
protocol = "native"

[encoder]
adapter = "mine.py:Mine"
model = "generator"
size = 32
options = {{ log = "LOG" }}

[question]
template = "Which of {{classes}}?"

[environment]
requirements = ["{NUMPY.requirements[0]}"]
"""
ADAPTER = '''
import os
from pathlib import Path

import numpy as np


class Mine:
    """Says what is bright; dies at the third call while the file `whole` is not there."""

    def __init__(self, weights, device, dtype, log):
        self.log, self.calls = Path(log), 0

    def answer(self, pixels, question):
        self.calls += 1
        if self.calls == 3 and not self.log.with_name("whole").exists():
            print("the floor gave way", flush=True)
            os._exit(9)
        with self.log.open("a") as file:
            file.write("x" * len(pixels))
        assert question == "Which of 'happiness', 'sadness', 'anger'?", question
        return [np.array(["happy", "I cannot say"])[int(picture.mean() > 0.5)] for picture in pixels]

    def loglikelihood(self, pixels, question, options):
        raise NotImplementedError
'''


def test_after_a_crash_of_the_worker_the_same_command_goes_on_where_it_was(
    world: Any, environments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache" / "fer-bench").mkdir(parents=True)
    (tmp_path / "cache" / "fer-bench" / "environments").symlink_to(environments)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    log = tmp_path / "log"
    (world.root / "cards" / "mine.toml").write_text(CARD.replace("LOG", str(log)))
    (world.root / "cards" / "mine.py").write_text(ADAPTER)
    command = ("--methods", "mine", "--datasets", "tiny-faces", "--batch", "4")

    crashed = world.run(*command)
    assert crashed.code == 2
    assert "mine: in answer, its worker ended with code 9" in crashed.err
    assert "the floor gave way" in crashed.err
    assert log.read_text() == "x" * 8

    (tmp_path / "whole").touch()
    done = world.run(*command)
    assert done.code == 0, done.err
    assert log.read_text() == "x" * 15
    (part,) = open_record(world.records()[-1]).predictions()
    assert len(part.predictions) == 15
    assert set(part.predictions.tolist()) <= {0, -1}
