"""`bench new`."""

from __future__ import annotations

from pathlib import Path

import click

CARD = """kind = "method"
name = "{name}"
title = "{name}"
page = ""                       # where your method lives
protocol = "native"             # the pixels below; `bench run --protocol paper` overrides
# prompts = "NAME"              # `bench list prompts`; the default paper's where this line is left out
trained_on = []                 # test sets whose clips or labels your weights have seen

[encoder]
adapter = "adapter.py:Adapter"  # the class beside this card
sees = "images"                 # or "clips"
size = 224
weights = {{}}                    # role = "file", looked up below --weights
options = {{}}                    # keywords for the class

[native.pixels]
resize = "shortest"             # then a centre crop; or "squash"
interpolation = "bicubic"
mean = [0.48145466, 0.4578275, 0.40821073]
std = [0.26862954, 0.26130258, 0.27577711]

[native.frames]
rule = "segments"
count = 16
"""

ADAPTER = '''"""{name}: an adapter to start from. `bench.models.contract` explains the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Adapter:
    """Replace the two encoders by your own; everything else can stay."""

    logit_scale = 100.0

    def __init__(self, weights: Mapping[str, Path], device: str, dtype: str) -> None:
        import torch  # here and not above, so that listing and planning stay quick

        generator = torch.Generator().manual_seed(0)
        self.projection = torch.randn(3 * 8 * 8, 64, generator=generator).to(device)
        self.letters = torch.randn(256, 64, generator=generator).to(device)

    def encode_images(self, pixels: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] to [B, D]."""
        from torch.nn.functional import adaptive_avg_pool2d

        return adaptive_avg_pool2d(pixels, 8).flatten(1) @ self.projection

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to [M, D], in the same space."""
        import torch

        return torch.stack([self.letters[list(text.encode())].mean(0) for text in texts])
'''


@click.command()
@click.argument("name")
@click.option("--to", type=click.Path(path_type=Path), help="Folder to make; NAME by default.")
def new(*, name: str, to: Path | None) -> int:
    """Write a method card and an adapter to start from; they run as they are."""
    import re

    from bench.cards.schema import NAME
    from bench.errors import BenchError

    if not re.match(NAME, name):
        raise BenchError(f"{name!r} is not a name", "letters, digits, '.', '_' and '-'")
    folder = to or Path(name)
    if folder.exists() and any(folder.iterdir()):
        raise BenchError(f"{folder} is there already and is not empty", "name another folder with --to")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(CARD.format(name=name), encoding="utf-8")
    (folder / "adapter.py").write_text(ADAPTER.format(name=name), encoding="utf-8")
    click.echo(
        f"{folder}/{name}.toml and {folder}/adapter.py\nnow: bench check-plugin {name} --cards {folder}"
        f"\nand: bench run --table 1 --mini --methods +{name} --cards {folder}"
    )
    return 0
