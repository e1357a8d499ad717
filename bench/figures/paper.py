"""From a figure's card to the figure: which numbers it needs, where they come from, and who draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from bench.cards.dataset_schema import DatasetCard
from bench.cards.figure_schema import Drawing, FigureCard
from bench.cards.variant import parse, resolve
from bench.data.preview import media_by_sample, preview
from bench.engine.device_encoder import Machine
from bench.errors import BenchError, UnknownName
from bench.figures import captions, confusions, embedding_map, probabilities, style, variances
from bench.plan.cells import Choices, Source, free_table, source_of
from bench.records.predictions import CellKey, FoldPredictions
from bench.records.record import Record
from bench.records.scores import matrices_of
from bench.run.checks import MINIATURE, Allowances
from bench.run.features import features_of
from bench.run.run import run
from bench.run.session import Session, settings_of
from bench.scoring.zeroshot import softmax

FROM_RECORD: tuple[Drawing, ...] = ("confusions", "probabilities")


@dataclass(frozen=True)
class Subject:
    """What a figure is drawn of.

    Attributes:
        sources: method's label -> what fills its part.
        datasets: in the order drawn.
        samples: ids of the samples to show, where single ones are drawn; empty for the default choice.
    """

    sources: Mapping[str, Source]
    datasets: tuple[DatasetCard, ...]
    samples: tuple[str, ...] = ()


def subject_of(card: FigureCard, session: Session, samples: Sequence[str] = ()) -> Subject:
    """Find what a card names.

    Raises:
        UnknownName: no card has that name.
        BenchError: a method is named without a value for one of its axes, or two have the same label.
    """
    sources: dict[str, Source] = {}
    for number, ref in enumerate(card.methods):
        name, axes = parse(ref)
        variant = resolve(session.catalog.method(name), axes)
        label = card.labels[number] if number < len(card.labels) else variant.title
        if label in sources:
            raise BenchError(f"figure {card.name} has two methods called {label!r}", "name different ones")
        sources[label] = source_of(variant, card.prompts, card.protocol, session.catalog, Choices())
    return Subject(sources, tuple(session.catalog.dataset(name) for name in card.datasets), tuple(samples))


def record_for(card: FigureCard, session: Session, machine: Machine, folder: Path) -> Record:
    """Run what a figure needs, and nothing else, into a record at `folder`."""
    table = free_table(card.methods, card.datasets, [card.prompts] if card.prompts else [], session.catalog)
    choices = Choices(protocol=card.protocol)
    return run(
        session,
        {"figure": table},
        choices,
        machine,
        Allowances(),
        folder,
        ["bench", "figure", card.name],
    )


def from_record(card: FigureCard, subject: Subject, record: Record, session: Session) -> Figure:
    """Draw a figure whose numbers are all in a record.

    Raises:
        BenchError: the record lacks a cell that the figure needs, or a sample's picture cannot be had.
    """
    with style.paper_look():
        if card.draws == "confusions":
            made = confusions.draw(confusion_groups(subject, record))
        else:
            made = probabilities.draw(judged_samples(subject, record, session))
        style.remark(made, notes_of(subject, record))
    return made


def from_features(card: FigureCard, subject: Subject, session: Session, machine: Machine) -> Figure:
    """Draw a figure of features; what the store lacks of them is computed.

    Raises:
        BenchError: a method has no features, or the data, weights or captions that the figure needs are not here.
    """
    miniature = [MINIATURE] if session.settings.miniature else []
    if card.draws == "retrieval":
        with style.paper_look():
            made, notes = captions.draw(session, subject.sources, _only(card, subject.datasets), card.places, machine)
            style.remark(made, [*miniature, *notes])
        return made
    found = [
        {label: features_of(session, source, dataset, machine) for label, source in subject.sources.items()}
        for dataset in subject.datasets
    ]
    names = [dataset.classes for dataset in subject.datasets]
    titles = [dataset.label for dataset in subject.datasets]
    with style.paper_look():
        if card.draws == "map":
            maps = [{label: embedding_map.points(own) for label, own in row.items()} for row in found]
            made = embedding_map.draw(maps, names, titles)
        else:
            shares = [
                {label: variances.variances(own, len(classes)) for label, own in row.items()}
                for row, classes in zip(found, names, strict=True)
            ]
            made = variances.draw(shares, names, titles)
        style.remark(made, miniature)
    return made


def _only(card: FigureCard, datasets: Sequence[DatasetCard]) -> DatasetCard:
    if len(datasets) != 1:
        raise BenchError(
            f"figure {card.name} shows one dataset, not {', '.join(dataset.name for dataset in datasets)}",
            "name one with --datasets",
        )
    return datasets[0]


def notes_of(subject: Subject, record: Record) -> list[str]:
    """The record's marks that speak of what is drawn, each once."""
    datasets = ("", *(dataset.name for dataset in subject.datasets))
    methods = ("", *(source.variant.method for source in subject.sources.values()))
    marks = record.manifest.marks
    return list(dict.fromkeys(m.note for m in marks if m.dataset in datasets and m.method in methods))


