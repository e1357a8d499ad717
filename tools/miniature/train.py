"""Makes the miniature's shipped weights again: `python tools/miniature/train.py`.

Three tiny CLIPs are trained on drawn faces and their captions with CLIP's contrastive loss, and beside it with a
regression of the action units, which lets towers of this size find the face's features in minutes; then an Exp-CLIP head
for each. B/32 is trained from the start, B/16 and L/14 go on from it with finer patches. Last comes the BLIP-2 that looks
through B/32 (`tools/miniature/teacher.py`, which makes it alone too). No face of the test streams is seen.

With both cores of a busy two-core machine the three towers took 11, 8 and 20 minutes, the heads seconds; of the BLIP-2
its own module tells. A quick try of everything is `python tools/miniature/train.py --scale 0.002`.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import teacher as blip2_teacher
import torch
import torch.nn.functional as F
from gallery import Gallery, fill
from heads import teacher, train_head
from making import arguments, at_scale
from torch import Tensor
from towers import TinyClip, token_ids

from bench.mini.captions import caption
from bench.mini.expressions import EXPRESSIONS, generator
from bench.mini.weights import pack, pack_head

FACES, HEAD_FACES, DEVELOPMENT_FACES = 24_000, 6_144, 1_100
CAPTIONS = 8_000
BATCH, WARM_UP, AU_WEIGHT = 64, 100, 30.0


class Schedule(NamedTuple):
    """How long and how fast a backbone is trained; `after` names the one it goes on from."""

    patch: int
    steps: int
    rate: float
    after: str


SCHEDULES: Mapping[str, Schedule] = {
    "B32": Schedule(32, 2_600, 2e-3, ""),
    "B16": Schedule(16, 450, 1e-3, "B32"),
    "L14": Schedule(14, 350, 1e-3, "B16"),
}


def main() -> None:
    """Make towers, heads and teacher, and say how well the first two do on faces kept aside."""
    args = arguments("python tools/miniature/train.py", __doc__, threads=2)
    make(args.out, args.scale)
    print(blip2_teacher.make(args.out, args.scale))


def make(folder: Path, scale: float = 1.0) -> None:
    """Draw the faces, train towers and heads, and save them.

    Args:
        folder: where `clip_*.safetensors` and `expclip_*.safetensors` go.
        scale: share of the faces and steps; below 1 for a quick try.
    """
    with tempfile.TemporaryDirectory() as place:
        draw = Path(place)
        faces = fill(("train", "captions"), at_scale(FACES, scale), len(EXPRESSIONS), draw / "faces.npy")
        unlabelled = fill(("train", "caer-s"), at_scale(HEAD_FACES, scale), 7, draw / "unlabelled.npy")
        kept = fill(
            ("development",), at_scale(DEVELOPMENT_FACES, scale, fewest=BATCH), len(EXPRESSIONS), draw / "kept.npy"
        )
        towers: dict[str, TinyClip] = {}
        for name, schedule in SCHEDULES.items():
            tower = _prepare(schedule, faces, towers)
            _train(tower, faces, schedule, round(schedule.steps * scale), name)
            towers[name] = tower
            pack(tower.state(), tower.tokens, folder / f"clip_{name}.safetensors")
            head = _head(tower, unlabelled)
            pack_head(head, folder / f"expclip_{name}.safetensors")
            print(f"{name}: {score(tower, kept)} with its head {score(tower, kept, head)}", flush=True)


def _prepare(schedule: Schedule, faces: Gallery, towers: Mapping[str, TinyClip]) -> TinyClip:
    torch.manual_seed(schedule.patch)
    rng = generator("train", "vocabulary")
    told = (
        i % len(faces.faces) for i in range(CAPTIONS)
    )  # a quick try's few faces again and again, for all their words
    said = [caption(faces.faces[i], EXPRESSIONS[faces.expressions[i]], rng) for i in told]
    tower = TinyClip(schedule.patch, token_ids(said))
    if schedule.after:
        tower.start_from(towers[schedule.after])
    else:
        tower.start_from_patches(torch.from_numpy(faces.pixels[::24].copy()))
    return tower


def _order(count: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Batches of indices without end, each face once per epoch."""
    while True:
        yield from (
            batch.tolist() for batch in np.array_split(rng.permutation(count), count // BATCH) if len(batch) >= BATCH
        )


def _train(tower: TinyClip, faces: Gallery, schedule: Schedule, steps: int, name: str) -> None:
    rng = generator("train", "order", name)
    targets = torch.from_numpy(faces.aus)
    parameters = dict(tower.named_parameters())
    matrices = [p for key, p in parameters.items() if p.ndim == 2 and "resblocks" in key]
    others = [p for key, p in parameters.items() if not (p.ndim == 2 and "resblocks" in key)]
    muon = torch.optim.Muon(matrices, lr=2 * schedule.rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=0.02)
    rates = [(group, group["lr"]) for group in (*muon.param_groups, *adam.param_groups)]
    begun, seen = time.monotonic(), []
    for step, ids in zip(range(steps), _order(len(faces.faces), rng), strict=False):
        warm = min(1.0, (step + 1) / WARM_UP)
        for group, rate in rates:
            group["lr"] = rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        normalised = torch.from_numpy(rng.random(len(ids)) < 0.5)
        images = tower.images(torch.from_numpy(faces.pixels[ids]), normalised)
        said = [caption(faces.faces[i], EXPRESSIONS[faces.expressions[i]], rng) for i in ids]
        texts = F.normalize(tower.texts(said), dim=-1)
        images = F.normalize(images, dim=-1)
        logits = tower.clip.logit_scale.exp() * images @ texts.T
        truth = torch.arange(len(ids))
        contrast = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
        regression = F.mse_loss(tower.readout(8 * images), targets[ids])
        muon.zero_grad()
        adam.zero_grad()
        torch.autograd.backward(contrast + AU_WEIGHT * regression)
        muon.step()  # type: ignore[no-untyped-call]
        adam.step()
        with torch.no_grad():
            tower.clip.logit_scale.clamp_(0.0, math.log(100.0))
        seen.append((contrast.item(), regression.item()))
        if step % 100 == 99:
            recent = np.mean(seen[-100:], axis=0)
            spent = time.monotonic() - begun
            print(
                f"{name} {step + 1}/{steps}: contrast {recent[0]:.3f}, AUs {recent[1]:.4f}, {spent:.0f} s", flush=True
            )


@torch.no_grad()
def _embed(tower: TinyClip, faces: Gallery, *, normalised: bool = False) -> Tensor:
    flags = torch.full((len(faces.faces),), normalised)
    batches = torch.split(torch.arange(len(faces.faces)), 100)
    return torch.cat([tower.images(torch.from_numpy(faces.pixels[ids.numpy()]), flags[ids]) for ids in batches])


def _head(tower: TinyClip, faces: Gallery) -> Tensor:
    scale = float(tower.clip.logit_scale.detach().exp())
    return train_head(_embed(tower, faces), teacher(faces.aus), scale)


@torch.no_grad()
def score(tower: TinyClip, faces: Gallery, head: Tensor | None = None) -> str:
    """UAR in percent with prompt set P-3 over 7 and 11 classes, for [0, 1] pixels and for normalised ones."""
    texts = tower.texts([f"a photo of a face with an expression of {name}." for name in EXPRESSIONS])
    said = []
    for normalised in (False, True):
        images = _embed(tower, faces, normalised=normalised)
        left, right = (images, texts) if head is None else (images @ head.T, texts @ head.T)
        similarity = F.normalize(left, dim=-1) @ F.normalize(right, dim=-1).T
        for classes in (7, 11):
            mine = torch.from_numpy(faces.expressions < classes)
            truth = torch.from_numpy(faces.expressions)[mine]
            right_ones = similarity[mine, :classes].argmax(1) == truth
            recalls = [right_ones[truth == c].float().mean().item() for c in range(classes)]
            said.append(f"{100 * np.mean(recalls):.1f}")
    return " / ".join(said)


if __name__ == "__main__":
    main()
