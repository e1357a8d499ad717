"""The small world that tests run in: pictures, clips and videos of three classes, tiny networks with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from class_folders import class_folders
from PIL import Image

CLASSES = ("happiness", "sadness", "anger")


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class World:
    """A folder with cards, data, weights and a store, and the command that runs in it."""

    root: Path
    call: Callable[..., Answer]

    @property
    def flags(self) -> list[str]:
        """Options that point a command to this world."""
        place = {"cards": "cards", "data": "data", "weights": "weights", "store": "store"}
        return [part for name, folder in place.items() for part in (f"--{name}", str(self.root / folder))]

    def run(self, *args: str) -> Answer:
        """`bench run` in this world."""
        return self.call("run", *args, *self.flags, "--out", str(self.root / "runs"))

    def records(self) -> list[Path]:
        """The records so far, oldest first."""
        return sorted((self.root / "runs").iterdir())


def write_datasets(root: Path) -> None:
    rng = np.random.default_rng(0)
    cards = root / "cards"
    cards.mkdir(parents=True)
    faces, clips, videos = (root / "data" / name for name in ("tiny-faces", "tiny-clips", "tiny-videos"))
    for number, label in enumerate(CLASSES):
        for index in range(4 + number):
            _picture(faces / label / f"{index:03d}.jpg", rng)
        for index in range(2):
            for frame in range((5, 20)[index]):
                _picture(clips / label / f"clip{index}" / f"{frame:05d}.jpg", rng)
            _video(videos / label / f"{index:03d}.avi", rng)
    facts = {"tiny-faces": ("image", [4, 5, 6]), "tiny-clips": ("clip", [2, 2, 2]), "tiny-videos": ("clip", [2, 2, 2])}
    for name, (media, counts) in facts.items():
        (cards / f"{name}.toml").write_text(class_folders(name, media, CLASSES, counts))


def _picture(path: Path, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (60, 48, 3), dtype=np.uint8)).save(path, quality=90)


def _video(path: Path, rng: np.random.Generator) -> None:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(18):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def tiny_clip(seed: int, patch: int) -> dict[str, Any]:
    """A state dict in OpenAI's keys, of a tiny network with random weights."""
    import open_clip
    import torch

    torch.manual_seed(seed)
    vision = {"image_size": 224, "layers": 1, "width": 64, "patch_size": patch, "head_width": 64}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    model = open_clip.model.CLIP(32, vision, text, quick_gelu=True)
    return {key: value.half() for key, value in model.state_dict().items() if key != "attn_mask"}


def write_weights(folder: Path) -> None:
    import torch

    folder.mkdir()
    for seed, (name, patch) in enumerate({"ViT-B-32": 32, "ViT-B-16": 16, "ViT-L-14": 14}.items()):
        torch.save(tiny_clip(seed, patch), folder / f"{name}.pt")
        short = name.removeprefix("ViT-").replace("-", "")
        torch.save({"mlp.weight": torch.randn(48, 32)}, folder / f"ExpCLIP_{short}_model.pth")