def confusion_groups(subject: Subject, record: Record) -> list[confusions.Group]:
    """A group for each dataset and fold.

    Raises:
        BenchError: the record lacks a cell.
    """
    matrices = matrices_of(record)
    groups = []
    for dataset in subject.datasets:
        by_method = {label: matrices[_cell(matrices, source, dataset)] for label, source in subject.sources.items()}
        folds = list(next(iter(by_method.values())))
        for fold in folds:
            title = f"{dataset.label}, fold {fold}" if len(folds) > 1 else dataset.label
            parts = {label: found[fold] for label, found in by_method.items()}
            groups.append(confusions.Group(title, record.classes[dataset.name], parts))
    return groups


def judged_samples(subject: Subject, record: Record, session: Session) -> list[probabilities.Judged]:
    """The samples asked for, or the median ones of each class, with their pictures.

    Raises:
        BenchError: the record lacks a cell, a method gives no scores, no sample has such an id, or its picture is gone.
    """
    judged = []
    settings = settings_of(record, session.settings)
    for dataset in subject.datasets:
        parts = {label: _predictions(record, source, dataset) for label, source in subject.sources.items()}
        shares = {label: softmax(np.concatenate([_scores(part) for part in found])) for label, found in parts.items()}
        own = next(iter(parts.values()))
        names = [(part.fold, sample) for part in own for sample in part.samples]
        labels = np.concatenate([part.labels for part in own]).astype(np.int64)
        chosen = _positions(subject.samples, names) if subject.samples else _medians(shares, labels)
        for position in chosen:
            fold, sample = names[position]
            media = media_by_sample(dataset, settings.data_root(dataset), fold)
            if sample not in media:
                raise UnknownName(f"sample of {dataset.name}, fold {fold}", sample, media)
            judged.append(
                probabilities.Judged(
                    f"{dataset.label} {sample}",
                    preview(media[sample]),
                    int(labels[position]),
                    record.classes[dataset.name],
                    {label: row[position] for label, row in shares.items()},
                )
            )
    return judged


def _positions(wanted: Sequence[str], names: Sequence[tuple[str, str]]) -> list[int]:
    known = {sample: position for position, (_, sample) in reversed(list(enumerate(names)))}
    for sample in wanted:
        if sample not in known:
            raise UnknownName("sample", sample, known)
    return [known[sample] for sample in wanted]


def _medians(shares: Mapping[str, npt.NDArray[np.float64]], labels: npt.NDArray[np.int64]) -> list[int]:
    return probabilities.median_samples(list(shares.values())[-1], labels)


def _scores(part: FoldPredictions) -> npt.NDArray[np.float32]:
    if part.scores is None:
        raise BenchError(f"{part.cell.method} gives no scores on {part.cell.dataset}", "name a method that does")
    return part.scores


def _predictions(record: Record, source: Source, dataset: DatasetCard) -> list[FoldPredictions]:
    found: dict[CellKey, list[FoldPredictions]] = {}
    for part in record.predictions():
        if part.cell.dataset == dataset.name:
            found.setdefault(part.cell, []).append(part)
    return found[_cell(found, source, dataset)]


def _cell(cells: Mapping[CellKey, object], source: Source, dataset: DatasetCard) -> CellKey:
    """The cell of a source in a record; of several seeds the first."""
    wanted = source.cell(dataset.name)
    for cell in cells:
        if cell._replace(seed=None) == wanted:
            return cell
    asked = f"{source.variant} with {source.prompt_set} under protocol {source.protocol.name} on {dataset.name}"
    raise BenchError(f"the record has no {asked}", "name what it has with --methods, --datasets and --prompts")
