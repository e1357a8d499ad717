"""Rows whose head is trained here: `bench run` trains what it lacks, scores every seed, and pairs any two sides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.heads.heads import read_head
from bench.records.predictions import FoldPredictions
from bench.records.record import open_record

HEAD_CARD = """
kind = "method"
name = "tiny-head"
extends = "exp-clip"

[head.training]
dataset = "tiny-faces"
dropout = false
schedule = { epochs = 2, batch = 4, rate = 0.01 }
"""


@pytest.fixture
def each(lab: Any) -> Any:
    """The small world with a teacher in it, and a method that is trained on its pictures."""
    (lab.root / "cards" / "tiny-head.toml").write_text(HEAD_CARD)
    return lab


def predictions(each: Any) -> list[FoldPredictions]:
    return list(open_record(each.records()[-1]).predictions())


def embeddings(each: Any, method: str, *args: str) -> Any:
    """What `bench embed` gives."""
    to = each.root / "embedded.npz"
    answer = each.call("embed", *args, "--method", method, "--to", str(to), *each.flags)
    assert answer.code == 0, answer.err
    return np.load(to)["embeddings"]


def test_a_run_trains_what_it_lacks_and_scores_every_seed(each: Any) -> None:
    row = ("--methods", "tiny-head:backbone=B32,instruction=empty", "--datasets", "tiny-faces,tiny-clips")
    first = each.run(*row)
    assert first.code == 0, first.err
    assert first.err.count("steps, loss") == 3
    parts = predictions(each)
    assert {(part.cell.dataset, part.cell.seed) for part in parts} == {
        (name, seed) for name in ("tiny-faces", "tiny-clips") for seed in (1, 2, 3)
    }
    scores = {part.cell.seed: part.scores for part in parts if part.cell.dataset == "tiny-faces"}
    assert not np.allclose(scores[1], scores[2])
    again = each.run(*row)
    assert again.code == 0 and "nothing to encode" in again.err and "steps, loss" not in again.err
    before, after = (open_record(path) for path in each.records())
    assert (before.path / "metrics.csv").read_bytes() == (after.path / "metrics.csv").read_bytes()
    assert before.manifest.trainings == after.manifest.trainings
    assert before.manifest.datasets == after.manifest.datasets
    assert before.manifest.pixels == after.manifest.pixels


def test_the_trained_head_is_the_one_that_scores(each: Any) -> None:
    """The scores of a seed are those of the head file that the record names, put on both sides by hand."""
    answer = each.run("--methods", "tiny-head:backbone=B32,head=2mlp", "--datasets", "tiny-faces")
    assert answer.code == 0, answer.err
    manifest = open_record(each.records()[-1]).manifest
    (files,) = (facts.head.files for facts in manifest.methods.values())
    pictures = sorted(str(path) for path in (each.root / "data" / "tiny-faces").rglob("*.jpg"))
    images = embeddings(each, "clip:backbone=B32", *pictures, "--protocol", "paper")
    words = [f"a photo of a face with an expression of {name}." for name in ("happiness", "sadness", "anger")]
    texts = embeddings(each, "clip:backbone=B32", *(part for word in words for part in ("--text", word)))
    for part, file in zip(predictions(each), files, strict=True):
        head = read_head(Path(file.file)).head
        projected, classes = head.project(images), head.project(texts)
        projected /= np.linalg.norm(projected, axis=1, keepdims=True)
        classes /= np.linalg.norm(classes, axis=1, keepdims=True)
        cosines = projected @ classes.T
        order = np.argsort(part.samples)
        assert part.cell.seed == file.seed and part.scores is not None
        scale = part.scores[order][0, 0] / cosines[0, 0]
        assert np.allclose(part.scores[order], scale * cosines, rtol=1e-3, atol=1e-3)


SIDES = {
    "clip-clip": ("clip", "clip"),
    "clipph-llm": ("head", "teacher"),
    "llm-clipph": ("teacher", "head"),
    "llm-llm": ("teacher", "teacher"),
    "clipph-clipph": ("head", "head"),
}


def test_every_pairing_of_sides_is_scored(each: Any) -> None:
    """Each side's vectors as `bench embed` and the teacher give them; only their cosines may be left."""
    from PIL import Image

    from bench.cards.head_training import Instruction
    from bench.heads.teacher import Teacher

    methods = [part for side in SIDES for part in ("--methods", f"tiny-head:backbone=L14,weights=trained,sides={side}")]
    answer = each.run(*methods, "--datasets", "tiny-faces")
    assert answer.code == 0, answer.err
    pictures = sorted((each.root / "data" / "tiny-faces").rglob("*.jpg"))
    words = [f"a photo of a face with an expression of {name}." for name in ("happiness", "sadness", "anger")]
    asked = [part for word in words for part in ("--text", word)]
    plain = [*map(str, pictures), "--protocol", "paper"]
    hub = each.root / "weights" / "Salesforce" / "blip2-flan-t5-xxl"
    teacher = Teacher({"model": hub})
    size = teacher.size
    pixels = torch.stack(
        [
            torch.from_numpy(
                np.asarray(Image.open(path).convert("RGB").resize((size, size), Image.Resampling.BILINEAR), np.float32)
            ).permute(2, 0, 1)
            / 255
            for path in pictures
        ]
    )
    told = Instruction(
        text="Please play the role of a facial action describer. Objectively describe the detailed facial actions of "
        "the person in the image."
    )
    nobody = [0] * len(pictures)
    seen = teacher.targets(teacher.queries(teacher.see(pixels), nobody), told, nobody).numpy()
    images = {
        "clip": embeddings(each, "clip:backbone=L14", *plain),
        "head": embeddings(each, "tiny-head:backbone=L14,weights=trained", *plain, "--projected"),
        "teacher": seen,
    }
    texts = {
        "clip": embeddings(each, "clip:backbone=L14", *asked),
        "head": embeddings(each, "tiny-head:backbone=L14,weights=trained", *asked, "--projected"),
        "teacher": teacher.encode_texts(words).numpy(),
    }
    found = {part.cell.variant: part for part in predictions(each) if part.cell.seed in (None, 1)}
    assert len(found) == len(SIDES)
    for name, (image, text) in SIDES.items():
        (part,) = (
            part for key, part in found.items() if name in key or (name == "clipph-clipph" and "sides" not in key)
        )
        left = images[image] / np.linalg.norm(images[image], axis=1, keepdims=True)
        right = texts[text] / np.linalg.norm(texts[text], axis=1, keepdims=True)
        cosines = left @ right.T
        assert part.scores is not None
        scores = part.scores[np.argsort(part.samples)]
        assert np.allclose(scores / scores[0, 0], cosines / cosines[0, 0], rtol=2e-3, atol=2e-3), name


