"""Official containers are read as tensors, and nothing in them is run."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import sys
import types
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import seeded
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.errors import WeightsError
from bench.models.checkpoint import load_into, state_dict, under, uninitialized
from bench.models.torchscript import is_torchscript

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1.5])}


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)


def legacy(state: dict[str, Tensor], path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("save", [torch.save, legacy, save_file])
def test_every_container_gives_the_same_tensors(tmp_path: Path, save: Callable[[Any, Path], None]) -> None:
    save(WEIGHTS, tmp_path / "weights")
    assert same(state_dict(tmp_path / "weights"), WEIGHTS)


def test_a_torchscript_archive_gives_its_tensors_and_scalars(tmp_path: Path) -> None:
    path = tmp_path / "archive.pt"
    seeded.save_torchscript(WEIGHTS, path)
    assert is_torchscript(path)
    state = state_dict(path, drop=["input_resolution", "context_length", "vocab_size"])
    assert same(state, {key: tensor.half() for key, tensor in WEIGHTS.items()})


def test_a_plain_file_is_no_torchscript_archive(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "weights.pt")
    assert not is_torchscript(tmp_path / "weights.pt")


class Block(nn.Module):
    """Has parameters, a buffer, a tensor that is neither, a list of children, and shares one weight with its child."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3).half()
        self.layers = nn.ModuleList([nn.LayerNorm(3), nn.Linear(3, 3, bias=False)])
        self.layers[1].weight = self.first.weight
        self.register_buffer("steps", torch.tensor([3]))
        self.mask = torch.full((2, 2), -1.0)
        self.seen = nn.Parameter(torch.rand(4, 6).t())

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) + self.mask.sum()


