"""One small real environment for all tests of this folder, and a way to load an adapter in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from misbehaving import ADAPTERS, NUMPY

from bench.models import contract
from bench.models.isolated.environment import ensure
from bench.models.isolated.proxy import load_isolated


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of environments in which the small one is built."""
    root = tmp_path_factory.mktemp("environments")
    ensure(NUMPY, root, method="small")
    return root


@pytest.fixture
def load(environments: Path, tmp_path: Path) -> Callable[..., Any]:
    """Load one of the adapters in the small environment."""
    file = tmp_path / "adapters.py"
    file.write_text(ADAPTERS)

    def load(
        name: str = "Generator", contract: type[Any] = contract.Generator, timeout: float = 30, **options: Any
    ) -> Any:
        facts = NUMPY.model_copy(update={"timeout": timeout})
        adapter = f"{file}:{name}"
        weights = {"model": tmp_path / "weights.pth"}
        return load_isolated(
            facts, adapter, weights, "cpu", "float32", options, contract=contract, method="mine", root=environments
        )

    return load
