"""The card of an input protocol: how pictures become pixels, and which frames of a clip are seen."""

from __future__ import annotations

from typing import Literal

from bench.cards.input_protocol import FrameSampling, Pixels
from bench.cards.schema import Card


class ProtocolCard(Card):
    """An input protocol that any method can be run with."""

    kind: Literal["protocol"]
    pixels: Pixels = Pixels()
    frames: FrameSampling = FrameSampling()
