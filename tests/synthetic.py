"""Records and datasets of any size without a network having run: random pictures and scores under the real cards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from bench.cards.catalog import Catalog
from bench.cards.dataset_schema import DatasetCard
from bench.data.datasets import open_split
from bench.plan.cells import Cell, distinct_cells, sources
from bench.plan.plan import Plan
from bench.records import record as records
from bench.records.manifest import (
    DatasetFacts,
    DeviceFacts,
    HeadFacts,
    HeadFile,
    MachineFacts,
    Manifest,
    MethodFacts,
    NetworkFacts,
    ServedFacts,
)
from bench.records.predictions import FoldPredictions
from bench.records.record import Record
from bench.run.manifest import prompt_facts, table_facts


def write_dataset(card: DatasetCard, root: Path, per_class: int, rng: np.random.Generator, side: int = 48) -> None:
    """Pictures of noise in the card's layout of class folders; a clip is a folder with one of them."""
    (layout,) = (layout for layout in card.layouts if layout.name == "class folders")
    for fold in card.folds:
        for label in card.classes:
            folder = root / str(layout.options["path"]).format(fold=fold) / label
            for number in range(per_class):
                path = (
                    folder / f"{fold}-{number:03d}" / "0.jpg" if card.media == "clip" else folder / f"{number:03d}.jpg"
                )
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


def write_record(folder: Path, catalog: Catalog, refs: Sequence[str], data: Path, *, skill: float = 1.0) -> Record:
    """A record of whole tables with random scores.

    Args:
        folder: where it goes.
        catalog: the cards.
        refs: tables.
        data: holds one folder per dataset.
        skill: by how much the true class's scores are higher, in their standard deviations.
    """
    tables = {ref: catalog.table(ref)[1] for ref in refs}
    rows = {ref: sources(table, catalog) for ref, table in tables.items()}
    cells = sorted(distinct_cells(tables, rows, catalog), key=lambda cell: cell.dataset.name)
    splits = {
        cell.dataset.name: {
            fold: open_split(cell.dataset, data / cell.dataset.name, fold) for fold in cell.dataset.folds
        }
        for cell in cells
    }

    def predictions() -> Iterator[FoldPredictions]:
        rng = np.random.default_rng(0)
        for cell in cells:
            for fold, split in splits[cell.dataset.name].items():
                labels = np.array([sample.label for sample in split.samples], np.int16)
                scores = rng.normal(size=(len(labels), len(cell.dataset.classes))).astype(np.float32)
                scores[np.arange(len(labels)), labels] += skill
                said, answers = scores.argmax(axis=1).astype(np.int16), None
                if cell.source.question is not None:
                    answers = [f"I see {cell.dataset.classes[index]}." for index in said]
                    said[::9] = -1
                ids = [sample.id for sample in split.samples]
                yield FoldPredictions(cell.key, fold, ids, labels, said, None if answers else scores, answers)

    datasets = {
        name: DatasetFacts(
            title=catalog.dataset(name).label,
            root=str(data / name),
            layout="class folders",
            classes=catalog.dataset(name).classes,
            folds={fold: len(split.samples) for fold, split in found.items()},
            fingerprint="0f" * 16,
        )
        for name, found in splits.items()
    }
    manifest = Manifest(
        command=["bench", "run"],
        began=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        tables={ref: table_facts(tables[ref], rows[ref]) for ref in refs},
        miniature=False,
        device=DeviceFacts(asked="cpu", used="a processor"),
        dtype="float32",
        versions={"fer-bench": "0"},
        machine=MachineFacts(cores=2),
        datasets=datasets,
        networks=_networks(cells),
        methods={str(cell.source.variant): _method(cell) for cell in cells},
        prompts=prompt_facts(Plan(cells=cells)),
    )
    shutil.rmtree(folder, ignore_errors=True)
    return records.write(folder, manifest, predictions())


def _method(cell: Cell) -> MethodFacts:
    variant = cell.source.variant
    head = variant.card.head
    file = None if head is None else HeadFile(seed=None, file=head.file, hash="ab" * 16)
    facts = None if head is None or file is None else HeadFacts(image=head.image, text=head.text, files=[file])
    return MethodFacts(title=variant.title, card=str(variant.card.path), head=facts)


def _networks(cells: Sequence[Cell]) -> list[NetworkFacts]:
    networks: dict[tuple[str, str], NetworkFacts] = {}
    for cell in cells:
        encoder, protocol = cell.source.variant.card.encoder, cell.source.protocol
        facts = networks.setdefault(
            (encoder.model_dump_json(), protocol.name),
            NetworkFacts(
                method=cell.source.variant.method,
                serves=[],
                adapter=encoder.adapter,
                options=encoder.options,
                weights=dict.fromkeys(encoder.weights, "cd" * 16),
                dtype="float32",
                protocol=protocol.model_dump(mode="json"),
                size=encoder.size,
                files=encoder.weights,
                artifact="frames/0",
            ),
        )
        served = ServedFacts(variant=str(cell.source.variant), protocol=protocol.name)
        if served not in facts.serves:
            facts.serves.append(served)
    return list(networks.values())
