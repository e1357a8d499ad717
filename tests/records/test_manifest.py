"""A manifest is read in one place: what is broken or from elsewhere is told by its field, never by a traceback."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_manifest import CLASSES, small_manifest

from bench.errors import BenchError
from bench.records import record as records
from bench.records.manifest import Manifest, read_manifest
from bench.records.predictions import CellKey, FoldPredictions
from bench.records.record import open_record

RUN = ("--methods", "exp-clip:backbone=B32", "--datasets", "tiny-faces")
COMMANDS = (("verify",), ("table",), ("report",), ("audit",))
OTHERS = (None, True, -1, 10**40, float("nan"), "", "other", [], [[]], {}, {"a": {"b": [1]}})


def part(labels: list[int], predictions: list[int], dataset: str = "d") -> FoldPredictions:
    said = np.array(predictions, np.int16)
    names = [str(number) for number in range(len(labels))]
    return FoldPredictions(CellKey("m", "", "P", "paper", dataset), "1", names, np.array(labels, np.int16), said)


def paths(facts: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, a table's cards left to the tests of cards."""
    parts = facts.items() if isinstance(facts, dict) else enumerate(facts) if isinstance(facts, list) else ()
    for key, value in parts:
        yield (*here, key)
        if key != "card":
            yield from paths(value, (*here, key))


def changed(facts: Any, path: tuple[Any, ...], value: Any, *, remove: bool = False) -> Any:
    result = copy.deepcopy(facts)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return result


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    manifest = small_manifest(warnings=["ÿ <b>"], encoded={"m": 3})
    record = records.write(tmp_path / "run", manifest, [])
    assert open_record(record.path).manifest == manifest
    facts = json.loads((record.path / "manifest.json").read_text())
    assert facts["schema"] == 2 and facts["began"] == "2024-01-02T03:04:05Z"


def test_every_changed_field_gives_a_value_or_an_error_that_names_the_file(world: Any, tmp_path: Path) -> None:
    world.run(*RUN)
    facts = json.loads((world.records()[-1] / "manifest.json").read_text())
    file = tmp_path / "manifest.json"
    seen = {"read": 0, "refused": 0}
    for path in paths(facts):
        for other in OTHERS:
            file.write_text(json.dumps(changed(facts, path, other)))
            try:
                read_manifest(file)
                seen["read"] += 1
            except BenchError as error:
                assert str(file) in error.what and error.fix
                seen["refused"] += 1
        file.write_text(json.dumps(changed(facts, path, None, remove=True)))
        try:
            read_manifest(file)
        except BenchError as error:
            assert str(file) in error.what
    assert seen["refused"] > seen["read"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("value", [None, "other", [], {"a": 1}, "removed"], ids=str)
def test_no_command_ends_in_a_traceback_whatever_a_field_holds(world: Any, value: Any) -> None:
    world.run(*RUN)
    record = world.records()[-1]
    file = record / "manifest.json"
    facts = json.loads(file.read_text())
    for path in (path for path in paths(facts) if len(path) <= 2):
        file.write_text(json.dumps(changed(facts, path, value, remove=value == "removed")))
        for command in COMMANDS:
            answer = world.call(
                *command, *(() if command == ("table",) else (str(record),)), *_where(command, record, world)
            )
            assert answer.code in (0, 1, 2), (path, command, answer.err)
            assert "Traceback" not in answer.err


def _where(command: tuple[str, ...], record: Path, world: Any) -> list[str]:
    cards = ["--cards", str(world.root / "cards")]
    return ["--run", str(record), *cards] if command == ("table",) else cards


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"12",
        b'{"schema": 2',
        b'{"schema": 2}',
        b'{"schema": "2"}',
        b'{"schema": true}',
        b'{"schema": 99}',
        b"\xff\xfe{}",
        b'{"schema": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"schema": 2, "tables": ' + b'{"a": ' * 90_000 + b"1" + b"}" * 90_001,
    ],
    ids=lambda data: repr(data[:16]),
)
def test_what_is_not_a_manifest_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(data)
    with pytest.raises(BenchError, match=r"manifest\.json"):
        open_record(tmp_path)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(BenchError, match="not readable"):
        open_record(tmp_path)


