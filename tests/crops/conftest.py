"""Detectors, loaded once, and where their weights are looked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def loaded(name: str) -> Any:
    """A detector, or a skip that says why it cannot run here."""
    from bench.cards.catalog import load
    from bench.crops.load import load_detector
    from bench.errors import WeightsError
    from bench.models.isolated.environment import is_built
    from bench.settings import cache_home
    from bench.settings import load as settings

    card = load().detector(name)
    if card.environment is not None and not is_built(card.environment, cache_home() / "environments"):
        pytest.skip(f"{name}: its environment is not built here")
    try:
        return load_detector(card, settings(), "cpu")
    except WeightsError as error:
        pytest.skip(f"{name}: {error.what}")


@pytest.fixture(scope="session")
def centerface() -> Any:
    """The default detector."""
    return loaded("centerface")


@pytest.fixture(scope="session", params=["centerface", "retinaface", "yunet", "mtcnn"])
def detector(request: pytest.FixtureRequest) -> Any:
    """Every shipped detector that runs here."""
    return loaded(request.param)


@pytest.fixture(scope="session")
def weights() -> Path:
    """CenterFace's file."""
    from bench.cards.catalog import load
    from bench.crops.load import weight_file
    from bench.settings import load as settings

    card = load().detector("centerface")
    return weight_file(card, card.weights["model"], settings())
