"""A method of two files, a card and an adapter that is one random matrix: enough to run anything that asks for a network."""

from __future__ import annotations

from pathlib import Path

CARD = """
kind = "method"
name = "{name}"
protocol = "native"
[encoder]
adapter = "{name}.py:Adapter"
size = {size}
{more}
"""
ADAPTER = """
import torch


class Adapter:
    logit_scale = 10.0

    def __init__(self, weights, device, dtype):
        self.map = torch.randn(3 * {size} ** 2, {width}, generator=torch.Generator().manual_seed(0))

    def encode_images(self, pixels):
        return pixels.flatten(1) @ self.map

    def encode_clips(self, pixels):
        return self.encode_images(pixels.mean(1))

    def encode_texts(self, texts):
        return torch.stack([torch.full(({width},), float(len(text))).cos() for text in texts])
"""


def write_method(
    cards: Path, name: str = "plain", size: int = 16, width: int = 8, more: str = "", adapter: str = ADAPTER
) -> None:
    """Put a method into a folder of cards.

    Args:
        size: side of its input.
        width: of its embeddings.
        more: lines for the end of its card, below `[encoder]`.
        adapter: the module, with a class `Adapter`; `{size}` and `{width}` are put in.
    """
    cards.mkdir(parents=True, exist_ok=True)
    (cards / f"{name}.toml").write_text(CARD.format(name=name, size=size, more=more))
    (cards / f"{name}.py").write_text(adapter.replace("{size}", str(size)).replace("{width}", str(width)))