def test_the_field_that_is_wrong_is_named_with_what_was_found(tmp_path: Path) -> None:
    facts = json.loads(small_manifest().text())
    facts["datasets"]["d"]["folds"]["1"] = "three"
    (tmp_path / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(BenchError, match=r"manifest\.json: datasets\.d\.folds\.1: .*integer.*found 'three'"):
        open_record(tmp_path)


def test_a_manifest_of_the_schema_before_is_brought_up_to_this_one(world: Any) -> None:
    world.run(*RUN)
    record = world.records()[-1]
    now = json.loads((record / "manifest.json").read_text())
    then = {name: copy.deepcopy(value) for name, value in now.items() if name not in ("device", "ended", "trainings")}
    then |= {
        "schema": 1,
        "began": 1_700_000_000.25,
        "machine_used": {"device": "cpu", "batch": None, "workers": 2, "show": True},
        "courses": [
            {
                "dataset": "d",
                "root": "/d",
                "pictures": 3,
                "fingerprint": "0f",
                "recipes": {"m": {"loss": "squared-error"}},
            }
        ],
    }
    for network in then["networks"]:
        network["shelf"] = network.pop("artifact")
    (record / "manifest.json").write_text(json.dumps(then))
    (record / "checksums.txt").unlink()  # there were none
    manifest = open_record(record).manifest
    assert manifest.began == datetime(2023, 11, 14, 22, 13, 20, 250_000, UTC) and manifest.ended is None
    assert (manifest.device.asked, manifest.device.used, manifest.device.workers) == ("cpu", "not recorded", 2)
    assert [network.artifact for network in manifest.networks] == [network["artifact"] for network in now["networks"]]
    assert manifest.trainings[0].trainings == {"m": {"loss": "squared-error"}}
    assert world.call("verify", record, "--cards", world.root / "cards").code == 0


def test_class_names_can_be_read_without_this_program(tmp_path: Path) -> None:
    import pandas as pd

    record = records.write(tmp_path / "run", small_manifest(), [part([0, 1, 2], [2, -1, 2])])
    frame = pd.read_parquet(record.path / "predictions.parquet")
    assert list(frame["label_name"]) == list(CLASSES)
    assert frame["prediction_name"].tolist()[::2] == ["fear", "fear"] and pd.isna(frame["prediction_name"][1])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (part([0, 1, 5], [0, 0, 0]), "a label of d lies outside its 3 classes"),
        (part([0, 1, 2], [0, 0, -2]), "a prediction of d lies outside its 3 classes"),
        (part([0], [0], "e"), "the manifest has no dataset 'e'"),
    ],
)
def test_predictions_that_do_not_fit_the_manifest_are_refused(
    tmp_path: Path, found: FoldPredictions, said: str
) -> None:
    names = (*CLASSES, "more", "and", "more still")
    wide = small_manifest().datasets["d"].model_copy(update={"classes": names})
    other = small_manifest(datasets={"d": wide, "e": wide})
    record = records.write(tmp_path / "run", other, [found])
    (record.path / "manifest.json").write_text(small_manifest().text())
    records.write_checksums(record.path)
    with pytest.raises(BenchError, match=said):
        list(open_record(record.path).predictions())


def test_a_manifest_without_a_field_that_it_needs_is_never_filled_up(tmp_path: Path) -> None:
    facts = json.loads(small_manifest().text())
    for name, field in Manifest.model_fields.items():
        if field.is_required():
            (tmp_path / "manifest.json").write_text(json.dumps({key: facts[key] for key in facts if key != name}))
            with pytest.raises(BenchError, match=rf"manifest\.json: {name}: "):
                open_record(tmp_path)
    shutil.rmtree(tmp_path)