def scripted(module: nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(module).save(str(path))


def test_a_torchscript_archive_gives_what_its_module_says_of_itself(tmp_path: Path) -> None:
    block = Block()
    scripted(block, tmp_path / "block.pt")
    assert same(state_dict(tmp_path / "block.pt"), block.state_dict())


class Scripted(nn.Module):
    """Its archive opens a file of the attacker's choice when torch loads it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, bool]:
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]) -> None:
        self.weight = state[0] + torch.from_file("proof", shared=True, size=4).sum()
        self.training = state[1]

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_the_code_of_a_torchscript_archive_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scripted(Scripted(), tmp_path / "script.pt")
    with pytest.raises(WeightsError, match=r"script\.pt.*Scripted is restored by code of its own"):
        state_dict(tmp_path / "script.pt")
    assert not (tmp_path / "proof").exists()


def test_a_torchscript_archive_that_names_a_class_of_pythons_is_refused(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    with zipfile.ZipFile(tmp_path / "bad.pt", "w") as archive:
        archive.writestr("bad/data.pkl", pickle.dumps(Attack(proof), protocol=2))
        archive.writestr("bad/constants.pkl", b"")
    with pytest.raises(WeightsError, match=r"bad\.pt.*'posix\.system', which could run code"):
        state_dict(tmp_path / "bad.pt")
    assert not proof.exists()


def test_weights_below_a_container_key_lose_their_prefix_and_the_dropped_keys(tmp_path: Path) -> None:
    inner = {"module.a.weight": WEIGHTS["a.weight"], "module.b": WEIGHTS["b"], "module.head.x": torch.ones(1)}
    torch.save({"state_dict": inner, "epoch": 3}, tmp_path / "c.pth")
    found = state_dict(tmp_path / "c.pth", container="state_dict", strip="module.", drop=["head."])
    assert same(found, WEIGHTS)


def test_arguments_and_numpy_scalars_beside_the_weights_do_no_harm(tmp_path: Path) -> None:
    args = argparse.Namespace(lr=0.1, name="x")
    torch.save({"model": WEIGHTS, "args": args, "best": np.float64(3.5), "step": np.int64(7)}, tmp_path / "c.pt")
    assert same(state_dict(tmp_path / "c.pt", container="model"), WEIGHTS)


def test_settings_of_a_package_that_is_not_installed_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CfgNode(dict):  # type: ignore[type-arg]
        pass

    module = types.ModuleType("yacs.config")
    CfgNode.__module__, CfgNode.__qualname__ = "yacs.config", "CfgNode"
    module.CfgNode = CfgNode  # type: ignore[attr-defined]
    config = CfgNode(depth=12)
    config.__dict__["__immutable__"] = True
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "yacs", types.ModuleType("yacs"))
        patched.setitem(sys.modules, "yacs.config", module)
        torch.save({"model": WEIGHTS, "config": config}, tmp_path / "c.pth")
    assert same(state_dict(tmp_path / "c.pth", container="model"), WEIGHTS)


class Attack:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.proof}",)


@pytest.mark.parametrize("save", [torch.save, legacy, lambda thing, path: path.write_bytes(pickle.dumps(thing))])
def test_a_pickle_with_code_is_refused_by_name_and_not_run(tmp_path: Path, save: Callable[[Any, Path], None]) -> None:
    path, proof = tmp_path / "bad.pt", tmp_path / "proof"
    save({"a": Attack(proof)}, path)
    with pytest.raises(WeightsError, match=r"bad\.pt.*'posix\.system'"):
        state_dict(path)
    assert not proof.exists()


def test_a_class_of_the_authors_own_is_refused_by_name(tmp_path: Path) -> None:
    torch.save({"state_dict": WEIGHTS, "model": nn.Linear(2, 2)}, tmp_path / "m.pt")
    with pytest.raises(WeightsError, match=r"m\.pt.*'torch\.nn\.modules\.linear\.Linear'"):
        state_dict(tmp_path / "m.pt", container="state_dict")


@pytest.mark.parametrize("save", [torch.save, legacy, save_file, seeded.save_torchscript])
@pytest.mark.parametrize("part", [0.98, 0.5])
def test_a_truncated_file_is_named(tmp_path: Path, save: Callable[[Any, Path], None], part: float) -> None:
    path = tmp_path / "short.pt"
    save({"a": torch.rand(100, 100)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(WeightsError, match=r"short\.pt"):
        state_dict(path)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>Quota exceeded", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "LFS"),
        (b"\x00\x01\x02\x03" * 20, "not a checkpoint"),
        (b"hello", "not a checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_called_what_it_is(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"weights\.pt.*{word}"):
        state_dict(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights file .*absent\.pt"):
        state_dict(tmp_path / "absent.pt")


def test_a_container_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    torch.save({"model": WEIGHTS, "epoch": 3}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match="'state_dict'; dictionaries lie under: 'model'"):
        state_dict(tmp_path / "c.pt", container="state_dict")


def test_a_file_with_a_container_needs_its_key(tmp_path: Path) -> None:
    torch.save({"model": WEIGHTS, "epoch": 3}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match="'model', 'epoch' are not tensors"):
        state_dict(tmp_path / "c.pt")


def test_two_keys_that_stripping_makes_one_are_an_error(tmp_path: Path) -> None:
    torch.save({"module.b": torch.ones(1), "b": torch.zeros(1)}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match="holds as well"):
        state_dict(tmp_path / "c.pt", strip="module.")


def test_a_hub_folder_is_read_through_its_index_of_shards(tmp_path: Path) -> None:
    save_file({"a.weight": WEIGHTS["a.weight"]}, tmp_path / "model-1.safetensors")
    save_file({"b": WEIGHTS["b"]}, tmp_path / "model-2.safetensors")
    index = {"weight_map": {"a.weight": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert same(state_dict(tmp_path), WEIGHTS)


@pytest.mark.parametrize("shard", ["../elsewhere.safetensors", "absent.safetensors"])
def test_a_shard_outside_the_folder_or_missing_is_an_error(tmp_path: Path, shard: str) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    save_file(WEIGHTS, tmp_path / "elsewhere.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"b": shard}}))
    with pytest.raises(WeightsError, match=Path(shard).stem):
        state_dict(folder)


def test_an_empty_folder_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        state_dict(tmp_path)


def test_weights_that_do_not_fit_are_listed_by_name_and_count(tmp_path: Path) -> None:
    state = {"weight": torch.zeros(2, 3), **{f"extra.{i}": torch.zeros(1) for i in range(9)}}
    with pytest.raises(WeightsError) as caught:
        load_into(nn.Linear(2, 2), state, source=tmp_path / "w.pt")
    message = str(caught.value)
    assert "1 missing: bias" in message
    assert "9 unexpected: extra.0," in message and "extra.7, ..." in message
    assert "weight [2, 3] for [2, 2]" in message


def test_a_module_built_without_initialisation_holds_the_loaded_weights(tmp_path: Path) -> None:
    with uninitialized():
        module = nn.Linear(3, 2, bias=False)
    load_into(module, under(WEIGHTS, "a."), source=tmp_path)
    assert torch.equal(module.weight, WEIGHTS["a.weight"])
