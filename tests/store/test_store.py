"""The store: what changes a key, what survives a kill, what is noticed when bytes rot."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bench.store.artifacts
from bench.errors import StoreError
from bench.store.artifacts import ArtifactKey, Store

INPUTS: dict[str, Any] = {
    "adapter": "package.module:Class",
    "version": "1",
    "options": {"activation": "quick_gelu"},
    "weights": {"model": "00ff"},
    "dtype": "float32",
    "pixels": {"resize": "squash", "mean": None},
    "size": 224,
}


def digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def fill(store: Store, names: list[str], width: int = 8, key: ArtifactKey | None = None) -> dict[bytes, np.ndarray]:
    rows = {digest(name): np.random.default_rng(len(name)).normal(size=width).astype(np.float32) for name in names}
    with store.writing(key or ArtifactKey("frames", INPUTS)) as writer:
        writer.add(list(rows), np.stack(list(rows.values())))
    return rows


@given(name=st.sampled_from(sorted(INPUTS)), value=st.one_of(st.text(), st.integers(), st.booleans()))
def test_any_changed_input_changes_the_key(name: str, value: Any) -> None:
    changed = {**INPUTS, name: value}
    assert (ArtifactKey("frames", changed).hash == ArtifactKey("frames", INPUTS).hash) == (
        changed[name] == INPUTS[name]
    )


@given(order=st.permutations(sorted(INPUTS)))
def test_the_order_of_the_inputs_does_not_change_the_key(order: list[str]) -> None:
    assert ArtifactKey("frames", {name: INPUTS[name] for name in order}).hash == ArtifactKey("frames", INPUTS).hash


facts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(one=st.dictionaries(st.sampled_from("abc"), facts), other=st.dictionaries(st.sampled_from("abc"), facts))
def test_two_keys_share_a_hash_only_if_they_say_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    alike = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (ArtifactKey("frames", one).hash == ArtifactKey("frames", other).hash) == alike
    assert ArtifactKey("frames", json.loads(json.dumps(one))).hash == ArtifactKey("frames", one).hash


def test_another_step_has_another_key() -> None:
    assert ArtifactKey("frames", INPUTS).hash != ArtifactKey("texts", INPUTS).hash


def test_an_input_cannot_take_the_steps_place() -> None:
    with pytest.raises(StoreError, match="'frames': an input is called 'step'"):
        ArtifactKey("frames", {**INPUTS, "step": "texts"})


@given(names=st.lists(st.text(), unique=True, min_size=1, max_size=40), repeats=st.integers(1, 3))
def test_rows_come_back_as_they_were_written_in_the_order_asked(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], repeats: int
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    rows = fill(store, names)
    asked = list(reversed(rows)) * repeats
    artifact = store.open(ArtifactKey("frames", INPUTS))
    assert np.array_equal(artifact.rows(asked), np.stack([rows[key] for key in asked]))
    assert artifact.missing([*asked, digest("never written \0")]) == [digest("never written \0")]


def test_digests_that_end_in_zero_bytes_are_told_apart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keys = [b"\x01" + b"\0" * 15, b"\x01\x02" + b"\0" * 14, b"\0" * 16]
    with store.writing(ArtifactKey("frames", INPUTS)) as writer:
        writer.add(keys, np.eye(3, dtype=np.float32))
    artifact = store.open(ArtifactKey("frames", INPUTS))
    assert np.array_equal(artifact.rows(keys), np.eye(3, dtype=np.float32))
    assert artifact.missing([b"\x01\x02\x03" + b"\0" * 13]) != []


def test_a_second_writer_finds_what_the_first_one_wrote(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, ["a", "b"])
    fill(store, ["c"])
    with store.writing(ArtifactKey("frames", INPUTS)) as writer:
        assert writer.artifact.missing([digest(name) for name in "abcd"]) == [digest("d")]


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_a_broken_entry_is_reported_set_aside_and_computed_again(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    rows = fill(store, ["a", "b", "c"])
    shard = next((tmp_path / "frames").rglob("*.npy"))
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes({"flip": bytes(data), "truncate": bytes(data[:-5]), "empty": b""}[damage])
    artifact = store.open(ArtifactKey("frames", INPUTS))
    assert artifact.missing(list(rows)) == list(rows)
    assert str(shard) in store.warnings[0] and "broken" in store.warnings[0]
    assert list((tmp_path / "broken").iterdir())
    fill(store, ["a", "b", "c"])
    assert store.open(ArtifactKey("frames", INPUTS)).missing(list(rows)) == []


def test_what_was_added_before_an_error_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(RuntimeError), store.writing(ArtifactKey("frames", INPUTS)) as writer:
        writer.add([digest("a")], np.ones((1, 4), np.float32))
        raise RuntimeError
    assert store.open(ArtifactKey("frames", INPUTS)).missing([digest("a")]) == []


def test_a_row_that_is_not_finite_is_refused_with_its_input(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match=digest("b").hex()), store.writing(ArtifactKey("frames", INPUTS)) as writer:
        writer.add([digest("a"), digest("b")], np.array([[0.0, 1.0], [np.nan, 0.0]], np.float32))
    assert len(store.open(ArtifactKey("frames", INPUTS))) == 0


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="1 row for 2 inputs"),
        Store(tmp_path).writing(ArtifactKey("frames", INPUTS)) as writer,
    ):
        writer.add([digest("a"), digest("b")], np.ones((1, 4), np.float32))


def test_a_full_disk_is_said_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    fill(store, ["kept"])

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        fill(store, ["lost"])
    monkeypatch.undo()
    assert not list(tmp_path.rglob("*.tmp"))
    artifact = store.open(ArtifactKey("frames", INPUTS))
    assert artifact.missing([digest("kept"), digest("lost")]) == [digest("lost")]


def test_left_over_temporary_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, ["a"])
    left = next((tmp_path / "frames").rglob("*.npy")).with_name("000001-dead.npy.99.tmp")
    left.write_bytes(b"half")
    fill(store, ["b"])
    assert not left.exists()


def test_many_rows_are_written_in_several_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.store.artifacts, "ROWS_PER_SHARD", 10)
    store = Store(tmp_path)
    with store.writing(ArtifactKey("frames", INPUTS)) as writer:
        for number in range(7):
            writer.add([digest(f"{number}-{row}") for row in range(5)], np.full((5, 3), number, np.float32))
    assert len(list((tmp_path / "frames").rglob("*.npy"))) == 4
    rows = store.open(ArtifactKey("frames", INPUTS)).rows([digest(f"{number}-0") for number in range(7)])
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_an_artifact_may_have_more_shards_than_a_process_may_open_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.store.artifacts, "ROWS_PER_SHARD", 1)
    store, names = Store(tmp_path), [str(number) for number in range(150)]
    with store.writing(ArtifactKey("frames", INPUTS)) as writer:
        for number, name in enumerate(names):
            writer.add([digest(name)], np.full((1, 3), number, np.float32))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 100, before[1]))
    try:
        rows = store.open(ArtifactKey("frames", INPUTS)).rows([digest(name) for name in names])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert rows[:, 0].tolist() == list(range(150))


def test_small_facts_are_kept_beside_the_rows(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.writing(ArtifactKey("texts", INPUTS)) as writer:
        writer.note(logit_scale=100.0)
    assert store.open(ArtifactKey("texts", INPUTS)).facts == {"logit_scale": 100.0}
