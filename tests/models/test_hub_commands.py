"""Methods named by their hub repository, from the command line: fetched, run, shown and recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_dual
from small_world import World

from bench.cards.schema import Weight
from bench.errors import WeightsError
from bench.models.download import fetch_weight

COMMIT = "c" * 40


def test_a_repository_runs_by_its_name_and_the_record_names_its_files(world: World) -> None:
    folder = tiny_dual.clip(world.root / "hub" / "toy" / "clip")
    (folder.parent.parent / "known-hashes.json").write_text(json.dumps({"toy/clip@main": COMMIT}))
    more = ("--weights", str(world.root / "hub"))
    answer = world.run("--methods", "hf:toy/clip", "--datasets", "tiny-faces", *more)
    assert answer.code == 0, answer.err
    assert "toy/clip" in answer.out
    manifest = json.loads((world.records()[-1] / "manifest.json").read_text())
    (network,) = manifest["networks"]
    stated = network["repositories"]["model"]
    assert (stated["repository"], stated["revision"]) == ("toy/clip", COMMIT)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert stated["files"] == files
    shown = world.call("table", "--run", str(world.records()[-1]))
    assert shown.code == 0 and "toy/clip" in shown.out


def test_one_that_is_not_here_ends_with_the_command_that_fetches_it(world: World) -> None:
    answer = world.run("--methods", "hf:toy/none", "--datasets", "tiny-faces")
    assert answer.code != 0
    assert "bench fetch hf:toy/none" in answer.err and str(world.root / "weights" / "toy" / "none") in answer.err


def test_fetch_pins_a_branch_and_takes_no_code(
    bench: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[Any] = []

    class Api:
        def model_info(self, hub: str, **at: str) -> Any:
            asked.append((hub, at))
            return SimpleNamespace(sha=COMMIT)

    def download(hub: str, revision: str, allow_patterns: list[str], local_dir: Path) -> None:
        asked.append((hub, revision))
        assert not any("code.py".endswith(pattern.lstrip("*")) for pattern in allow_patterns)
        tiny_dual.open_clip(local_dir)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    to = tmp_path / "weights"
    answer = bench("fetch", "hf:toy/open@v2", "--to", str(to))
    assert answer.code == 0, answer.err
    assert asked == [("toy/open", {"revision": "v2"}), ("toy/open", COMMIT)]
    assert (to / "toy" / "open@v2" / "open_clip_config.json").is_file()
    monkeypatch.setenv("BENCH_WEIGHTS", str(to))
    shown = bench("show", "hf:toy/open@v2")
    assert shown.code == 0 and "open_clip_config.json" in shown.out


def test_a_git_blob_vouches_for_a_file_and_against_another(tmp_path: Path) -> None:
    (tmp_path / "head.pth").write_bytes(b"PK\x03\x04 weights")
    blob = hashlib.sha1(b"blob 12\0PK\x03\x04 weights").hexdigest()
    facts = Weight(url="https://weights.example.org/head.pth", git_blob=blob)
    assert fetch_weight("head.pth", facts, tmp_path) == tmp_path / "head.pth"
    with pytest.raises(WeightsError, match="git blob"):
        fetch_weight("head.pth", Weight(url=facts.url, git_blob="0" * 40), tmp_path)
