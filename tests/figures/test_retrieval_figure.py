"""Captions retrieved for clips: from lists on disk to the curves of a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from bench.errors import BenchError
from bench.figures.retrieval import CLIPS_AT_ONCE, Gallery, gallery_of, retrieve

PLACES = [1, 2, 4, 7]
LISTS = """
[captions]
files = "said_*.txt"
text = 2
"""
# Of three classes with 4, 5 and 6 pictures; the last has no caption, and one text is written of two classes.
SAID = {
    "happiness": ("a smiling person.", "raised lip corners.", "she laughs at a joke.", "two eyes."),
    "sadness": ("someone who looks down.", "a person. " * 40, "tears.", "an old man, alone.", "lowered brows."),
    "anger": (
        "someone who looks down.",
        "a frown and tight lips.",
        "he shouts.",
        "clenched teeth.",
        "red in the face.",
    ),
}


def test_a_caption_fits_every_class_that_it_was_written_of() -> None:
    found = gallery_of(["b", None, "a", "b"], np.array([0, 1, 1, 1]), 3)
    assert found.texts == ("b", "a") and found.clips.tolist() == [0, 2, 3] and found.labels.tolist() == [0, 1, 1]
    assert found.fits.tolist() == [[True, False], [True, True], [False, False]]
    assert found.chance == pytest.approx(100 * (1 / 2 + 1 + 1) / 3)


def test_samples_without_any_caption_or_without_labels_are_refused() -> None:
    with pytest.raises(BenchError, match="no sample has a caption"):
        gallery_of([None], np.array([0]), 1)
    with pytest.raises(BenchError, match="no label"):
        gallery_of(["a", "b"], np.array([0, -1]), 1)


def test_precision_by_parts_is_that_of_sorting_everything_at_once() -> None:
    rng = np.random.default_rng(0)
    count, texts = CLIPS_AT_ONCE + 88, 30
    labels = rng.integers(0, 3, count)
    fits = rng.random((3, texts)) < 0.3
    clips, captions = (rng.normal(size=(rows, 8)).astype(np.float32) for rows in (count, texts))
    gallery = Gallery(tuple(map(str, range(texts))), np.arange(count), labels, fits)
    order = np.argsort(-(clips @ captions.T), axis=1)
    expected = [100 * np.mean([fits[labels[i], order[i, :k]].mean() for i in range(count)]) for k in PLACES]
    assert retrieve(clips, captions, gallery, PLACES) == pytest.approx(np.array(expected))


@pytest.fixture
def captioned(world: Any) -> Any:
    """The small world, with captions beside its faces and a figure of them in a paper of its own."""
    card = world.root / "cards/tiny-faces.toml"
    card.write_text(card.read_text() + LISTS)
    folder = world.root / "data/tiny-faces"
    for label, texts in SAID.items():
        for picture in sorted((folder / label).iterdir()):
            picture.rename(picture.with_name(f"{label}-{picture.name}"))  # a caption's name must be one picture's
        lines = [f"{label}-{number:03d}.jpg\t{label}\t{text}\n" for number, text in enumerate(texts)]
        (folder / f"said_{label}.txt").write_text("".join(lines))
    paper = world.root / "cards/paper"
    paper.mkdir()
    (paper / "paper.toml").write_text('kind = "paper"\nname = "small"\n')
    _write_figure(paper / "figure.toml", [*PLACES, 14])
    return world


def _write_figure(path: Path, places: list[int]) -> None:
    path.write_text(
        f"""
