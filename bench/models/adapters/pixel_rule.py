"""From a transformers picture processor to the facts of `[native.pixels]`: the same resize, crop and normalisation, or an error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError

FILTERS = {1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
# Steps of a processor that are carried out here; a class with steps of its own is not followed.
STEPS = ("resize", "center_crop", "_preprocess", "rescale_and_normalize", "normalize", "rescale")
OFFSET = "EfficientNetImageProcessor"


@dataclass(frozen=True)
class PixelRule:
    """A square input and how a picture becomes it, as a card states it."""

    size: int
    pixels: dict[str, Any]


def of_processor(processor: Any, folder: Path) -> PixelRule:
    """The rule of a processor that makes one square of a picture.

    Raises:
        BenchError: it does something that a card cannot state; what that is.
    """
    _check_steps(processor, folder)
    where = f"the picture processor in {folder}"
    if not processor.do_resize:
        raise BenchError(f"{where} does not resize (do_resize is off), so its pictures have no one size")
    size = _sides(processor.size, f"{where}: size")
    cropped = bool(getattr(processor, "do_center_crop", False))
    crop = _sides(processor.crop_size, f"{where}: crop_size") if cropped else size
    if set(crop) != {"height", "width"} or crop["height"] != crop["width"]:
        raise BenchError(f"{where} gives no square: {crop}")
    side = int(crop["height"])
    pixels: dict[str, Any] = {
        "crop": "floored",
        "interpolation": _filter(processor, where),
        **_values(processor, where),
    }
    if set(size) == {"shortest_edge"}:
        pixels |= {"resize": "shortest", "resize_to": int(size["shortest_edge"])}
    elif set(size) == {"height", "width"} and size["height"] == size["width"]:
        pixels |= {"resize": "squash", "resize_to": int(size["height"])}
    else:
        raise BenchError(f"{where} resizes to {size}, which is neither a square nor a shortest side")
    return PixelRule(side, pixels)


def squashed(processor: Any, folder: Path) -> dict[str, Any]:
    """The filter and normalisation of a processor that takes pictures of any size, for a square that is squashed.

    Raises:
        BenchError: its filter or normalisation is not one that a card can state.
    """
    where = f"the picture processor in {folder}"
    return {"resize": "squash", "interpolation": _filter(processor, where), **_values(processor, where)}


def _check_steps(processor: Any, folder: Path) -> None:
    from transformers.image_processing_backends import TorchvisionBackend

    cls = type(processor)
    own = [name for name in STEPS if getattr(cls, name, None) is not getattr(TorchvisionBackend, name, None)]
    if own and cls.__name__ != OFFSET:
        raise BenchError(f"{folder}: {cls.__name__} has steps of its own ({', '.join(own)}), which are not followed")
    if getattr(processor, "do_pad", None):
        raise BenchError(f"{folder}: {cls.__name__} pads pictures, which is not followed")


def _sides(size: Any, where: str) -> dict[str, int]:
    stated = {name: value for name, value in dict(size or {}).items() if value is not None}
    if not stated or not all(isinstance(value, int) and value > 0 for value in stated.values()):
        raise BenchError(f"{where} is {stated or 'not stated'}")
    return stated


def _filter(processor: Any, where: str) -> str:
    number = getattr(processor, "resample", None)
    if number is None or int(number) not in FILTERS:
        raise BenchError(f"{where} resizes with filter {number}, and only {', '.join(FILTERS.values())} are known")
    return FILTERS[int(number)]


def _values(processor: Any, where: str) -> dict[str, Any]:
    """Mean and std of values in [0, 1] that have the effect of the processor's rescaling and normalising."""
    if not processor.do_rescale:
        raise BenchError(f"{where} does not rescale (do_rescale is off)")
    if getattr(processor, "include_top", False):
        raise BenchError(f"{where} normalises twice (include_top)")
    scale = float(processor.rescale_factor) * 255
    offset = 1.0 if getattr(processor, "rescale_offset", False) else 0.0
    mean, std = [0.0] * 3, [1.0] * 3
    if processor.do_normalize:
        mean, std = _triple(processor.image_mean, where), _triple(processor.image_std, where)
    if offset == 0 and abs(scale - 1) < 1e-9:
        return {"mean": mean, "std": std} if processor.do_normalize else {}
    return {"mean": [(value + offset) / scale for value in mean], "std": [value / scale for value in std]}


def _triple(values: Any, where: str) -> list[float]:
    if not isinstance(values, list | tuple) or len(values) != 3:
        raise BenchError(f"{where}: mean or std is {values!r}, not three numbers")
    return [float(value) for value in values]
