"""Figures as files: valid, of the size asked for, the same each time, and no two texts over one another."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from synthetic import write_dataset, write_record

from bench.cards.catalog import load
from bench.figures import confusions, embedding_map, probabilities, retrieval, style, variances
from bench.figures.confusions import Group
from bench.figures.probabilities import Judged
from bench.run.checks import MINIATURE

SEVEN = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")
ELEVEN = (*SEVEN, "contempt", "anxiety", "helplessness", "disappointment")
METHODS = ("CLIP", "Exp-CLIP")


def confusion_figure() -> Figure:
    rng = np.random.default_rng(0)
    groups = []
    for number, classes in enumerate((SEVEN, ELEVEN, ELEVEN)):
        size = len(classes)
        matrices = {label: rng.integers(0, 900, (size, size + 1)) for label in METHODS}
        matrices["CLIP"][:, -1] = 0
        matrices["CLIP"][0] = [1000, *[0] * size]  # "100" must fit
        groups.append(Group(f"Dataset {number}", classes, matrices))
    return confusions.draw(groups)


def map_figure() -> Figure:
    rng = np.random.default_rng(0)
    made = embedding_map.Points(rng.normal(size=(44, 2)), np.arange(44) % 11, 0.5)
    return embedding_map.draw([dict.fromkeys(METHODS, made)] * 2, [ELEVEN, ELEVEN], ["RAF-DB", "MAFW"])


def variance_figure() -> Figure:
    values = {"CLIP": np.linspace(0.9, 1.05, 11), "Exp-CLIP": np.full(11, 0.5)}
    values["CLIP"][3] = np.nan
    return variances.draw([values, values], [ELEVEN, ELEVEN], ["MAFW", "MAFW again"])


def retrieval_figure() -> Figure:
    curves = {"CLIP": np.array([30.0, 25.0, 20.0]), "Exp-CLIP": np.array([60.0, 50.0, 40.0])}
    return retrieval.draw(curves, [1, 5, 10], 9.1)


def probability_figure() -> Figure:
    picture = Image.new("RGB", (48, 64), "grey")
    shares = {label: np.full(11, 1 / 11) for label in METHODS}
    judged = [Judged(f"Dataset sample_{number}", picture, number, ELEVEN, shares) for number in range(5)]
    return probabilities.draw(judged)


def drawn_texts(made: Figure) -> list[Any]:
    """Every text with letters, but for the labels of ticks that lie outside their axis and are never drawn."""
    hidden: set[int] = set()
    for axes in made.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            outside = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            hidden |= {id(label) for tick in outside for label in (tick.label1, tick.label2)}
    found: list[Any] = made.findobj(Text)
    return [text for text in found if text.get_visible() and text.get_text().strip() and id(text) not in hidden]


FIGURES = [confusion_figure, map_figure, variance_figure, retrieval_figure, probability_figure]


@pytest.mark.parametrize("make", FIGURES)
def test_no_two_texts_of_a_figure_overlap_and_none_leaves_the_page(make: Callable[[], Figure]) -> None:
    with style.paper_look():
        made = make()
        style.remark(
            made, ["a first thing to know, longer than a column is wide, so that it must be wrapped " * 2, MINIATURE]
        )
        made.canvas.draw()
        texts = drawn_texts(made)
        boxes = np.array([text.get_window_extent().extents for text in texts])
    width, height = made.canvas.get_width_height()
    assert (boxes[:, :2] >= -0.5).all() and (boxes[:, 2] <= width + 0.5).all() and (boxes[:, 3] <= height + 0.5).all()
    left, bottom, right, top = boxes.T
    slack = 0.25  # of a pixel
    over = (
        (left[:, None] < right - slack)
        & (right[:, None] > left + slack)
        & (bottom[:, None] < top - slack)
        & (top[:, None] > bottom + slack)
    )
    np.fill_diagonal(over, False)
    pairs = [(texts[a].get_text(), texts[b].get_text()) for a, b in np.argwhere(over) if a < b]
    # The box of a slanted name is larger than its letters.
    slanted = {text.get_text() for text in texts if text.get_rotation() not in (0.0, 90.0)}
    assert [pair for pair in pairs if not slanted.issuperset(pair)] == []


def test_every_number_of_a_confusion_matrix_fits_into_its_cell() -> None:
    with style.paper_look():
        made = confusion_figure()
        made.canvas.draw()
    wide = 0
    for axes in made.axes[:-1]:  # the last one is the colour bar
        cell = axes.get_window_extent().width / axes.images[0].get_array().shape[1]
        for text in axes.texts:
            if text.get_text().isdigit():
                assert text.get_window_extent().width < cell
                wide += text.get_text() == "100"
    assert wide == 3


@pytest.mark.parametrize("make", FIGURES)
def test_files_are_what_their_endings_say_and_the_same_each_time(make: Callable[[], Figure], tmp_path: Path) -> None:
    written: list[dict[str, bytes]] = []
    for _ in range(2):
        with style.paper_look():
            made = make()
        for ending in style.ENDINGS:
            style.save(made, tmp_path / f"figure{ending}")
        written.append({ending: (tmp_path / f"figure{ending}").read_bytes() for ending in style.ENDINGS})
    assert written[0] == written[1]
    assert written[0][".pdf"].startswith(b"%PDF-") and b"%%EOF" in written[0][".pdf"][-32:]
    root = ET.fromstring(written[0][".svg"])
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    width, height = made.get_size_inches()
    assert float(root.attrib["width"].removesuffix("pt")) == pytest.approx(72 * width, abs=0.1)
    with Image.open(tmp_path / "figure.png") as picture:
        assert picture.size == pytest.approx((style.DPI * width, style.DPI * height), abs=1)


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    from bench.errors import BenchError

    with pytest.raises(BenchError, match=r"\.gif"):
        style.save(style.figure(1, 1), tmp_path / "x.gif")


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    with style.paper_look():
        retrieval_figure()
    assert dict(matplotlib.rcParams) == before


def test_a_dollar_in_a_name_is_a_dollar(tmp_path: Path) -> None:
    with style.paper_look():
        made = retrieval.draw({"$x^2$": np.array([1.0]), r"a_{b}$": np.array([2.0])}, [1], 0.5)
    style.save(made, tmp_path / "x.svg")


@pytest.mark.parametrize("name", ["3", "C"])
def test_figures_of_features_are_drawn_from_the_store(world: Any, name: str) -> None:
    to = world.root / "figure.svg"
    args = (
        "figure",
        name,
        "--methods",
        "clip:backbone=B32,exp-clip:backbone=B32",
        "--datasets",
        "tiny-faces,tiny-clips",
    )
    answer = world.call(*args, "--to", to, *world.flags)
    assert answer.code == 0, answer.err
    ET.parse(to)


@pytest.mark.parametrize("name", ["A", "E"])
def test_figures_of_predictions_run_what_they_need_or_take_a_record(world: Any, name: str) -> None:
    choice = ("--methods", "clip:backbone=B32,exp-clip:backbone=B32", "--datasets", "tiny-faces,tiny-videos")
    one, two = world.root / "one.svg", world.root / "two.svg"
    answer = world.call("figure", name, *choice, "--to", one, *world.flags)
    assert answer.code == 0, answer.err
    world.run(*choice, "--prompts", "P-3")
    assert world.call("figure", name, *choice, "--to", two, "--run", world.records()[-1], *world.flags).code == 0
    assert one.read_bytes() == two.read_bytes()


def test_features_are_what_scoring_compares(world: Any) -> None:
    from bench.cards.variant import resolve
    from bench.engine.device_encoder import Machine
    from bench.plan.cells import Choices, source_of
    from bench.records.record import open_record
    from bench.run.features import features_of
    from bench.run.heads import Heads
    from bench.run.session import open_session
    from bench.scoring.zeroshot import unit

    world.run("--methods", "exp-clip:backbone=B32", "--datasets", "tiny-clips")
    session = open_session(
        cards=[world.root / "cards"],
        mini=False,
        data=[str(world.root / "data")],
        weights=[world.root / "weights"],
        store=world.root / "store",
    )
    source = source_of(
        resolve(session.catalog.method("exp-clip"), {"backbone": "B32"}), "P-3", "", session.catalog, Choices()
    )
    dataset = session.catalog.dataset("tiny-clips")
    found = features_of(session, source, dataset, Machine(show=False))
    (part,) = open_record(world.records()[-1]).predictions()
    assert list(found.samples) == part.samples and found.labels.tolist() == part.labels.tolist()
    network = session.network(source.variant)
    model = network.load("cpu")
    from bench.models.network import encode_texts

    head = Heads(session).head(source.variant, "image", 32)
    assert head is not None
    texts = [f"a photo of a face with an expression of {name}." for name in dataset.classes]
    prototypes = unit(head.project(encode_texts(network, model, texts)))
    assert part.scores is not None
    assert np.allclose(float(model.logit_scale) * unit(found.vectors) @ prototypes.T, part.scores, atol=1e-3)


def test_a_record_without_the_cells_is_named_with_what_it_lacks(world: Any) -> None:
    world.run("--methods", "clip:backbone=B32", "--datasets", "tiny-faces")
    answer = world.call("figure", "A", "--run", world.records()[-1], *world.flags)
    assert answer.code == 2 and "clip:backbone=L14 with P-3 under protocol paper on raf-db" in answer.err


def test_a_sample_of_ones_own_choice_is_shown_and_a_wrong_one_refused(world: Any) -> None:
    choice = ("--methods", "clip:backbone=B32", "--datasets", "tiny-faces", "--to", world.root / "e.png")
    assert world.call("figure", "E", *choice, "--sample", "anger/003.jpg", *world.flags).code == 0
    answer = world.call("figure", "E", *choice, "--sample", "anger/333.jpg", *world.flags)
    assert answer.code == 2 and "did you mean 'anger/003.jpg'" in answer.err


def test_without_a_name_the_figures_are_listed(bench: Any) -> None:
    answer = bench("figure")
    assert answer.code == 0 and all(f"\n{name} " in answer.out for name in "3ABCDE")


def test_a_records_marks_stand_above_the_figure_if_they_speak_of_what_is_drawn(world: Any) -> None:
    from bench.cards.figure_schema import FigureCard
    from bench.figures.paper import from_record, subject_of
    from bench.records.record import open_record
    from bench.run.session import open_session

    flags = ("--methods", "clip:backbone=B32", "--datasets", "tiny-faces,tiny-clips", "--limit", "9")
    world.run(*flags, "--prompts", "P-3")
    places: dict[str, Any] = {"data": [str(world.root / "data")], "weights": [world.root / "weights"]}
    session = open_session(cards=[world.root / "cards"], mini=False, store=world.root / "store", **places)
    facts = {"kind": "figure", "name": "x", "draws": "confusions", "methods": ("clip:backbone=B32",)}
    card = FigureCard.model_validate({**facts, "datasets": ("tiny-faces",)})
    made = from_record(card, subject_of(card, session), open_record(world.records()[-1]), session)
    limited, weights = made.get_suptitle().splitlines()
    assert limited == "at most 9 samples per fold of Tiny Faces"
    assert weights.startswith("ViT-B-32.pt is not the published file")


def test_every_fold_of_the_papers_dynamic_sets_has_its_matrices(bench: Any, tmp_path: Path) -> None:
    catalog = load()
    for name in catalog.table("2")[1].datasets:
        write_dataset(catalog.dataset(name), tmp_path / "data" / name, 1, np.random.default_rng(0))
    record = write_record(tmp_path / "run", catalog, ["2"], tmp_path / "data")
    answer = bench("figure", "B", "--run", record.path, "--to", tmp_path / "b.png")
    assert answer.code == 0, answer.err
    with Image.open(tmp_path / "b.png") as picture:
        width, height = picture.size
    assert 1.2 < height / width < 1.7  # twelve groups, two in a line, on a page