kind = "figure"
name = "captions"
draws = "retrieval"
methods = ["clip:backbone=B32", "exp-clip:backbone=B32"]
labels = ["plain", "projected"]
datasets = ["tiny-faces"]
places = {places}
"""
    )


def drawn(world: Any) -> Figure:
    from bench.engine.fill import Machine
    from bench.figures.paper import from_features, subject_of
    from bench.run.session import open_session

    places: dict[str, Any] = {"data": [str(world.root / "data")], "weights": [world.root / "weights"]}
    session = open_session(cards=[world.root / "cards"], mini=False, store=world.root / "store", **places)
    card = session.catalog.figure("small:captions")
    return from_features(card, subject_of(card, session), session, Machine(show=False))


def by_hand(world: Any, head: bool) -> list[float]:
    """The same numbers from the networks themselves: every text and frame encoded again, everything sorted."""
    import torch

    from bench.cards.variant import resolve
    from bench.engine.fill import Machine
    from bench.models.adapters.open_clip import OpenClip
    from bench.plan.cells import Choices, source_of
    from bench.run.features import features_of
    from bench.run.session import open_session

    places: dict[str, Any] = {"data": [str(world.root / "data")], "weights": [world.root / "weights"]}
    session = open_session(cards=[world.root / "cards"], mini=False, store=world.root / "other", **places)
    variant = resolve(session.catalog.method("clip"), {"backbone": "B32"})
    source = source_of(variant, "", "paper", session.catalog, Choices())
    found = features_of(session, source, session.catalog.dataset("tiny-faces"), Machine(show=False))
    said = {
        f"{label}/{label}-{number:03d}.jpg": text.strip()
        for label, texts in SAID.items()
        for number, text in enumerate(texts)
    }
    texts = sorted(set(said.values()))
    weight = torch.load(world.root / "weights/ExpCLIP_B32_model.pth")["mlp.weight"].numpy() if head else np.eye(32)
    spoken = OpenClip({"model": world.root / "weights/ViT-B-32.pt"}).encode_texts(texts).numpy() @ weight.T
    seen = found.vectors @ weight.T
    labels = dict(zip(found.samples, found.labels.tolist(), strict=True))
    rows: list[list[float]] = []
    for name, vector in zip(found.samples, seen, strict=True):
        if name in said:
            cosines = spoken @ vector / np.linalg.norm(spoken, axis=1) / np.linalg.norm(vector)
            nearest = [texts[place] for place in np.argsort(-cosines)]
            right = {text for other, text in said.items() if labels[other] == labels[name]}
            rows.append([np.mean([text in right for text in nearest[:k]]) for k in PLACES])
    assert len(rows) == 14
    return (100 * np.mean(rows, axis=0)).tolist()


def test_the_curves_are_the_precision_of_a_computation_by_hand(captioned: Any) -> None:
    made = drawn(captioned)
    curves = {line.get_label(): line.get_ydata() for line in made.axes[0].lines}
    assert curves["plain"] == pytest.approx(np.array(by_hand(captioned, head=False)))
    assert curves["projected"] == pytest.approx(np.array(by_hand(captioned, head=True)))


def test_what_is_left_out_and_what_is_cut_stands_above_the_figure_warm_or_cold(captioned: Any) -> None:
    said = " ".join(drawn(captioned).get_suptitle().split())
    assert "Tiny Faces: 14 pictures, 13 distinct captions; without a caption, left out: 1" in said
    assert "a class with 4 captions: no order reaches 100 % at k = 7" in said
    assert "more places than captions, left out: k = 14" in said
    assert "plain, projected: captions cut because they are longer than the text encoder's context: 1" in said
    assert " ".join(drawn(captioned).get_suptitle().split()) == said


def test_the_command_draws_it_and_says_which_captions_it_lacks(captioned: Any) -> None:
    to = captioned.root / "d.png"
    answer = captioned.call("figure", "small:captions", "--to", to, *captioned.flags)
    assert answer.code == 0 and to.stat().st_size > 5000, answer.err
    two = captioned.call("figure", "small:captions", "--datasets", "tiny-faces,tiny-clips", *captioned.flags)
    assert two.code == 2 and "shows one dataset, not tiny-faces, tiny-clips" in two.err
    _write_figure(captioned.root / "cards/paper/figure.toml", [14, 20])
    few = captioned.call("figure", "small:captions", *captioned.flags)
    assert few.code == 2 and "tiny-faces has 13 captions, too few for k = 14, 20" in few.err
    for path in (captioned.root / "data/tiny-faces").glob("*.txt"):
        path.unlink()
    gone = captioned.call("figure", "small:captions", *captioned.flags)
    assert gone.code == 2 and "no file matches 'said_*.txt'" in gone.err and "Draw it" in gone.err


def test_the_papers_figure_takes_another_dataset_only_if_it_has_captions(world: Any) -> None:
    answer = world.call("figure", "D", "--datasets", "tiny-videos", *world.flags)
    assert answer.code == 2 and "tiny-videos has no captions: its card states none" in answer.err


@pytest.mark.parametrize(("changed", "reason"), [("places = [5, 1]", "do not rise"), ("", "states `places`")])
def test_a_card_whose_places_do_not_fit_is_broken(captioned: Any, changed: str, reason: str) -> None:
    card = captioned.root / "cards/paper/figure.toml"
    card.write_text(card.read_text().replace(f"places = {[*PLACES, 14]}", changed))
    answer = captioned.call("list", "figures", "--cards", captioned.root / "cards")
    assert reason in answer.out and "small:captions" not in answer.out