def test_sides_of_different_widths_are_refused(each: Any) -> None:
    """The world's published head is 48 wide, and its teacher 128."""
    answer = each.run("--methods", "tiny-head:backbone=L14,sides=clipph-llm", "--datasets", "tiny-faces")
    assert answer.code == 2 and "image side is 48 wide and its text side 128" in answer.err


def test_the_plan_lists_each_tower_and_each_instruction_once(bench: Any, tmp_path: Path) -> None:
    """At the paper's sizes, without any data: whatever the number of heads, seeds, prompt sets and backbones."""
    tables = [part for name in ("2", "3", "4", "5", "A", "B") for part in ("--table", name)]
    folders = [part for name in ("data", "weights", "store") for part in (f"--{name}", str(tmp_path / name))]
    answer = bench("run", *tables, *folders, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    plan = json.loads(answer.out)
    weights = [work["weights"] for work in plan["vision"]]
    assert weights == [
        "ViT-B-32.pt",
        "ViT-B-16.pt",
        "ViT-L-14.pt",
        "Salesforce/blip2-flan-t5-xxl",
    ]  # the last in Table 5
    tested = plan["vision"][-1]["datasets"]
    for tower in plan["vision"][:3]:
        assert tower["datasets"] == {**tested, "caer-s": 45_000}
    (group,) = plan["trainings"]
    assert group["pictures"] == 45_000
    assert group["heads"] == 3 * (
        3 * 5 + 3
    )  # seeds x (backbones x instructions but the published one, and other heads)
    (teacher,) = group["teachers"]
    assert teacher["pictures_through_the_tower"] == group["pictures"]
    by_instruction: dict[str, list[int]] = {}
    for done in teacher["passes"]:
        by_instruction.setdefault(done["instruction"], []).append(done["epoch"])
    assert len(by_instruction) == 6 and set(map(tuple, by_instruction.values())) == {(0, 1, 2, 3, 4)}
