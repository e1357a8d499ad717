"""The commands that list, show, score, embed, predict, diagnose and fetch."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PREDICT = ("--method", "exp-clip:backbone=B32", "--classes", "happiness,sadness,anger")


def test_help_comes_at_once_and_imports_nothing_heavy() -> None:
    code = "import sys, bench.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\nprint(sorted(sys.modules), file=sys.stderr)"
    begun = time.perf_counter()
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "predict" in found.stdout
    assert not {"numpy", "torch", "pandas", "pydantic"} & set(found.stderr.replace("'", " ").replace(",", " ").split())
    assert time.perf_counter() - begun < 5  # 0.4 s is measured by `make bench`; here the machine may be busy


def test_every_command_explains_itself(bench: Any) -> None:
    from bench.cli import COMMANDS

    for name in COMMANDS:
        answer = bench(name, "--help")
        assert answer.code == 0 and "Usage" in answer.out
        assert "\\b" not in answer.out  # the mark that keeps examples on lines of their own


def test_no_dataset_is_named_outside_the_rooms_that_know_layouts() -> None:
    from bench.cards.catalog import load

    package = Path(load.__code__.co_filename).parents[1]
    rooms = {package / room for room in ("data", "models", "mini")}
    names = list(load().datasets)
    for path in package.rglob("*.py"):
        if not rooms & set(path.parents):
            text = path.read_text(encoding="utf-8").lower()
            assert not [name for name in names if name in text], path


def completed(words: str, at: int) -> list[str]:
    """What bash is told for a line whose word at `at` is being typed."""
    environment = {**os.environ, "_BENCH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("bench"))], env=environment, capture_output=True, text=True, check=True
    )
    return [line.removeprefix("plain,") for line in done.stdout.splitlines()]


def test_a_shell_completes_commands_and_names_of_cards(world: Any) -> None:
    assert completed("bench ru", 1) == ["run"]
    assert completed("bench run --methods clip,exp", 3) == ["clip,exp-clip"]
    assert completed("bench run --methods +emot", 3) == ["+emotionclip"]
    assert "tiny-clips" in completed(f"bench run --cards {world.root / 'cards'} --datasets tiny", 5)
    assert {"1", "A"} <= set(completed("bench run --table ", 3))


def test_the_version_names_torch_and_the_device(bench: Any) -> None:
    answer = bench("--version")
    assert answer.code == 0 and re.fullmatch(r"fer-bench \S+, Python \S+, torch \S+, (cpu|cuda): .+\n", answer.out)


def test_no_colour_where_none_is_wanted(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.cards.catalog import load
    from bench.cli.table import on_screen
    from bench.records.record import open_record
    from bench.tables.record import grids_of

    world.run("--methods", "clip:backbone=B32,clip:backbone=B16", "--datasets", "tiny-faces")
    record = open_record(world.records()[-1])
    (grid,) = grids_of(record, load([world.root / "cards"]), ["run"])
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in on_screen(grid)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[\d;]*3\d", on_screen(grid))


def test_a_misspelt_command_gets_the_near_one(bench: Any) -> None:
    answer = bench("runn")
    assert answer.code == 2 and "did you mean 'run'" in answer.err


def test_list_as_json_holds_every_kind(bench: Any) -> None:
    listing = json.loads(bench("list", "--json").out)
    kinds = {"methods", "datasets", "tables", "figures", "prompts", "questions", "protocols", "detectors"}
    assert kinds | {"broken"} == set(listing)
    assert listing["broken"] == []


@pytest.mark.parametrize(
    "name", ["clip", "clip:backbone=L14", "dfew", "P-5", "paper", "2", "exp-clip:2", "D", "exp-clip:figure-3"]
)
def test_show_prints_any_card(bench: Any, name: str) -> None:
    answer = bench("show", name, "--json")
    assert answer.code == 0 and "card" in json.loads(answer.out)
    assert bench("show", name).code == 0


def test_figures_are_listed_and_one_that_is_called_as_a_table_is_shown_too(bench: Any) -> None:
    (listed,) = [row for row in json.loads(bench("list", "figures", "--json").out)["figures"] if row["name"] == "D"]
    assert listed["draws"] == "retrieval" and listed["datasets"] == "mafw"
    titles = {name: json.loads(bench("show", name, "--json").out)["title"] for name in ("3", "figure-3", "Figure-A")}
    assert titles == {"3": "Table 3", "figure-3": "Figure 3", "Figure-A": "Figure A"}
    answer = bench("show", "figure-F")
    assert answer.code == 2 and "'figure-" in answer.err


def test_show_writes_a_prompt_sets_texts_out(bench: Any) -> None:
    shown = json.loads(bench("show", "P-5", "--json").out)
    assert shown["as sent"]["fear"][-1] == "a clean photo showcasing a person's fearful expression."


def test_score_prints_percent_with_folds_and_intervals(bench: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("dataset,fold,label,prediction\nd,1,a,a\nd,1,b,a\nd,2,a,a\nd,2,b,b\n")
    (group,) = json.loads(bench("score", file, "--json").out)
    assert (group["uar"], group["war"], group["n"]) == (75.0, 75.0, 4)
    assert [fold["uar"] for fold in group["folds"]] == [50.0, 100.0]
    assert "75.00" in bench("score", file).out


def test_score_names_the_file_and_the_column_that_is_not_there(bench: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("dataset,label,predicton\nd,a,a\n")
    answer = bench("score", file)
    assert answer.code == 2 and str(file) in answer.err and "predicton" in answer.err


def test_doctor_tells_what_is_here_and_what_is_not(world: Any) -> None:
    answer = world.call("doctor", "tiny-faces", "clip", *world.flags, "--json")
    facts = json.loads(answer.out)
    assert answer.code == 0
    assert facts["datasets"][0]["state"] == "here" and facts["datasets"][0]["samples"] == "15"
    assert {state["file"]: state["state"] for state in facts["weights"]}["ViT-B-32.pt"] == "here"
    (world.root / "data" / "tiny-faces" / "anger" / "000.jpg").unlink()
    answer = world.call("doctor", "tiny-faces", *world.flags)
    assert answer.code == 1 and "anger: 5 samples, expected 6" in answer.out


def test_embed_gives_one_row_an_input(world: Any) -> None:
    faces = sorted((world.root / "data" / "tiny-faces" / "anger").iterdir())[:2]
    clip = world.root / "data" / "tiny-clips" / "anger" / "clip1"
    video = world.root / "data" / "tiny-videos" / "anger" / "000.avi"
    out = world.root / "out.npz"
    args = ("embed", *faces, clip, video, "--text", "a face", "--method", "clip:backbone=B32", "--to", out)
    answer = world.call(*args, *world.flags)
    assert answer.code == 0, answer.err
    found = np.load(out)
    assert found["embeddings"].shape == (5, 32) and found["names"][-1] == "a face"


def test_embed_gives_what_a_run_stored(world: Any) -> None:
    from bench.data.digest import digest
    from bench.data.samples import Blob
    from bench.store.artifacts import ArtifactKey, Store

    world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-faces")
    face = world.root / "data" / "tiny-faces" / "anger" / "000.jpg"
    out = world.root / "out.npz"
    world.call("embed", face, "--method", "clip:backbone=B32", "--to", out, *world.flags)
    about = json.loads(next((world.root / "store" / "frames").glob("*/about.json")).read_text())
    made_of = {name: fact for name, fact in about.items() if name not in ("step", "facts", "checksum")}
    artifact = Store(world.root / "store").open(ArtifactKey(about["step"], made_of))
    assert np.allclose(artifact.rows([digest(Blob(str(face)))]), np.load(out)["embeddings"], atol=1e-5)


def test_predict_gives_probabilities_that_agree_with_a_run(world: Any) -> None:
    from bench.records.record import open_record

    world.run("--methods", "exp-clip:backbone=B32", "--datasets", "tiny-faces")
    (part,) = open_record(world.records()[-1]).predictions()
    spot = part.samples.index("anger/000.jpg")
    face = world.root / "data" / "tiny-faces" / "anger" / "000.jpg"
    answer = world.call("predict", face, *PREDICT, "--json", *world.flags)
    (row,) = json.loads(answer.out)
    assert sum(row[name] for name in ("happiness", "sadness", "anger")) == pytest.approx(1, abs=1e-5)
    best = max(("happiness", "sadness", "anger"), key=lambda name: row[name])
    assert best == ("happiness", "sadness", "anger")[part.predictions[spot]]


def test_predict_refuses_a_file_that_is_no_picture(world: Any) -> None:
    file = world.root / "no.jpg"
    file.write_text("no picture")
    answer = world.call("predict", file, *PREDICT, *world.flags)
    assert answer.code == 2 and str(file) in answer.err


def test_fetch_brings_what_it_can_and_says_what_no_program_can_get(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import urllib.error
    import urllib.request

    def no_network(url: str, timeout: float) -> Any:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    answer = world.call("fetch", "exp-clip:backbone=B32", "--to", tmp_path / "new")
    assert answer.code == 2 and "checkpoint/ExpCLIP_B32_model.pth" in answer.err
    assert "ViT-B-32.pt could not be downloaded" in answer.err or "no network" in answer.err


def test_a_hub_folder_without_a_pinned_revision_is_pinned_at_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import huggingface_hub

    from bench.cards.schema import Weight
    from bench.models.download import fetch_weight

    commits, asked = ["c1", "c2"], []

    class Api:
        def model_info(self, hub: str) -> Any:
            return type("Info", (), {"sha": commits.pop(0)})

    def download(hub: str, revision: str, allow_patterns: Any, local_dir: Path) -> None:
        asked.append((hub, revision))
        local_dir.mkdir(parents=True)
        (local_dir / "config.json").write_text("{}")

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    for name in ("a/b", "again"):
        fetch_weight(name, Weight(hub="a/b"), tmp_path)
    assert asked == [("a/b", "c1"), ("a/b", "c1")] and "c1" in caplog.messages[0]
    fetch_weight("pinned", Weight(hub="a/b", revision="c9"), tmp_path)
    assert asked[-1] == ("a/b", "c9")


def test_a_download_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import urllib.request

    from bench.cards.schema import Weight
    from bench.errors import WeightsError
    from bench.models.download import fetch_weight

    class Reply(io.BytesIO):
        headers = {"Content-Length": "5"}
        url = "https://elsewhere.example.org/w.pt"

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Reply(b"other"))
    with pytest.raises(WeightsError, match="expected 00ff"):
        fetch_weight("w.pt", Weight(url="https://example.org/w.pt", sha256="00ff"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == []
    unstated = Weight(url="https://example.org/w.pt")
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Reply(b"\x80\x02one"))
    with pytest.raises(WeightsError, match="its card states none"):
        fetch_weight("w.pt", unstated, tmp_path)
    fetch_weight("w.pt", unstated, tmp_path, [hashlib.sha256(b"\x80\x02one").hexdigest()])
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["known-hashes.json", "w.pt"]
    (tmp_path / "w.pt").unlink()
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Reply(b"\x80\x02two"))
    with pytest.raises(WeightsError, match="do not use it unseen"):
        fetch_weight("w.pt", unstated, tmp_path)


def test_weights_that_are_there_already_are_compared_with_their_hash(tmp_path: Path) -> None:
    from bench.cards.schema import Weight
    from bench.errors import WeightsError
    from bench.models.download import fetch_weight

    data = b"PK\x03\x04bytes"
    (tmp_path / "w.pt").write_bytes(data)
    stated = Weight(url="https://example.org/w.pt", sha256=hashlib.sha256(data).hexdigest()[:12].upper())
    unstated = Weight(url="https://example.org/w.pt")
    with pytest.raises(WeightsError, match=f"--sha256 {hashlib.sha256(data).hexdigest()}"):
        fetch_weight("w.pt", unstated, tmp_path)
    for facts in (stated, unstated):
        assert fetch_weight("w.pt", facts, tmp_path, [hashlib.sha256(data).hexdigest()]) == tmp_path / "w.pt"
    (tmp_path / "w.pt").write_bytes(b"other")
    for facts in (stated, unstated):
        with pytest.raises(WeightsError, match="do not use it unseen"):
            fetch_weight("w.pt", facts, tmp_path)


def test_a_download_that_is_led_on_to_an_open_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import urllib.request

    from bench.cards.schema import Weight
    from bench.errors import WeightsError
    from bench.models.download import fetch_weight

    class Reply(io.BytesIO):
        headers: dict[str, str] = {}
        url = "http://example.org/w.pt"

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Reply(b"other"))
    with pytest.raises(WeightsError, match="not an https address"):
        fetch_weight("w.pt", Weight(url="https://example.org/w.pt"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../w.pt", "/etc/w.pt", "a/../../w.pt"])
def test_weights_outside_their_folder_are_refused(tmp_path: Path, name: str) -> None:
    from bench.cards.schema import Weight
    from bench.errors import WeightsError
    from bench.models.download import fetch_weight

    with pytest.raises(WeightsError, match="would lie outside"):
        fetch_weight(name, Weight(url="https://example.org/w.pt"), tmp_path / "weights")


def test_a_hub_folder_is_remembered_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    from bench.cards.schema import Weight
    from bench.errors import WeightsError
    from bench.models.download import fetch_weight

    content = b"first"

    def download(hub: str, revision: str, allow_patterns: Any, local_dir: Path) -> None:
        (local_dir / ".cache").mkdir(parents=True)
        (local_dir / "model.safetensors").write_bytes(content)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    facts = Weight(hub="some/model", revision="abc")
    fetch_weight("folder", facts, tmp_path)
    known = json.loads((tmp_path / "known-hashes.json").read_text())
    assert known == {"folder/model.safetensors": hashlib.sha256(b"first").hexdigest()}
    content = b"other"
    shutil.rmtree(tmp_path / "folder")
    with pytest.raises(WeightsError, match="do not use it unseen"):
        fetch_weight("folder", facts, tmp_path)


def test_settings_rule_flag_over_environment_over_file(tmp_path: Path) -> None:
    from bench.settings import load

    (tmp_path / "bench.toml").write_text(
        f'[data]\nroot = "{tmp_path}/file"\nraf-db = "/file/raf"\n[store]\nroot = "/file/store"\n'
    )
    environ = {"BENCH_DATA": "/env", "BENCH_DATA_RAF_DB": "/env/raf", "HOME": "/nowhere"}
    found = load(data=("/flag", "raf-db=/flag/raf"), environ=environ, working_directory=tmp_path)
    assert [str(root) for root in found.data_roots] == ["/flag", "/env", f"{tmp_path}/file"]
    assert str(found.data["raf-db"]) == "/flag/raf" and str(found.store) == "/file/store"
    assert str(load(environ=environ, working_directory=tmp_path).data["raf-db"]) == "/env/raf"


def test_a_configuration_file_with_a_misspelt_section_is_refused(tmp_path: Path) -> None:
    from bench.errors import BenchError
    from bench.settings import load

    (tmp_path / "bench.toml").write_text('[dtaa]\nroot = "/x"\n')
    with pytest.raises(BenchError, match="dtaa"):
        load(environ={}, working_directory=tmp_path)


def test_a_table_is_drawn_again_from_a_record_in_every_format(world: Any) -> None:
    world.run("--methods", "clip", "--datasets", "tiny-faces,tiny-clips")
    record = world.records()[-1]
    for form in ("terminal", "markdown", "latex", "document", "csv", "html"):
        answer = world.call(
            "table", "--run", record, "--format", form, "--show", "interval", "--cards", world.root / "cards"
        )
        assert answer.code == 0 and "B/16" in answer.out
    assert (record / "table_run.md").read_text() in world.call(
        "table", "--run", record, "--format", "markdown"
    ).out + "\n"


def test_quiet_leaves_warnings_and_verbose_says_who_speaks(world: Any) -> None:
    (world.root / "cards" / "broken.toml").write_text("kind = ")
    run = ("run", "--methods", "clip:backbone=B32", "--datasets", "tiny-faces", *world.flags)
    out = ("--out", str(world.root / "runs"))
    quiet = world.call("-q", *run, *out)
    assert quiet.code == 0 and "Prompts" in quiet.out
    assert quiet.err.startswith("broken card, left out: ") and quiet.err.count("\n") == 1
    usual = world.call(*run, *out)
    assert "broken card" in usual.err and "record and tables: " in usual.err
    verbose = world.call("-v", *run, *out)
    assert all(" bench." in line for line in verbose.err.splitlines())
    assert world.call("-v", "-q", "list").code == 2


def test_as_a_library_nothing_is_printed_until_logging_is_configured(
    world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.run.session import open_session

    (world.root / "cards" / "broken.toml").write_text("kind = ")
    capsys.readouterr()
    open_session(cards=[world.root / "cards"], store=world.root / "store").warn("something to know")
    assert capsys.readouterr() == ("", "")
