"""What a network is asked about one input."""

from __future__ import annotations

from typing import NamedTuple


class Ask(NamedTuple):
    """One thing that a network is asked about an input; nothing at all, of an encoder.

    Attributes:
        text: what a joint scorer scores the input against, or a generator's question.
        option: the answer whose likelihood is wanted; None where the generator answers in its own words.
    """

    text: str = ""
    option: str | None = None

    @property
    def encoded(self) -> bytes:
        """What tells it apart in the key of a stored row; empty for an encoder."""
        return (self.text if self.option is None else f"{self.text}\0{self.option}").encode()


EMBED = Ask()
