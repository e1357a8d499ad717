"""The examples in the door's docstrings run as they are written."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from bench.api import doors, record, session


@pytest.mark.parametrize("module", [doors, record, session])
def test_examples(module: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
