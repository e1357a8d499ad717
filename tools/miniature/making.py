"""What the commands that make the miniature's weights share: their options, and how much a quick try leaves out."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from bench import mini

WEIGHTS = Path(mini.__file__).parent / "weights"
TRY = Path("build") / "miniature"
FEWEST_FACES = 512
"""A quick try draws no fewer to train towers and heads: a head's batch, and enough patches to start a tower from."""


def arguments(prog: str, description: str | None, *, threads: int) -> argparse.Namespace:
    """The command line as `out`, an existing folder, and `scale`; torch is told its threads.

    Args:
        prog: how the command is called.
        description: what it does.
        threads: the default number.
    """
    parser = argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"the folder that the weights go to; {WEIGHTS}, or {TRY} for a quick try",
    )
    parser.add_argument("--threads", type=int, default=threads, metavar="N", help=f"torch's; {threads} by default")
    parser.add_argument("--scale", type=float, default=1.0, metavar="SHARE", help="of faces and steps, for a quick try")
    args = parser.parse_args()
    if not 0 < args.scale <= 1:
        parser.error(f"--scale {args.scale:g}: a share lies above 0 and is at most 1")
    args.out = args.out or (WEIGHTS if args.scale == 1 else TRY)
    if args.scale < 1 and args.out.resolve() == WEIGHTS.resolve():
        parser.error(
            f"--scale {args.scale:g} would put a quick try's weights over those that ship; name another --out DIR"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    return args


def at_scale(faces: int, scale: float, fewest: int = FEWEST_FACES) -> int:
    """How many faces are drawn for a share of the work."""
    return min(faces, max(fewest, round(faces * scale)))
