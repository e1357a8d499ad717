"""An adapter that a card names by an old place of ours gets an error that names the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cards.environment import EnvironmentFacts
from bench.errors import BenchError
from bench.models import contract
from bench.models.isolated.proxy import load_isolated
from bench.models.resolve import adapter_class


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bench.models.open_clip:OpenClip", "bench.models.adapters.open_clip:OpenClip"),
        ("bench.faces.detectors.yunet:YuNet", "bench.crops.detectors.yunet:YuNet"),
        ("bench.transfer.teacher:Teacher", "bench.heads.teacher:Teacher"),
    ],
)
def test_a_name_of_a_module_that_moved_is_answered_with_its_new_name(old: str, new: str) -> None:
    with pytest.raises(BenchError) as raised:
        adapter_class(old)
    assert new in raised.value.fix


def test_so_is_one_that_runs_in_an_environment_of_its_own(tmp_path: Path) -> None:
    facts = EnvironmentFacts(requirements=("numpy",))
    with pytest.raises(BenchError) as raised:
        load_isolated(
            facts,
            "bench.isolated.adapters.lavis_blip2:LavisBlip",
            {},
            "cpu",
            "float32",
            {},
            contract=contract.Generator,
            method="old",
            root=tmp_path,
        )
    assert "bench.models.isolated.adapters.lavis_blip2:LavisBlip" in raised.value.fix


def test_a_name_that_nothing_of_ours_has_gets_no_guess() -> None:
    with pytest.raises(BenchError) as raised:
        adapter_class("bench.models.open_clip:NoSuchClass")
    assert "elsewhere" not in raised.value.fix
