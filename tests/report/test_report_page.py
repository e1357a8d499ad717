"""The page's text: what it holds agrees with an independent computation, and nothing in it can be taken for markup."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from bench.records.record import open_record
from bench.report.numbers import margins, spelt
from bench.report.pictures import SIDE
from bench.scoring.zeroshot import softmax


def heard(text: str) -> list[int]:
    return [-1 if mark == "-" else ord(mark) - 48 for mark in text]


def test_every_cells_scores_are_scikit_learns(small: Any) -> None:
    facts = small.facts()
    assert len(facts["cells"]) == 18
    for cell in facts["cells"]:
        labels, said = heard(facts["samples"][cell["samples"]]["labels"]), heard(cell["said"])
        assert cell["uar"][0] == pytest.approx(100 * balanced_accuracy_score(labels, said), abs=1e-4)
        assert cell["war"][0] == pytest.approx(100 * accuracy_score(labels, said), abs=1e-4)
        assert cell["uar"][1] <= cell["uar"][0] <= cell["uar"][2]


def test_the_tables_show_what_the_cells_behind_them_say(small: Any) -> None:
    facts = small.facts()
    (table,) = facts["tables"]
    numbers = [cell for row in table["rows"] for cell in row["cells"].values()]
    assert len(numbers) == 18
    for number in numbers:
        (index,) = number["open"]
        cell = facts["cells"][index]
        assert number["texts"] == [f"{cell['uar'][0]:.2f}", f"{cell['war'][0]:.2f}"]


def test_samples_that_methods_share_are_held_once_and_in_the_records_order(small: Any) -> None:
    facts = small.facts()
    assert [samples["dataset"] for samples in facts["samples"]] == ["tiny-clips", "tiny-faces", "tiny-videos"]
    part = next(part for part in open_record(small.record).predictions() if part.cell.dataset == "tiny-faces")
    assert facts["samples"][1]["ids"] == part.samples
    assert heard(facts["samples"][1]["labels"]) == part.labels.tolist()


def test_worst_and_best_samples_are_those_of_the_lowest_and_highest_margin(small: Any) -> None:
    facts = small.facts()
    for part in open_record(small.record).predictions():
        cell = next(
            cell for cell in facts["cells"] if all(cell[name] == getattr(part.cell, name) for name in part.cell._fields)
        )
        assert part.scores is not None
        by_hand = [
            row[label] - max(score for other, score in enumerate(row) if other != label)
            for row, label in zip(part.scores.astype(float), part.labels, strict=True)
        ]
        order = np.argsort(by_hand, kind="stable").tolist()
        assert [look[0] for look in cell["worst"]] == order[:2]
        assert [look[0] for look in cell["best"]] == order[:-3:-1]
        assert cell["worst"][0][1] == pytest.approx(by_hand[order[0]], abs=1e-4)


def test_every_shown_sample_has_a_small_jpeg_of_its_own_picture(small: Any, world: Any) -> None:
    facts = small.facts()
    assert facts["reasons"] == {}
    shown = {(cell["samples"], look[0]) for cell in facts["cells"] for look in (*cell["worst"], *cell["best"])}
    seen = {(number, int(at)) for number, samples in enumerate(facts["samples"]) for at in samples["pictures"]}
    assert seen == shown
    faces = facts["samples"][1]
    at, number = next(iter(faces["pictures"].items()))
    thumbnail = Image.open(io.BytesIO(base64.b64decode(facts["pictures"][number])))
    assert thumbnail.format == "JPEG" and max(thumbnail.size) <= SIDE
    original = Image.open(world.root / "data" / "tiny-faces" / faces["ids"][int(at)])
    # The pictures are noise, so only the right one is alike.
    one, two = (np.asarray(picture.convert("L").resize((24, 30)), float) for picture in (thumbnail, original))
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.8


def test_a_cell_names_its_network_head_and_prompts(small: Any) -> None:
    facts = small.facts()
    for cell in facts["cells"]:
        (number,) = cell["networks"]
        weights = facts["networks"][number]["files"]["model"]
        backbone = cell["variant"].removeprefix("backbone=")
        assert backbone in weights.replace("-", "").replace("ViT", "")
        assert (facts["methods"][cell["name"]]["head"] is not None) == (cell["method"] == "exp-clip")
        assert facts["prompts"][cell["prompts"]]["texts"]["anger"] == ["a photo of a face with an expression of anger."]


def test_a_dataset_that_is_gone_leaves_a_page_without_its_pictures_that_says_so(
    world: Any, make: Callable[..., Any]
) -> None:
    world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-faces,tiny-clips")
    shutil.rmtree(world.root / "data" / "tiny-faces")
    made = make(world.records()[-1], "--cards", world.root / "cards")
    facts = made.facts()
    assert list(facts["reasons"]) == ["tiny-faces"] and str(world.root / "data" / "tiny-faces") in made.said
    assert [bool(samples["pictures"]) for samples in facts["samples"]] == [True, False]


def test_pictures_can_be_left_out(world: Any, make: Callable[..., Any]) -> None:
    world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-faces")
    facts = make(world.records()[-1], "--cards", world.root / "cards", "--no-pictures").facts()
    assert facts["pictures"] == [] and "without" in facts["reasons"]["tiny-faces"]


def test_texts_from_files_stay_texts(hostile: Any) -> None:
    text = hostile.path.read_text(encoding="utf-8")
    assert len(re.findall(r"<script", text)) == 2 and "<img" not in text
    assert "<title>&lt;script&gt;" in text
    facts = hostile.facts()
    assert facts["cells"][0]["worst"][0][3] == facts["tables"][0]["title"]


def test_the_page_asks_for_nothing_from_elsewhere(small: Any) -> None:
    text = small.path.read_text(encoding="utf-8")
    outside = text.split('id="data">')[0] + text.split('<script type="module">')[1]
    assert "http" not in outside.replace("http-equiv", "")
    assert "default-src 'none'" in text


def test_a_record_without_predictions_is_refused(bench: Any, hostile: Any) -> None:
    from bench.records import record as records

    empty = records.write(hostile.record.with_name("empty"), open_record(hostile.record).manifest, [])
    answer = bench("report", empty.path)
    assert answer.code == 2 and "no predictions" in answer.err


@pytest.mark.parametrize("classes", [1, 3, 70])
def test_predictions_of_any_number_of_classes_are_spelt_with_one_character_each(classes: int) -> None:
    said = [-1, *range(classes)]
    assert len(spelt(said)) == classes + 1 and heard(spelt(said)) == said


def test_margin_and_softmax_of_a_single_class() -> None:
    scores, labels = np.array([[2.0], [-1.0]], np.float32), np.array([0, 0], np.int16)
    assert margins(scores, labels).tolist() == [2.0, -1.0]
    assert softmax(scores).tolist() == [[1.0], [1.0]]


def test_softmax_does_not_overflow() -> None:
    assert softmax(np.array([[1000.0, 0.0]], np.float32)).tolist() == [[1.0, 0.0]]


def test_the_page_lies_beside_the_record_unless_told_otherwise(bench: Any, hostile: Any) -> None:
    assert bench("report", hostile.record).code == 0
    assert (Path(hostile.record) / "report.html").is_file()
