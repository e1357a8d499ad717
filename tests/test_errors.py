"""What every message shares."""

from __future__ import annotations

import pytest

from bench.errors import counted


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [(0, "sample", "0 samples"), (1, "sample", "1 sample"), (2, "sample", "2 samples"), (2, "class", "2 classes")],
)
def test_a_number_of_things_has_the_things_in_the_right_number(number: int, noun: str, words: str) -> None:
    assert counted(number, noun) == words
