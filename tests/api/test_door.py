"""The Python door: the same world, runs and numbers as the command line's, and objects without a card."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

import bench
from bench.errors import BenchError, UnknownName
from bench.models.adapters.open_clip import OpenClip

CLASSES = ["happiness", "sadness", "anger"]


class Lengths:
    """An encoder of pictures by their brightness and of texts by their lengths."""

    logit_scale = 10.0

    def __init__(self) -> None:
        self.batches = 0

    def encode_images(self, pixels: Any) -> Any:
        import torch

        self.batches += 1
        return torch.stack([pixels.mean((1, 2, 3)), pixels.std((1, 2, 3))], dim=1)

    def encode_texts(self, texts: Any) -> Any:
        import torch

        return torch.tensor([[len(text) / 20, 1.0] for text in texts])


@pytest.fixture
def session(world: Any) -> bench.Session:
    places = {name: world.root / name for name in ("cards", "data", "weights", "store")}
    return bench.open_session(**places, device="cpu")


def predictions(record: bench.Record) -> pd.DataFrame:
    frame = record.predictions()
    return frame.drop(columns=["method", "variant", "protocol"])


def test_importing_the_package_loads_nothing_heavy_and_lists_its_names() -> None:
    code = "import sys, bench; print(dir(bench)); print(sorted(sys.modules))"
    names, modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {"open_session", "evaluate", "open_record", "score", "load_catalog", "check_method"} <= set(eval(names))
    assert not {"torch", "numpy", "pandas", "pydantic", "click"} & set(eval(modules))
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        bench.evalute  # type: ignore[attr-defined]  # noqa: B018


def test_a_run_is_the_command_lines_run(session: bench.Session, world: Any, tmp_path: Path) -> None:
    chosen = {"methods": ["clip", "exp-clip"], "datasets": ["tiny-faces", "tiny-clips"]}
    record = session.run(**chosen, prompts="P-3", out=tmp_path / "door")
    answer = world.run("--methods", "clip,exp-clip", "--datasets", "tiny-faces,tiny-clips", "--prompts", "P-3")
    assert answer.code == 0
    ours = bench.open_record(world.records()[-1], cards=world.root / "cards")
    pd.testing.assert_frame_equal(ours.scores, record.scores)
    pd.testing.assert_frame_equal(ours.predictions(dataset="tiny-clips"), record.predictions(dataset="tiny-clips"))
    assert str(ours.table()) in answer.out
    assert all(path.exists() for path in record.files) and record.path.parent == tmp_path / "door"


def test_a_plan_is_the_command_lines_plan(session: bench.Session, world: Any) -> None:
    chosen = {"methods": "clip", "datasets": "tiny-faces"}
    answer = world.run("--methods", "clip", "--datasets", "tiny-faces", "--dry-run", "--no-measure")
    assert str(session.plan(**chosen, measure=False)) == answer.out.rstrip("\n")
    assert session.plan(**chosen).facts()["expected"]["seconds"] > 0


def test_a_table_shows_itself_in_every_form(session: bench.Session, tmp_path: Path) -> None:
    record = session.run(
        methods="clip:backbone=B32", datasets=["tiny-faces", "tiny-clips"], prompts=["P-1", "P-2"], out=tmp_path
    )
    table = record.table()
    assert record.tables == ["run"] and "CLIP" in str(table) and "\x1b" not in str(table)
    assert table._repr_html_().startswith("<table") and "\\begin{tabular}" in table.to_latex()
    assert "\\documentclass" in table.to_latex(standalone=True) and "| " in table.to_markdown()
    assert (record.path / "table_run.md").read_text() == table.to_markdown()
    frame = table.to_frame()
    means = record.scores[record.scores["fold"] == "mean"].set_index(["prompt_set", "dataset"])["uar"]
    for row, prompts in zip(frame.itertuples(index=False), ("P-1", "P-2"), strict=True):
        assert row[frame.columns.get_loc("tiny-faces uar")] == pytest.approx(means[prompts, "tiny-faces"])
    with pytest.raises(BenchError):
        record.table("nothing")


def test_confusion_comparison_verification_and_report(session: bench.Session, tmp_path: Path) -> None:
    record = session.run(methods="clip:backbone=B32", datasets="tiny-faces", prompts=["P-1", "P-2"], out=tmp_path)
    row, other = record.table().to_frame()["row"]
    frame = record.predictions(method="clip", dataset="tiny-faces")
    own = frame[frame["prompt_set"] == "P-1"]
    counted = confusion_matrix(own["label"], own["prediction"], labels=CLASSES)
    found = record.confusion(row, "tiny-faces")
    assert list(found.columns) == [*CLASSES, "none"] and np.array_equal(found[CLASSES], counted)
    assert own[[f"score {name}" for name in CLASSES]].notna().all().all()
    compared = record.compare(row, other).set_index("metric")
    theirs = frame[frame["prompt_set"] == "P-2"]
    difference = 100 * ((own["label"] == own["prediction"]).mean() - (theirs["label"] == theirs["prediction"]).mean())
    assert compared.loc["war", "difference"] == pytest.approx(difference)
    assert record.verify().wrong == [] and record.verify().checked > 0
    page = record.report(tmp_path / "pages" / "one.html", pictures=False)
    assert page.read_text().startswith("<!doctype html>")
    for wrong, near in (((row, "tiny-clips"), "tiny-faces"), (("clip:backbone=B32 P-11", "tiny-faces"), row)):
        with pytest.raises(BenchError, match=near):
            record.confusion(*wrong)
    with pytest.raises(UnknownName, match="tiny-faces"):
        record.predictions(dataset="tiny-face")


def test_an_object_gives_the_predictions_of_its_card_to_the_bit(
    session: bench.Session, world: Any, tmp_path: Path
) -> None:
    card = session.run(methods="clip:backbone=B32", datasets=["tiny-faces", "tiny-clips"], prompts="P-3", out=tmp_path)
    facts = session.catalog.method("clip")
    model = OpenClip(
        {"model": world.root / "weights" / "ViT-B-32.pt"},
        **session.source("clip:backbone=B32").variant.card.encoder.options,
    )
    record = bench.evaluate(
        model,
        datasets=["tiny-faces", "tiny-clips"],
        prompts="P-3",
        protocol=facts.protocol,
        pixels=facts.native.pixels.model_dump(),
        frames=facts.native.frames.model_dump(),
        session=session,
        out=tmp_path,
    )
    pd.testing.assert_frame_equal(predictions(record), predictions(card), check_exact=True)
    assert "OpenClip" in record.manifest.networks[0].adapter and record.manifest.command == [
        "bench.evaluate",
        "open-clip",
    ]


def test_an_objects_outputs_are_kept_under_the_key_that_its_caller_names_or_not_at_all(
    session: bench.Session, world: Any, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"datasets": "tiny-faces", "size": 16, "session": session, "out": tmp_path}
    model = Lengths()
    first = bench.evaluate(model, **asked)
    assert not list((world.root / "store").rglob("*.npy")) and model.batches == 1
    second = bench.evaluate(model, key="v1", **asked)
    assert model.batches == 2 and list((world.root / "store").rglob("*.npy"))
    third = bench.evaluate(model, key="v1", prompts="P-2", **asked)
    assert model.batches == 2 and third.manifest.encoded == {}
    bench.evaluate(model, key="v2", **asked)
    assert model.batches == 3
    pd.testing.assert_frame_equal(first.scores, second.scores)
    assert first.tables == ["run"] and "lengths" in str(first.table())


def test_other_kinds_of_model_are_evaluated_too(session: bench.Session, tmp_path: Path) -> None:
    class Talker:
        def answer(self, pixels: Any, question: str) -> list[str]:
            return [f"I see {CLASSES[len(question) % 3]}."] * len(pixels)

        def loglikelihood(self, pixels: Any, question: str, options: Any) -> Any:
            raise AssertionError

    class Scorer:
        def score(self, pixels: Any, texts: Any) -> Any:
            return pixels.mean((1, 2, 3, 4))[:, None].expand(len(pixels), len(texts)).clone()

    asked: dict[str, Any] = {"size": 16, "session": session, "out": tmp_path}
    told = bench.evaluate(Talker(), datasets="tiny-faces", question={"template": "Which of {classes}?"}, **asked)
    assert set(told.predictions()["prediction"]) <= set(CLASSES) and "I see" in told.predictions()["answer"][0]
    scored = bench.evaluate(Scorer(), datasets="tiny-clips", **asked)
    assert set(scored.predictions()["prediction"]) == {"happiness"}  # the first class of those that tie


def test_what_is_no_model_or_has_a_taken_name_or_a_wrong_fact_is_refused_with_what_it_lacks(
    session: bench.Session, tmp_path: Path
) -> None:
    class Half:
        def encode_images(self, pixels: Any) -> Any: ...

    import torch

    asked: dict[str, Any] = {"datasets": "tiny-faces", "session": session, "out": tmp_path}
    with pytest.raises(BenchError, match="as ImageEncoder it lacks encode_texts, logit_scale"):
        bench.evaluate(Half(), **asked)
    clip = Lengths()
    clip.logit_scale = torch.nn.Parameter(torch.tensor(4.6))  # type: ignore[assignment]
    with pytest.raises(BenchError, match="the logarithm of the factor"):
        bench.evaluate(clip, **asked)
    with pytest.raises(BenchError, match="there is a method called 'clip' already"):
        bench.evaluate(Lengths(), name="clip", **asked)
    with pytest.raises(BenchError, match=r"lengths: native\.pixels\.resize"):
        bench.evaluate(Lengths(), pixels={"resize": "crop"}, **asked)
    with pytest.raises(BenchError, match="two words: name"):
        bench.evaluate(Lengths(), name="two words", **asked)
    with pytest.raises(UnknownName, match="tiny-faces"):
        bench.evaluate(Lengths(), datasets="tiny-facs", session=session, out=tmp_path)
    assert list(tmp_path.glob("*run*")) == []


def test_embeddings_and_predictions_are_the_command_lines(session: bench.Session, world: Any) -> None:
    paths = sorted((world.root / "data" / "tiny-faces" / "anger").iterdir())[:2]
    probabilities = session.predict(paths, method="exp-clip:backbone=B32", classes=CLASSES)
    assert list(probabilities.columns) == CLASSES and np.allclose(probabilities.sum(axis=1), 1)
    flags = ("--method", "exp-clip:backbone=B32", "--classes", ",".join(CLASSES), *world.flags, "--json")
    assert (
        f'"happiness": {float(probabilities.iloc[0]["happiness"])}'
        in world.call("predict", *map(str, paths), *flags).out
    )
    rows = session.embed(paths, method="clip:backbone=B32", texts=["a face"])
    assert rows.shape == (3, 32)
    assert np.array_equal(session.embed([], method="clip:backbone=B32", texts=["a face"]), rows[2:])
    by_dataset = session.predict(paths, method="clip:backbone=B32", classes="tiny-faces")
    assert list(by_dataset.columns) == CLASSES
    with pytest.raises(BenchError, match="nothing to embed"):
        session.embed([], method="clip:backbone=B32")


def test_the_doctor_and_the_contract_answer_as_their_commands_do(session: bench.Session, world: Any) -> None:
    found = session.doctor(["tiny-faces", "clip"], look=False)
    assert found["datasets"][0]["state"] == "here" and len(found["weights"]) == 3
    with pytest.raises(UnknownName, match="tiny-faces"):
        session.doctor(["tiny-face"])
    findings = bench.check_method("clip:backbone=B32", session=session)
    assert {finding.state for finding in findings} <= {"passed", "skipped", "warned"}


def test_predictions_of_anyone_are_scored_from_a_frame_or_a_file(world: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "label": ["sadness", "anger", "sadness", "happiness"],
            "prediction": ["sadness", "anger", "anger", "happiness"],
        }
    )
    found = bench.score(frame, dataset="tiny-faces", cards=world.root / "cards")
    mean = found[found["fold"] == "mean"].iloc[0]
    assert mean["war"] == 75 and mean["uar"] == pytest.approx(100 * (1 + 1 + 0.5) / 3) and mean["n"] == 4
    frame.to_csv(tmp_path / "tiny-faces.csv", index=False)
    pd.testing.assert_frame_equal(bench.score(tmp_path / "tiny-faces.csv", cards=world.root / "cards"), found)
    with pytest.raises(BenchError, match="not classes of tiny-faces"):
        bench.score(frame.replace("anger", "angry"), dataset="tiny-faces", cards=world.root / "cards")


def test_whoever_listens_hears_of_all_that_lasts(world: Any, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    places = {name: world.root / name for name in ("cards", "data", "weights", "store")}
    session = bench.open_session(**places, device="cpu", progress=lambda *told: heard.append(told))
    session.run(methods="clip:backbone=B32", datasets="tiny-faces", out=tmp_path)
    assert heard[-1] == ("encoding for clip", 15, 15)


def test_a_device_that_is_not_here_is_refused_when_the_session_is_opened() -> None:
    with pytest.raises(BenchError, match="--device xpu"):
        bench.open_session(mini=False, device="xpu")
