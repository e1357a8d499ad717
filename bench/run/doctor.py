"""What is on this machine, what is missing and how to get it: datasets, weights, cards, face detectors, video readers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.cards.hub_name import PREFIX
from bench.cards.variant import weight_files
from bench.crops.load import Detector, load_detector, missing_here
from bench.crops.look import length_note
from bench.crops.look import look as look_at
from bench.data.datasets import Split, check_counts, open_split
from bench.data.video import available_readers
from bench.errors import BenchError, UnknownName, WeightsError, counted
from bench.run.session import Session


def state_of(session: Session, names: Sequence[str], look: FaceLook) -> dict[str, Any]:
    """All that is here, missing or wrong, for JSON.

    Args:
        session: the machine's world.
        names: datasets and methods; all of them, and the face detectors, where there are none.
        look: looks at the datasets' pictures.

    Raises:
        UnknownName: neither a dataset nor a method has that name.
    """
    catalog = session.catalog
    for name in names:
        if name.startswith(PREFIX):
            catalog.method(name)
    known = (*catalog.datasets, *catalog.methods)
    for name in names:
        if name not in known:
            raise UnknownName("dataset or method", name, known)
    datasets = [dataset_state(name, session, look) for name in catalog.datasets if not names or name in names]
    methods = [name for name in catalog.methods if not names or name in names]
    return {
        "datasets": datasets,
        "weights": [state for name in methods for state in weight_states(name, session)],
        "broken": [{"card": card.path, "reason": card.reason} for card in catalog.broken],
        "video": video_readers(),
        "blind": look.blind,
        "detectors": [] if names else detector_states(session),
        "store": str(session.settings.store),
    }


class FaceLook:
    """Looks at the pictures of datasets, with one detector for all of them.

    Args:
        session: the machine's world; the miniature's faces are drawn, and no detector is asked about them.
        detector: its name; the default one where it is empty.
        wanted: whether to look for faces at all.
        sheets: the folder for contact sheets, if any are wanted.
    """

    def __init__(self, session: Session, detector: str, wanted: bool, sheets: Path | None) -> None:
        self._session, self._name, self._sheets = session, detector, sheets
        self._wanted = wanted and not session.settings.miniature
        self._detector: Detector | None = None
        self.blind = ""

    def notes(self, name: str, splits: list[Split]) -> list[str]:
        """What is odd about a dataset's pictures; writes its contact sheet where one is wanted."""
        said = [length_note(splits)]
        samples = [sample for split in splits for sample in split.samples]
        detector = self._opened()
        if detector is not None:
            try:
                said += look_at(samples, detector).notes(name)
            except BenchError as error:
                self.blind, detector = str(error), None
        if self._sheets is not None:
            from bench.crops.sheet import contact_sheet

            contact_sheet(self._session.catalog.datasets[name], samples, detector, self._sheets / f"{name}.jpg")
        return [note for note in said if note]

    def _opened(self) -> Detector | None:
        """The detector; None, and why in `blind`, where it cannot be had here."""
        if self.blind:
            return None
        if self._wanted and self._detector is None:
            try:
                card = self._session.catalog.detector(self._name)
                self._detector = load_detector(card, self._session.settings, "cpu")
            except UnknownName:
                raise
            except BenchError as error:
                self.blind = str(error)
        return self._detector


def dataset_state(name: str, session: Session, look: FaceLook) -> dict[str, str]:
    """One dataset: `here`, `missing`, or `wrong` with what is wrong; and what is odd about its pictures."""
    card = session.catalog.datasets[name]
    state = {"name": name, "state": "missing", "samples": "", "layout": "", "where": "", "note": ""}
    try:
        root = session.settings.data_root(card)
    except BenchError as error:
        return {**state, "note": str(error)}
    state["where"] = str(root)
    try:
        splits = [open_split(card, root, fold) for fold in card.folds]
    except BenchError as error:
        return {**state, "state": "wrong", "note": str(error)}
    differences = [difference for split in splits for difference in check_counts(card, split)]
    state |= {
        "samples": f"{sum(len(split.samples) for split in splits):,}",
        "layout": splits[0].layout,
        "state": "here",
    }
    notes = look.notes(name, splits)
    if differences:
        listed = [f"fold {d.fold}, {d.name}: {counted(d.found, 'sample')}, expected {d.expected}" for d in differences]
        notes.insert(0, "\n  ".join(["class counts differ from the card's", *listed]))
        state["state"] = "wrong"
    return {**state, "note": "\n".join(notes)}


def weight_states(name: str, session: Session) -> list[dict[str, str]]:
    """Every checkpoint file of a method: `here` or `missing`, with how to get it."""
    card = session.catalog.methods[name]
    states = []
    for file in weight_files(card, {}, defaults=False):
        state = {"method": name, "file": file, "state": "here", "where": "", "note": ""}
        try:
            state["where"] = str(session.settings.weight(file, card.weights.get(file), name))
        except WeightsError as error:
            state |= {"state": "missing", "note": str(error)}
        states.append(state)
    return states


def detector_states(session: Session) -> list[dict[str, str]]:
    """Every face detector: `here`, or `missing` with what it lacks."""
    lacking = {name: missing_here(card, session.settings) for name, card in session.catalog.detectors.items()}
    return [{"name": name, "state": "missing" if note else "here", "note": note} for name, note in lacking.items()]


def video_readers() -> list[str]:
    """The video readers that work on this machine, in the order they are tried."""
    return available_readers()
