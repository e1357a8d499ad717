"""The regression gate sees what moves, says what it was, and lets nothing else fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.gate.compare import allowed, compare
from bench.gate.snapshot import read

PROMPTS = 'kind = "prompts"\nname = "mine"\ntemplates = ["a face that shows {c}.", "{c}"]\n'
RUN = ("--methods", "clip,exp-clip:backbone=B32", "--datasets", "tiny-faces,tiny-clips", "--prompts", "mine")


@pytest.fixture
def golden(world: Any) -> Path:
    """A world with golden numbers of its first run."""
    (world.root / "cards" / "mine.toml").write_text(PROMPTS)
    assert world.run(*RUN).code == 0
    path: Path = world.root / "golden.json"
    assert world.call("check", world.root / "runs", "--against", path, "--update").code == 0
    return path


def check(world: Any, golden: Path, *flags: str) -> Any:
    return world.call("check", world.root / "runs", "--against", golden, *flags)


def run_cold(world: Any) -> None:
    import shutil

    shutil.rmtree(world.root / "store")
    answer = world.run(*RUN, "--allow-counts")
    assert answer.code == 0, answer.err


def test_the_same_run_passes(world: Any, golden: Path) -> None:
    run_cold(world)
    answer = check(world, golden)
    assert answer.code == 0 and "nothing has moved" in answer.out and "8 cells" in answer.out


def test_a_shift_of_one_pixel_is_caught(world: Any, golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.data import stills

    straight = stills.prepare
    monkeypatch.setattr(stills, "prepare", lambda *args: np.roll(straight(*args), 1, axis=-1))
    run_cold(world)
    answer = check(world, golden)
    assert answer.code == 1 and "input changed (pixels): tiny-faces, paper" in answer.out


def test_a_swapped_label_pair_is_caught(world: Any, golden: Path) -> None:
    card = world.root / "cards" / "tiny-faces.toml"
    card.write_text(card.read_text().replace('"happiness", "sadness"', '"sadness", "happiness"'))
    run_cold(world)
    answer = check(world, golden)
    assert answer.code == 1
    assert "input changed (labels): tiny-faces" in answer.out and "was: happiness, sadness, anger" in answer.out


def test_a_changed_prompt_is_caught(world: Any, golden: Path) -> None:
    card = world.root / "cards" / "mine.toml"
    card.write_text(card.read_text().replace("shows", "show"))
    world.run(*RUN)
    answer = check(world, golden)
    assert answer.code == 1 and "a face that show anger." in answer.out


def test_a_moved_prediction_is_named_with_its_sample(world: Any, golden: Path) -> None:
    facts = json.loads(golden.read_text())
    row = facts["cells"][0]["predictions"]["1"]
    facts["cells"][0]["predictions"]["1"] = ("1" if row[0] == "0" else "0") + row[1:]
    golden.write_text(json.dumps(facts))
    answer = check(world, golden)
    assert answer.code == 1 and "1/" in answer.out and "FAILED" in answer.out
    assert check(world, golden, "--tolerance", "0.2").code == 0


def test_a_cell_that_is_gone_fails_unless_a_part_was_run(world: Any, golden: Path) -> None:
    assert world.run("--methods", "clip", "--datasets", "tiny-faces", "--prompts", "mine").code == 0
    assert check(world, golden).code == 1
    assert check(world, golden, "--part").code == 0


def test_the_job_summary_is_markdown(world: Any, golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert check(world, golden, "--github").code == 0
    assert (tmp_path / "summary.md").read_text().startswith("## bench check: passed")


def test_a_snapshot_reads_as_the_record_it_was_made_of(world: Any, golden: Path) -> None:
    comparison = compare(read(golden), read(world.records()[-1]))
    assert comparison.inputs == () and comparison.cells == ()


def test_verify_finds_a_number_that_the_predictions_do_not_give(world: Any, golden: Path) -> None:
    record = world.records()[-1]
    assert world.call("verify", record).code == 0
    table = record / "table_run.md"
    table.write_text(table.read_text().replace("/", "1/", 3))
    answer = world.call("verify", record)
    assert answer.code == 1 and "table_run.md, line" in answer.out


def test_verify_needs_no_torch(world: Any, golden: Path) -> None:
    import subprocess
    import sys

    code = f"import sys; sys.modules['torch'] = None; from bench.cli import main; main(['verify', {str(world.records()[-1])!r}])"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_many_flips_in_one_direction_are_more_than_noise(world: Any, golden: Path) -> None:
    before = read(golden)
    after = read(golden)
    key = next(key for key in after.predictions if key.dataset == "tiny-faces")
    labels = np.array(after.truth["tiny-faces"]["1"].labels, np.int16)
    before.predictions[key]["1"] = labels
    after.predictions[key]["1"] = (labels + 1) % 3
    (change,) = compare(before, after).cells
    assert change.p_value is not None and change.p_value < 0.001
    assert not allowed(change, flips=1.0)


def test_a_flip_within_rounding_is_a_tie_that_is_listed_and_passes_and_any_other_fails(
    world: Any, golden: Path
) -> None:
    before, after = read(golden), read(world.records()[-1])
    key = next(key for key in after.predictions if key.dataset == "tiny-faces")
    scores, said = after.scores[key]["1"], after.predictions[key]["1"]
    second = int(np.argsort(scores[0])[-2])
    before.predictions[key]["1"] = np.where(np.arange(len(said)) == 0, second, said).astype(np.int16)
    scores[0, second] = scores[0, said[0]] * (1 - 1e-6)
    (change,) = compare(before, after).cells
    assert change.ties == 1 and "(a tie)" in change.flipped[0] and allowed(change, 0)
    scores[0, second] = scores[0, said[0]] - 0.01 * np.abs(scores[0]).max()
    (change,) = compare(before, after).cells
    assert change.ties == 0 and not allowed(change, 0)
    after.dtype = "bfloat16"
    (change,) = compare(before, after).cells
    assert change.ties == 1 and allowed(change, 0)


def test_pixels_of_another_decoder_are_named_as_the_cause(world: Any, golden: Path) -> None:
    facts = json.loads(golden.read_text())
    facts["versions"]["av"] = "1.2.3"
    name = next(name for name in facts["pixels"] if name.startswith("tiny-clips"))
    facts["pixels"][name] = "0" * 16
    golden.write_text(json.dumps(facts))
    answer = check(world, golden)
    assert answer.code == 1
    assert (
        "pixels of tiny-clips are others, which reaches 0 cells below: the reference was made with av 1.2.3"
        in answer.out
    )
