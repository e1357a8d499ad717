"""From files on disk to a record: each picture once, the same numbers again, and nothing lost in silence."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.records.record import open_record

EVERYTHING = ("--methods", "clip,exp-clip", "--datasets", "tiny-faces,tiny-clips,tiny-videos")
FACES = ("--methods", "clip:backbone=B32", "--datasets", "tiny-faces")
DISTINCT = 15 + 3 * (1 + 16) + 6 * 16  # pictures; clips of 5 frames (their first one) and of 20; videos


def encoded(record: Path) -> int:
    return sum(open_record(record).manifest.encoded.values())


def predictions(record: Path) -> dict[Any, Any]:
    return {(part.cell, part.fold): part for part in open_record(record).predictions()}


def same(first: Path, second: Path) -> bool:
    one, two = predictions(first), predictions(second)
    return one.keys() == two.keys() and all(
        one[key].samples == two[key].samples and np.array_equal(one[key].predictions, two[key].predictions)
        for key in one
    )


def test_every_distinct_picture_goes_through_each_tower_once(world: Any) -> None:
    answer = world.run(*EVERYTHING, "--prompts", "P-1,P-2,P-3,P-4,P-5")
    assert answer.code == 0, answer.err
    assert encoded(world.records()[-1]) == 3 * DISTINCT


def test_a_second_run_encodes_nothing_and_gives_the_same_numbers(world: Any) -> None:
    world.run(*EVERYTHING)
    answer = world.run(*EVERYTHING)
    assert "nothing to encode" in answer.err
    assert same(*world.records())


@pytest.mark.parametrize("flags", [("--batch", "1"), ("--batch", "7", "--workers", "1"), ("--workers", "5")])
def test_batch_size_and_workers_change_no_prediction(world: Any, flags: tuple[str, ...]) -> None:
    world.run(*EVERYTHING)
    shutil.rmtree(world.root / "store")
    world.run(*EVERYTHING, *flags)
    assert same(*world.records())


def test_another_prompt_set_head_or_table_encodes_nothing(world: Any) -> None:
    world.run(*FACES)
    answer = world.run("--methods", "exp-clip:backbone=B32", "--datasets", "tiny-faces", "--prompts", "P-5")
    assert answer.code == 0 and "nothing to encode" in answer.err


def test_moved_and_touched_files_are_not_encoded_again(world: Any) -> None:
    world.run(*FACES)
    shutil.move(world.root / "data" / "tiny-faces", world.root / "elsewhere")
    for path in (world.root / "elsewhere").rglob("*.jpg"):
        os.utime(path, (1, 1))
    answer = world.run(*FACES, "--data", f"tiny-faces={world.root / 'elsewhere'}")
    assert answer.code == 0 and "nothing to encode" in answer.err


def test_a_changed_picture_is_encoded_again_and_only_that_one(world: Any) -> None:
    world.run(*FACES)
    faces = world.root / "data" / "tiny-faces"
    shutil.copy(faces / "anger" / "000.jpg", faces / "anger" / "tmp")
    data = bytearray((faces / "anger" / "000.jpg").read_bytes())
    data += b"\0"
    (faces / "anger" / "000.jpg").write_bytes(data)
    (faces / "anger" / "tmp").unlink()
    world.run(*FACES)
    assert encoded(world.records()[-1]) == 1


def test_another_protocol_is_encoded_anew(world: Any) -> None:
    world.run(*FACES)
    world.run(*FACES, "--protocol", "native")
    assert encoded(world.records()[-1]) == 15


def test_the_manifest_tells_what_made_the_numbers(world: Any) -> None:
    world.run(*FACES)
    manifest = open_record(world.records()[-1]).manifest
    network = manifest.networks[0]
    weights = Path(network.files["model"]).read_bytes()
    assert network.weights["model"] == hashlib.sha256(weights).hexdigest()
    assert network.protocol["pixels"]["interpolation"] == "bilinear"
    assert manifest.prompts["P-3"].texts["anger"] == ["a photo of a face with an expression of anger."]
    assert manifest.datasets["tiny-faces"].folds == {"1": 15}
    assert len(manifest.datasets["tiny-faces"].fingerprint) == 32
    assert "torch" in manifest.versions
    assert manifest.ended is not None and manifest.began <= manifest.ended
    assert manifest.device.used == manifest.machine.processor != ""


def test_the_device_is_none_where_everything_was_stored(world: Any) -> None:
    world.run(*FACES)
    world.run(*FACES)
    device = open_record(world.records()[-1]).manifest.device
    assert (device.asked, device.used) == ("cpu", "none: everything was stored")


def test_weights_that_are_not_the_published_ones_are_marked(world: Any) -> None:
    answer = world.run(*FACES)
    found = hashlib.sha256((world.root / "weights" / "ViT-B-32.pt").read_bytes()).hexdigest()
    assert f"ViT-B-32.pt is not the published file (sha256 {found[:12]}, the card states 40d365715913)" in answer.out


def test_a_truncated_picture_stops_the_cell_and_is_named(world: Any) -> None:
    broken = world.root / "data" / "tiny-faces" / "anger" / "000.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    answer = world.run(*FACES)
    assert answer.code == 2
    assert str(broken) in answer.err and "--allow-missing 1" in answer.err
    assert not (world.root / "runs").exists()


def test_allowed_missing_samples_are_left_out_and_marked(world: Any) -> None:
    broken = world.root / "data" / "tiny-faces" / "anger" / "000.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    answer = world.run(*FACES, "--allow-missing", "1")
    assert answer.code == 0, answer.err
    record = world.records()[-1]
    assert sum(len(part.samples) for part in predictions(record).values()) == 14
    assert "1 sample of tiny-faces could not be read" in (record / "table_run.md").read_text()


def test_an_empty_frame_folder_is_named(world: Any) -> None:
    clip = world.root / "data" / "tiny-clips" / "anger" / "clip1"
    for frame in clip.iterdir():
        frame.unlink()
    answer = world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-clips")
    assert answer.code == 2 and "clip1" in answer.err


def test_a_video_of_zero_bytes_is_named(world: Any) -> None:
    video = world.root / "data" / "tiny-videos" / "anger" / "001.avi"
    video.write_bytes(b"")
    answer = world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-videos")
    assert answer.code == 2 and str(video) in answer.err


def test_wrong_counts_stop_the_run_and_are_marked_when_allowed(world: Any) -> None:
    (world.root / "data" / "tiny-faces" / "sadness" / "004.jpg").unlink()
    answer = world.run(*FACES)
    assert answer.code == 2 and "sadness: 4 samples, expected 5" in answer.err
    assert world.run(*FACES, "--allow-counts").code == 0
    assert "class counts of Tiny Faces differ" in (world.records()[-1] / "table_run.md").read_text()


def test_missing_datasets_and_weights_are_all_named_with_the_way_to_get_them(world: Any) -> None:
    shutil.rmtree(world.root / "data" / "tiny-clips")
    (world.root / "weights" / "ViT-L-14.pt").unlink()
    answer = world.run(*EVERYTHING)
    assert answer.code == 2
    assert "Draw it (https://example.org/tiny-clips)" in answer.err
    assert "ViT-L-14.pt" in answer.err and "bench fetch clip" in answer.err


def test_a_head_of_another_width_is_refused(world: Any) -> None:
    import torch

    torch.save({"mlp.weight": torch.zeros(8, 99)}, world.root / "weights" / "ExpCLIP_B32_model.pth")
    answer = world.run("--methods", "exp-clip:backbone=B32", "--datasets", "tiny-faces")
    assert answer.code == 2
    assert "99 wide" in answer.err and "ExpCLIP_B32_model.pth" in answer.err


class Exploding:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("echo exploded > exploded",))


def test_a_checkpoint_with_code_in_it_is_refused_unrun(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.chdir(world.root)
    path = world.root / "weights" / "ViT-B-32.pt"
    torch.save({"state_dict": Exploding()}, path)
    answer = world.run(*FACES)
    assert answer.code == 2 and str(path) in answer.err and "system" in answer.err
    assert not (world.root / "exploded").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--methods", "clpi", "--datasets", "tiny-faces"), "did you mean 'clip'"),
        (("--methods", "clip:backbone=B33", "--datasets", "tiny-faces"), "did you mean"),
        (("--methods", "clip:bakbone=B32", "--datasets", "tiny-faces"), "backbone"),
        (("--methods", "clip", "--datasets", "tiny-face"), "did you mean 'tiny-faces'"),
        (("--methods", "clip", "--datasets", "tiny-faces", "--prompts", "P-9"), "did you mean"),
        (("--methods", "clip", "--datasets", "tiny-faces", "--protocol", "papre"), "did you mean 'paper'"),
        (("--table", "22",), "no table"),
        ((), "name a --table"),
    ],
)  # fmt: skip
def test_a_wrong_name_gets_the_near_ones(world: Any, args: tuple[str, ...], said: str) -> None:
    answer = world.run(*args)
    assert answer.code == 2 and said in answer.err


def test_a_limited_run_is_marked(world: Any) -> None:
    assert world.run(*FACES, "--limit", "6").code == 0
    assert "at most 6 samples per fold" in (world.records()[-1] / "table_run.md").read_text()
    assert encoded(world.records()[-1]) == 6


def test_the_plan_tells_what_is_missing_without_running(world: Any) -> None:
    world.run(*FACES)
    shutil.rmtree(world.root / "data" / "tiny-clips")
    answer = world.run(*EVERYTHING, "--dry-run", "--json")
    facts = json.loads(answer.out)
    assert answer.code == 0 and "tiny-clips" in facts["datasets_absent"]
    by_weights = {work["weights"]: work for work in facts["vision"]}
    assert by_weights["ViT-B-32.pt"]["stored"] == 15
    assert by_weights["ViT-B-16.pt"]["to_do"] == 15 + 96 + 6 * 16
    assert len(world.records()) == 1


def test_at_the_papers_sizes_each_picture_is_planned_once_a_tower(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """461,956 distinct pictures for three backbones; a loop over 240 cells makes ten times as many passes."""
    for name in [name for name in os.environ if name.startswith("BENCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    facts = json.loads(bench("run", "--table", "A", "--dry-run", "--json").out)
    assert facts["encodes"] == 1_385_868
    assert facts["loop_over_cells"] == 14_377_650
    assert facts["macs"] is not None


def test_the_order_of_methods_datasets_and_prompts_changes_no_number(world: Any) -> None:
    world.run(*EVERYTHING, "--prompts", "P-3,P-5")
    shutil.rmtree(world.root / "store")
    turned = ("--methods", "exp-clip,clip", "--datasets", "tiny-videos,tiny-faces,tiny-clips", "--prompts", "P-5,P-3")
    world.run(*turned)
    assert same(*world.records())
    one, two = (predictions(record) for record in world.records())
    for key, part in one.items():
        np.testing.assert_allclose(part.scores, two[key].scores, atol=1e-5)


def test_a_store_that_is_half_filled_in_another_order_gives_the_same_numbers(world: Any) -> None:
    world.run(*EVERYTHING)
    shutil.rmtree(world.root / "store")
    world.run("--methods", "exp-clip:backbone=B16", "--datasets", "tiny-videos", "--batch", "3")
    world.run("--methods", "clip:backbone=L14", "--datasets", "tiny-faces", "--limit", "2", "--batch", "1")
    world.run(*EVERYTHING, "--batch", "5")
    first, *_, last = world.records()
    assert same(first, last)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_a_damaged_store_entry_is_named_and_its_rows_alone_are_encoded_again(world: Any, damage: str) -> None:
    world.run(*FACES)
    world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-clips")
    shard = min((world.root / "store" / "frames").rglob("*.npy"))
    rows = len(np.load(shard))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 4
    shard.write_bytes({"flip": bytes(data), "truncate": bytes(data[:-7]), "empty": b""}[damage])
    answer = world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-faces,tiny-clips")
    assert answer.code == 0 and f"store entry {shard} is broken" in answer.err
    assert encoded(world.records()[-1]) == rows < DISTINCT
    assert same_part(world.records()[0], world.records()[-1])


def same_part(part: Path, whole: Path) -> bool:
    one, two = predictions(part), predictions(whole)
    return all(np.array_equal(one[key].predictions, two[key].predictions) for key in one)


def test_a_dataset_that_changed_between_two_runs_has_another_fingerprint(world: Any) -> None:
    faces = world.root / "data" / "tiny-faces" / "anger"
    prints = []
    for change in (lambda: None, lambda: None, lambda: shutil.copy(faces / "001.jpg", faces / "000.jpg")):
        change()
        assert world.run(*FACES).code == 0
        prints.append(open_record(world.records()[-1]).manifest.datasets["tiny-faces"].fingerprint)
    assert prints[0] == prints[1] != prints[2]
