"""An adapter in its own environment answers like one beside us; what goes wrong there is told here, and ends nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from misbehaving import ADAPTERS, NUMPY

from bench.cards.environment import EnvironmentFacts
from bench.cards.method_schema import EncoderFacts
from bench.errors import BenchError
from bench.models import contract
from bench.models.isolated.proxy import load_isolated
from bench.models.network import Network

Load = Callable[..., Any]
PIXELS = torch.linspace(0, 1, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_generator_answers_and_ranks_across_the_process_boundary(load: Load) -> None:
    model = load(greeting="hi")
    assert isinstance(model, contract.Generator)
    assert model.answer(PIXELS, "why?") == [
        f"hi cpu float32 weights.pth: why? {picture.mean():.3f}" for picture in PIXELS.numpy()
    ]
    found = model.loglikelihood(PIXELS, "why?", ["a", "abc"])
    assert found.dtype == torch.float32
    expected = PIXELS.double().flatten(1).sum(1)[:, None] + torch.tensor([1, 3])
    torch.testing.assert_close(found, expected.float())


def test_an_encoder_gives_its_rows_exactly_and_its_scale(load: Load) -> None:
    model = load("Encoder", contract.ImageEncoder)
    assert isinstance(model, contract.ImageEncoder)
    assert model.logit_scale == 12.5
    assert torch.equal(model.encode_images(PIXELS), PIXELS.flatten(1))
    assert model.encode_texts(["ab", "ç"]).tolist() == [[2, 97], [1, 231]]


def test_pictures_larger_than_a_pipe_go_through_bit_by_bit(load: Load) -> None:
    pixels = torch.rand(8, 3, 224, 224)[:, :, ::2].transpose(2, 3)
    assert torch.equal(load("Encoder", contract.ImageEncoder).encode_images(pixels), pixels.flatten(1))


def test_the_adapter_sees_its_own_libraries_and_none_of_ours(load: Load, environments: Path) -> None:
    prefix, ours, version, _, path = load().answer(PIXELS, "where")
    assert Path(prefix).parent == environments
    assert ours == "False"
    assert version < "2.3" < np.__version__
    assert sys.prefix not in path
    assert str(Path(load_isolated.__code__.co_filename).parent) not in path


def test_what_an_adapter_prints_disturbs_no_reply(load: Load) -> None:
    model = load()
    assert model.answer(PIXELS, "print") == ["''", "''"]
    assert len(model.answer(PIXELS, "why?")) == 2


def test_an_exception_is_told_with_its_place_and_the_worker_goes_on(load: Load) -> None:
    model = load()
    with pytest.raises(
        BenchError, match=r"(?s)mine: answer failed in its worker: KeyError: .*too sad.*adapters.py.*line"
    ):
        model.answer(PIXELS, "raise")
    assert len(model.answer(PIXELS, "why?")) == 2


def test_a_worker_that_dies_is_told_with_its_last_words(load: Load) -> None:
    model = load()
    with pytest.raises(
        BenchError, match=r"(?s)mine: in answer, its worker ended with code 3; its last lines:\s+last words"
    ):
        model.answer(PIXELS, "die")
    with pytest.raises(BenchError, match="mine: in answer, its worker ended with code 3"):
        model.answer(PIXELS, "why?")


def test_a_worker_that_hangs_is_ended_in_time_and_told(load: Load) -> None:
    model = load(timeout=1)
    pid = int(model.answer(PIXELS, "where")[3])
    begun = time.monotonic()
    with pytest.raises(BenchError, match=r"(?s)did not answer within 1 s; .*going to sleep.*timeout.*\[environment\]"):
        model.answer(PIXELS, "hang")
    assert time.monotonic() - begun < 10
    assert gone(pid)


def test_a_dead_worker_whose_child_still_holds_the_wire_does_not_hang_us(load: Load) -> None:
    model = load(timeout=2)
    with pytest.raises(BenchError, match="mine: in answer, its worker"):
        model.answer(PIXELS, "die and leave a child")


def test_after_a_crash_the_adapter_can_be_loaded_again(load: Load) -> None:
    with pytest.raises(BenchError):
        load().answer(PIXELS, "die")
    assert len(load().answer(PIXELS, "why?")) == 2


def test_too_little_memory_is_told_as_torch_tells_it_so_that_the_batch_is_halved(load: Load) -> None:
    with pytest.raises(torch.OutOfMemoryError, match="mine: CUDA out of memory"):
        load().answer(PIXELS, "memory")


def test_an_adapter_that_cannot_be_built_is_told_at_once(load: Load) -> None:
    with pytest.raises(BenchError, match="mine: building the adapter failed in its worker: ValueError: no greeting"):
        load(greeting="none")
    with pytest.raises(BenchError, match="unexpected keyword argument 'colour'"):
        load(colour="red")
    with pytest.raises(BenchError, match="no attribute 'Nobody'"):
        load("Nobody")


def test_an_adapter_of_another_kind_is_refused_with_what_it_lacks(load: Load) -> None:
    with pytest.raises(BenchError, match="is not a Generator: it lacks answer, loglikelihood"):
        load("Encoder", contract.Generator)


def test_an_answer_of_the_wrong_kind_is_no_answer(load: Load) -> None:
    with pytest.raises(TypeError, match="not a list of texts"):
        load().answer(PIXELS, "array")


def test_the_worker_ends_with_the_model(load: Load) -> None:
    model = load()
    pid = int(model.answer(PIXELS, "where")[3])
    assert not gone(pid)
    del model
    assert gone(pid)


def test_a_network_with_an_environment_is_loaded_in_it(
    environments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache" / "fer-bench").mkdir(parents=True)
    (tmp_path / "cache" / "fer-bench" / "environments").symlink_to(environments)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "adapters.py"
    file.write_text(ADAPTERS)
    facts = EncoderFacts(adapter=f"{file}:Encoder")
    model = Network("mine", facts, {}, {}, environment=NUMPY).load("cpu")
    assert torch.equal(model.encode_images(PIXELS), PIXELS.flatten(1))


def test_the_identity_of_an_isolated_network_is_its_source_and_its_environment(tmp_path: Path) -> None:
    file = tmp_path / "adapters.py"

    def key(text: str, environment: EnvironmentFacts | None) -> str:
        file.write_text(text)
        return Network("mine", EncoderFacts(adapter=f"{file}:Encoder"), {}, {}, environment=environment).key

    text = "import a_library_that_is_only_there\n" + ADAPTERS
    keys = {
        key(text, NUMPY),
        key(text + "\n", NUMPY),
        key(text, EnvironmentFacts(requirements=("numpy==2.2.0",))),
        key(ADAPTERS, None),
    }
    assert len(keys) == 4
    assert key(text, NUMPY.model_copy(update={"timeout": 1.0})) in keys
