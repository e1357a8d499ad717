"""A record from somewhere else: whatever it states, nothing outside the folders that the user names is read or written."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.records.record import write_checksums


@pytest.fixture
def record(world: Any) -> Path:
    """A run of one cell."""
    assert world.run("--methods", "clip", "--datasets", "tiny-faces").code == 0
    return Path(world.records()[-1])


def restate(record: Path, **facts: Any) -> None:
    """Let the manifest say something else."""
    path = record / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))
    write_checksums(record)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def renamed_table(record: Path, name: str) -> dict[str, Any]:
    return {name: json.loads((record / "manifest.json").read_text())["tables"]["run"]}


@pytest.mark.parametrize("door", ["device", "table"])
def test_no_name_in_a_record_leads_a_golden_file_out_of_its_folder(
    world: Any, record: Path, tmp_path: Path, door: str
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "settings-run.json").write_text("{}")
    (victim / "settings.json").write_text("{}")
    golden = tmp_path / "golden"
    golden.mkdir()
    (golden / "cpu-tablex").mkdir()
    if door == "device":
        restate(record, device={"asked": "../victim/settings", "used": "none"})
    else:
        restate(record, tables=renamed_table(record, "x/../../victim/settings"))
    before = files(tmp_path / "victim"), files(golden)
    answer = world.call("check", record, "--against", golden, "--update")
    assert answer.code == 2 and "is not a plain name" in answer.err and "manifest.json" in answer.err, answer
    assert (files(victim), files(golden)) == before


def test_verify_reads_no_file_that_a_tables_name_leads_to(world: Any, record: Path, tmp_path: Path) -> None:
    (tmp_path / "world" / "secret.md").write_text("the secret\n" * 50)
    (record / "table_x").mkdir()
    restate(record, tables=renamed_table(record, "x/../../../secret"))
    answer = world.call("verify", record, "--cards", world.root / "cards")
    assert answer.code == 2 and "is not a plain name" in answer.err
    assert "the secret" not in answer.out + answer.err


@pytest.mark.parametrize("name", ["manifest.json", "predictions.parquet", "metrics.csv", "table_run.md"])
@pytest.mark.parametrize("command", ["report", "verify", "check", "table"])
def test_no_command_follows_a_link_inside_a_record(
    world: Any, record: Path, tmp_path: Path, name: str, command: str
) -> None:
    shutil.move(record / name, tmp_path / "elsewhere")
    (record / name).symlink_to(tmp_path / "elsewhere")
    answer = world.call(command, *(["--run"] if command == "table" else []), record)
    assert answer.code == 2, answer
    assert f"{record / name} is a link" in answer.err and "remove it" in answer.err


def test_a_records_pictures_come_from_the_users_own_datasets(world: Any, record: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    shutil.copytree(world.root / "data" / "tiny-faces", private)
    for path in private.rglob("*.jpg"):
        Image.fromarray(np.full((60, 48, 3), (0, 0, 255), np.uint8)).save(path)
    datasets = json.loads((record / "manifest.json").read_text())["datasets"]
    datasets["tiny-faces"]["root"] = str(private)
    restate(record, datasets=datasets)
    answer = world.call("report", record, "--cards", world.root / "cards", "--to", tmp_path / "none.html")
    assert answer.code == 0 and "is not here (looked in nowhere" in answer.err, answer.err
    own = ("--data", world.root / "data", "--cards", world.root / "cards", "--to", tmp_path / "own.html")
    assert world.call("report", record, *own).code == 0
    text = (tmp_path / "own.html").read_text().split('id="data">', 1)[1].split("</script>", 1)[0]
    pictures = [Image.open(io.BytesIO(base64.b64decode(data))) for data in json.loads(text)["pictures"]]
    assert pictures and all(np.asarray(picture)[..., 0].mean() > 60 for picture in pictures)
