"""Ten times the samples need hardly more memory: nothing but the list of samples grows with them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from class_folders import class_folders
from peak import peak_of
from PIL import Image
from plain_method import write_method

FEW = 300
CLASSES = ("happiness", "sadness", "anger")


def peak(root: Path, count: int) -> int:
    """The most memory, in KiB, that `bench run` needed at once over so many pictures."""
    name = f"of-{count}"
    per_class = [len(range(number, count, len(CLASSES))) for number in range(len(CLASSES))]
    write_method(root / "cards", size=64, width=512)
    (root / "cards" / f"{name}.toml").write_text(class_folders(name, classes=CLASSES, counts=per_class))
    picture = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 48, 3), dtype=np.uint8)).save(picture, "JPEG")
    for number in range(count):
        path = root / "data" / name / CLASSES[number % len(CLASSES)] / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        # A decoder stops at the picture's end, so these are as many different files of the same picture.
        path.write_bytes(picture.getvalue() + number.to_bytes(4, "big"))
    places = ("--cards", str(root / "cards"), "--data", str(root / "data"), "--store", str(root / "store" / name))
    run = ("run", "--methods", "plain", "--datasets", name, "--batch", "16", "--workers", "2")
    return peak_of(*run, *places, "--out", str(root / "runs" / name)).kib


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_ten_times_the_samples_need_less_than_a_tenth_more_memory(tmp_path: Path) -> None:
    few, many = peak(tmp_path, FEW), peak(tmp_path, 10 * FEW)
    print(f"{FEW} pictures: {few / 1024:.0f} MiB; {10 * FEW}: {many / 1024:.0f} MiB")
    assert many < 1.1 * few
