"""What must be so before and after a run, what the user may let pass, and the marks that tables print of it."""

from __future__ import annotations

from dataclasses import dataclass

from bench.cards.dataset_schema import DatasetCard
from bench.crops.manifest import crops_note
from bench.data.corpus import Corpus
from bench.data.datasets import Split, check_counts
from bench.engine.fill import Lost
from bench.errors import BenchError, DataError, counted
from bench.plan.plan import Plan
from bench.records.manifest import Mark
from bench.run.session import Session

SHOWN = 10
MINIATURE = "the miniature: drawn faces and tiny networks; the numbers mean nothing about the real ones"


@dataclass(frozen=True)
class Allowances:
    """What the user lets pass; each is marked in the table.

    Attributes:
        missing: unreadable samples that each dataset may have.
        counts: whether class counts may differ from the card's.
    """

    missing: int = 0
    counts: bool = False


def check_complete(plan: Plan) -> None:
    """Stop where datasets or weights are not here, naming every one of them.

    Raises:
        BenchError: something is not here: where it was looked for and how to get it.
    """
    if not plan.absent and not plan.unweighted:
        return
    listed = [f"- {text}" for text in dict.fromkeys([*plan.absent.values(), *plan.unweighted.values()])]
    asked = {cell.dataset.name for cell in plan.cells}
    here = sorted(asked - set(plan.absent))
    part = f"; or fill only what is here with --datasets {','.join(here)}" if here and not asked <= set(here) else ""
    raise BenchError(
        "not everything that this needs is here:\n" + "\n".join(listed), f"get what is missing, as said for each{part}"
    )


def check_data(plan: Plan, session: Session, allow: Allowances) -> list[Mark]:
    """Compare class counts with the cards'.

    Raises:
        DataError: they differ and the user has not allowed it.
    """
    marks = []
    for card, corpus in {corpus.card.name: (corpus.card, corpus) for corpus in plan.corpora.values()}.values():
        marks += [*_as_stored(plan, corpus), *_without_samples(corpus)]
        if session.limit:
            marks.append(Mark(note=f"at most {session.limit} samples per fold of {card.label}", dataset=card.name))
            continue
        differences = count_differences(card, corpus)
        if differences and not allow.counts:
            raise DataError(
                f"{card.label} at {corpus.root} does not have the samples that its card states:\n  "
                + "\n  ".join(differences[:SHOWN])
                + (f"\n  and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""),
                "check that the right list and folder are used (bench doctor), or go on with --allow-counts",
            )
        if differences:
            marks.append(Mark(note=f"class counts of {card.label} differ from the card's", dataset=card.name))
    return marks


def _as_stored(plan: Plan, corpus: Corpus) -> list[Mark]:
    """Samples that a viewer shows turned, where a protocol takes them as they are stored."""
    names = sorted(
        {
            cell.source.protocol.name
            for cell in plan.cells
            if cell.dataset.name == corpus.card.name and cell.source.protocol.pixels.orientation == "stored"
        }
    )
    if not names or not corpus.turned:
        return []
    note = (
        f"{counted(len(corpus.turned), 'sample')} of {corpus.card.label} would be turned by a viewer, as metadata say;"
        f" protocol {', '.join(names)} takes pixels as stored"
    )
    return [Mark(note=note, dataset=corpus.card.name)]


def _without_samples(corpus: Corpus) -> list[Mark]:
    """Classes that a fold has no sample of."""
    marks = []
    for fold in corpus.folds:
        here = set(corpus.samples.labels[fold.start : fold.stop].tolist())
        empty = [name for label, name in enumerate(corpus.card.classes) if label not in here]
        if empty:
            note = (
                f"fold {fold.name} of {corpus.card.label} has no sample of {', '.join(empty)}: not in its mean recall"
            )
            marks.append(Mark(note=note, dataset=corpus.card.name))
    return marks


def count_differences(card: DatasetCard, corpus: Corpus) -> list[str]:
    """Where the class counts differ from the card's, in words."""
    lines = []
    for fold in corpus.folds:
        split = Split(card.name, fold.name, corpus.layout, corpus.samples[fold.start : fold.stop])
        for difference in check_counts(card, split):
            found = f"{counted(difference.found, 'sample')}, expected {difference.expected}"
            lines.append(f"fold {difference.fold}, {difference.name}: {found}")
    return lines


def check_missing(lost: Lost, allow: Allowances) -> list[Mark]:
    """Stop at unreadable samples, or mark the cells that go on without them.

    Raises:
        DataError: a dataset has more of them than allowed; lists them.
    """
    marks = []
    for name, samples in lost.items():
        if len(samples) > allow.missing:
            listed = [f"{sample.sample}: {sample.reason}" for sample in samples.values()]
            raise DataError(
                f"{counted(len(samples), 'sample')} of {name} could not be read:\n  "
                + "\n  ".join(listed[:SHOWN])
                + (f"\n  and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""),
                f"put the files right, or go on without them with --allow-missing {len(samples)}",
            )
        marks.append(
            Mark(note=f"{counted(len(samples), 'sample')} of {name} could not be read and are left out", dataset=name)
        )
    return marks


def standing_marks(plan: Plan, session: Session) -> list[Mark]:
    """What is to be said of every such run.

    The miniature, or else weights that are not the published ones; our own crops; systems tested on what they were trained
    on.
    """
    marks = [Mark(note=MINIATURE)] if session.settings.miniature else _other_weights(plan, session)
    for corpus in {corpus.card.name: corpus for corpus in plan.corpora.values()}.values():
        if note := crops_note(corpus.root, corpus.card.label):
            marks.append(Mark(note=note, dataset=corpus.card.name))
        if corpus.card.name in session.folders:
            note = f"{corpus.card.label} is a folder without a card: its classes are what its folders are called"
            marks.append(Mark(note=note, dataset=corpus.card.name))
    seen = set()
    for cell in plan.cells:
        card = cell.source.variant.card
        if cell.dataset.name in card.trained_on and (card.name, cell.dataset.name) not in seen:
            seen.add((card.name, cell.dataset.name))
            marks.append(
                Mark(
                    note=f"{card.label} was trained on {cell.dataset.label}",
                    dataset=cell.dataset.name,
                    method=card.name,
                )
            )
    return marks


def _other_weights(plan: Plan, session: Session) -> list[Mark]:
    """Checkpoint files whose sha256 is not the one that their card states."""
    marks: dict[str, Mark] = {}
    for variant in {str(cell.source.variant): cell.source.variant for cell in plan.cells}.values():
        card, network = variant.card, session.network(variant)
        for role, name in card.encoder.weights.items():
            stated = card.weights[name].sha256.lower() if name in card.weights else ""
            found = network.hashes[role]
            if not found.startswith(stated):
                note = f"{name} is not the published file (sha256 {found[:12]}, the card states {stated[:12]})"
                marks.setdefault(f"{card.name} {name}", Mark(note=note, method=card.name))
    return list(marks.values())
