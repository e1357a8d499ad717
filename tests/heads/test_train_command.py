"""`bench train`: from pictures on disk to head files, each part of the way once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.heads.heads import read_head, read_linear

HEAD_CARD = """
kind = "method"
name = "tiny-head"
extends = "exp-clip"
head.training.dataset = "tiny-faces"
head.training.schedule.batch = 4
"""
SMALL = ("dataset=tiny-faces", "schedule.batch=4", "schedule.epochs=2", "schedule.rate=0.01")
STILL = (*SMALL, "dropout=false")
PICTURES, EPOCHS, STEPS = 15, 2, 6


def train(lab: Any, *args: str, facts: tuple[str, ...] = STILL) -> Any:
    sets = [part for fact in facts for part in ("--set", fact)]
    return lab.call("train", *args, *sets, "--json", *lab.flags)


def heads(answer: Any) -> list[dict[str, Any]]:
    assert answer.code == 0, answer.err
    found: list[dict[str, Any]] = json.loads(answer.out)
    return found


def test_three_seeds_of_a_backbone_are_trained_and_recorded(lab: Any) -> None:
    answer = train(lab, "exp-clip", "--backbone", "B32")
    found = heads(answer)
    assert [(head["variant"], head["seed"]) for head in found] == [("exp-clip:backbone=B32", n) for n in (1, 2, 3)]
    assert f"exp-clip: {PICTURES} pictures went through the tower" in answer.err
    assert f"{PICTURES} pictures went through the teacher's tower" in answer.err
    assert f"1 pass of {PICTURES} pictures through the teacher's encoder" in answer.err
    files = [read_head(Path(head["file"])) for head in found]
    assert {file.head.project(np.zeros((1, 32), np.float32)).shape for file in files} == {(1, 128)}
    record = files[1].record
    assert record["seed"] == 2 and len(record["losses"]) == STEPS
    assert record["dataset"]["pictures"] == PICTURES and record["dataset"]["fingerprint"]
    assert record["training"]["instruction"]["text"].startswith("Please play the role of a facial action describer.")
    assert record["training"]["teacher"] == "blip2:model=flant5xxl" and "torch" in record["versions"]


def test_what_is_there_is_not_done_again(lab: Any) -> None:
    first = heads(train(lab, "exp-clip", "--backbone", "B32"))
    again = train(lab, "exp-clip:backbone=B32")
    assert heads(again) == first
    assert "nothing to train" in again.err and "went through" not in again.err
    more = train(lab, "exp-clip", "--backbone", "B32,L14", "--instruction", "describer,empty", "--seeds", "1,2,3")
    assert len(heads(more)) == 12 and heads(more)[:3] == first
    assert more.err.count("pictures went through the tower") == 1  # L/14's; B/32 and the teacher's are stored
    assert "the teacher's tower" not in more.err
    assert f"1 pass of {PICTURES} pictures through the teacher's encoder" in more.err


def test_every_head_and_instruction_of_the_card_is_trained_from_one_look(lab: Any) -> None:
    answer = train(lab, "exp-clip", "--backbone", "B16", "--head", "all", "--instruction=all", "--seeds", "1")
    found = heads(answer)
    assert len(found) == 4 * 6
    assert f"exp-clip: {PICTURES} pictures went through the tower" in answer.err
    assert f"6 passes of {PICTURES} pictures through the teacher's encoder" in answer.err
    linear = [read_head(Path(row["file"])).head for row in found if "head=" not in row["variant"]]
    probe = np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32)
    projected = [head.project(probe) for head in linear]
    assert all(not np.array_equal(a, b) for n, a in enumerate(projected) for b in projected[:n])


def test_with_dropout_the_teacher_is_run_once_an_epoch_and_sees_each_picture_once(lab: Any) -> None:
    answer = train(lab, "exp-clip", "--backbone", "B32,B16", facts=SMALL)
    assert len(heads(answer)) == 6
    assert f"{PICTURES} pictures went through the teacher's tower" in answer.err
    assert f"{EPOCHS} passes of {PICTURES} pictures through the teacher's encoder" in answer.err
    made = read_head(Path(heads(answer)[0]["file"])).record["made_of"]
    assert len(set(made["targets"])) == EPOCHS
    still = heads(train(lab, "exp-clip", "--backbone", "B32"))
    assert {row["file"] for row in still}.isdisjoint(row["file"] for row in heads(answer))


def test_a_head_of_ones_own_instruction_and_loss_needs_no_code(lab: Any) -> None:
    facts = (*STILL, "instruction.text=Describe the mouth.", "loss=squared-error")
    answer = train(lab, "exp-clip", "--backbone", "B32", "--seeds", "7", facts=facts)
    record = read_head(Path(heads(answer)[0]["file"])).record
    assert record["training"]["instruction"]["text"] == "Describe the mouth."
    assert (record["training"]["loss"], record["seed"]) == ("squared-error", 7)


def test_a_trained_head_goes_into_the_published_format_and_is_run_from_there(lab: Any) -> None:
    to = lab.root / "heads"
    answer = train(lab, "exp-clip", "--backbone", "B32", "--seeds", "1", "--to", str(to), "--published-format")
    path = Path(heads(answer)[0]["file"])
    assert path == to / "exp-clip-backbone=B32-seed1.pth"
    assert read_linear(path, "mlp.weight").weight.shape == (128, 32)
    shutil.copyfile(path, lab.root / "weights" / "ExpCLIP_B32_model.pth")
    ran = lab.run("--methods", "exp-clip:backbone=B32", "--datasets", "tiny-faces")
    assert ran.code == 0, ran.err
    assert "nothing to encode" in ran.err  # training and scoring read the same artifact


BAD = {
    "too few": (
        ("exp-clip", "--backbone", "B32"),
        (*STILL, "schedule.batch=16"),
        "15 pictures, fewer than one batch of 16",
    ),
    "no training": (("clip", "--backbone", "B32"), (), "clip:backbone=B32 has no head that could be trained"),
    "axis": (("exp-clip", "--bakcbone", "B32"), STILL, "no axis of exp-clip is called 'bakcbone'"),
    "value": (("exp-clip", "--backbone", "B33"), STILL, "no backbone of exp-clip is called 'B33'"),
    "no value": (("exp-clip", "--backbone"), (), "--backbone without a value"),
    "fact": (("exp-clip", "--backbone", "B32"), ("lose=squared-error",), "head.training.lose"),
    "loss": (("exp-clip", "--backbone", "B32"), ("loss=squared",), "head.training.loss"),
    "form": (("exp-clip", "--backbone", "B32"), ("dropout",), "is not FACT=VALUE"),
    "key": (("exp-clip", "--backbone", "B32"), ("a b=1",), "'a b' is not a fact"),
    "seeds": (("exp-clip", "--backbone", "B32", "--seeds", "1,x"), STILL, "write whole numbers"),
    "format": (("exp-clip", "--backbone", "B32", "--published-format"), STILL, "--published-format without --to"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_wrong_call_says_what_and_how(what: str, lab: Any) -> None:
    args, facts, message = BAD[what]
    answer = train(lab, *args, facts=facts)
    assert answer.code == 2 and message in answer.err


def test_an_unreadable_picture_stops_the_training_and_is_named(lab: Any) -> None:
    path = lab.root / "data" / "tiny-faces" / "sadness" / "001.jpg"
    path.write_bytes(path.read_bytes()[:300])
    answer = train(lab, "exp-clip", "--backbone", "B32")
    assert answer.code == 2 and "1 picture of tiny-faces could not be read" in answer.err
    assert "sadness/001.jpg" in answer.err


def test_a_missing_teacher_is_named(world: Any) -> None:
    answer = train(world, "exp-clip", "--backbone", "B32")
    assert answer.code == 2 and "the weights Salesforce/blip2-flan-t5-xxl of blip2 are not here" in answer.err


def test_a_row_whose_head_is_not_trained_names_the_pictures_it_needs(lab: Any) -> None:
    answer = lab.run("--methods", "exp-clip:backbone=B32,instruction=empty", "--datasets", "tiny-faces")
    assert answer.code == 2 and "CAER-S is not here" in answer.err and "--datasets" not in answer.err


def test_a_head_that_a_command_lacks_and_cannot_train_says_how(lab: Any) -> None:
    (lab.root / "cards" / "tiny-head.toml").write_text(HEAD_CARD)
    picture = lab.root / "data" / "tiny-faces" / "sadness" / "001.jpg"
    each = ("--method", "tiny-head:backbone=B32,instruction=empty", "--classes", "happiness,sadness")
    answer = lab.call("predict", str(picture), *each, *lab.flags)
    assert answer.code == 2 and "bench train tiny-head:backbone=B32,instruction=empty" in answer.err
