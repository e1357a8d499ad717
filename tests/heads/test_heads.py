"""Every head projects as its torch module does, and survives its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.cards.head_training import Design
from bench.errors import BenchError, WeightsError
from bench.heads.heads import Head, LinearHead, fitting, head_of, read_head, read_linear, write_head
from bench.heads.modules import export_published, started, state_of
from bench.scoring.zeroshot import logits, pool

WIDTH, HEIGHT = 24, 40
DESIGNS = {
    "LM": Design(),
    "2-MLP": Design(kind="mlp", hidden=32),
    "3-MLP": Design(kind="mlp", layers=3, hidden=32),
    "TE": Design(kind="transformer", hidden=48),
}


def made(design: Design, seed: int = 3) -> tuple[torch.nn.Module, dict[str, Any]]:
    module = started(design, WIDTH, HEIGHT, seed)
    with torch.no_grad():  # no scale of 1 and no shift of 0, so that none can be left out unseen
        for number, weight in enumerate(module.parameters()):
            generator = torch.Generator().manual_seed(number)
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return module, state_of(module)


def embeddings(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", DESIGNS)
def test_a_head_projects_as_its_module_does(name: str) -> None:
    module, state = made(DESIGNS[name])
    head = head_of(DESIGNS[name], state)
    frames = embeddings(5, 3, WIDTH)
    with torch.no_grad():
        expected = module(torch.from_numpy(frames.reshape(15, WIDTH))).reshape(5, 3, HEIGHT).numpy()
    found = head.project(frames)
    assert found.dtype == np.float32
    assert head.width == WIDTH
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("name", DESIGNS)
def test_a_head_survives_its_file_with_its_record(name: str, tmp_path: Path) -> None:
    _, state = made(DESIGNS[name])
    record = {"seed": 1, "losses": [6.2, 5.1]}
    write_head(tmp_path / "a" / "head.safetensors", DESIGNS[name], state, record)
    found = read_head(tmp_path / "a" / "head.safetensors")
    assert (found.design, found.record) == (DESIGNS[name], record)
    expected = head_of(DESIGNS[name], state)
    assert np.array_equal(found.head.project(embeddings(4, WIDTH)), expected.project(embeddings(4, WIDTH)))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["head.safetensors"]


def test_only_the_linear_head_commutes_with_the_mean_over_frames() -> None:
    frames = embeddings(2, 16, WIDTH)
    for name, design in DESIGNS.items():
        head = head_of(design, made(design)[1])
        apart = np.abs(head.project(frames).mean(1) - head.project(frames.mean(1))).max()
        assert head.linear == (name == "LM") == (apart < 1e-5)


@pytest.mark.parametrize("name", DESIGNS)
def test_clips_are_scored_with_the_head_on_every_frame(name: str) -> None:
    module, state = made(DESIGNS[name])
    head = head_of(DESIGNS[name], state)
    frames, texts = embeddings(6, 4, WIDTH), [embeddings(2, WIDTH) + k for k in range(3)]
    with torch.no_grad():
        image = module(torch.from_numpy(frames.reshape(24, WIDTH))).reshape(6, 4, HEIGHT).mean(1)
        image = torch.nn.functional.normalize(image, dim=-1)
        words = [torch.nn.functional.normalize(module(torch.from_numpy(text)), dim=-1) for text in texts]
        expected = torch.stack([(100 * image @ word.T).mean(1) for word in words], dim=1).numpy()
    compared = [head.project(text) for text in texts]
    found = logits(pool(frames, head), compared, head, combine="mean-logits", similarity="cosine", scale=100.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


def test_a_linear_head_is_exported_in_the_published_format(tmp_path: Path) -> None:
    _, state = made(DESIGNS["LM"])
    export_published(tmp_path / "ExpCLIP.pth", state)
    assert list(torch.load(tmp_path / "ExpCLIP.pth", weights_only=True)) == ["mlp.weight"]
    assert np.array_equal(read_linear(tmp_path / "ExpCLIP.pth", "mlp.weight").weight, state["mlp.weight"])
    with pytest.raises(WeightsError, match="one bias-free linear map"):
        export_published(tmp_path / "other.pth", made(DESIGNS["TE"])[1])


def test_a_start_depends_on_its_seed_and_leaves_torchs_own_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again, other = (state_of(started(Design(), 8, 4, seed))["mlp.weight"] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_an_attention_that_does_not_divide_the_width_is_refused() -> None:
    with pytest.raises(BenchError, match="7 attention heads for embeddings 24 wide"):
        started(Design(kind="transformer", heads=7), WIDTH, HEIGHT, 1)


def test_a_head_of_another_width_names_both(tmp_path: Path) -> None:
    head: Head = head_of(DESIGNS["2-MLP"], made(DESIGNS["2-MLP"])[1])
    with pytest.raises(WeightsError, match=f"{WIDTH} wide, but this encoder's are 512 wide"):
        fitting(head, tmp_path / "head.safetensors", 512)


def broken(state: dict[str, Any], how: str) -> dict[str, Any]:
    name = "body.0.weight"
    changes: dict[str, dict[str, Any]] = {
        "without": {key: value for key, value in state.items() if key != name},
        "left over": {**state, "body.9.weight": state[name]},
        "not finite": {**state, name: np.full_like(state[name], np.nan)},
        "do not fit": {**state, name: state[name][:-1]},
    }
    return changes[how]


@pytest.mark.parametrize("how", ["without", "left over", "not finite", "do not fit"])
def test_a_broken_head_is_neither_made_nor_written(how: str, tmp_path: Path) -> None:
    design = DESIGNS["2-MLP"]
    state = broken(made(design)[1], how)
    with pytest.raises(WeightsError, match=how):
        write_head(tmp_path / "head.safetensors", design, state, {})
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_head_file_is_named(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "head.safetensors"
    with pytest.raises(WeightsError, match="there is no head file"):
        read_head(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(WeightsError, match="broken or truncated"):
        read_head(path)
    save_file({"mlp.weight": embeddings(3, 2)}, path)
    with pytest.raises(WeightsError, match="format None"):
        read_head(path)
    save_file(
        {"mlp.weight": embeddings(3, 2)}, path, {"format": "fer-bench head 1", "design": json.dumps({"kind": "?"})}
    )
    with pytest.raises(WeightsError, match="metadata cannot be read"):
        read_head(path)


def test_the_gram_path_is_kept_for_linear_heads() -> None:
    assert isinstance(head_of(Design(), {"mlp.weight": embeddings(HEIGHT, WIDTH)}), LinearHead)
