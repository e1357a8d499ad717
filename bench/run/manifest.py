"""What a record says of its run: the parts of its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.cards.hub_name import hub_name
from bench.cards.table_schema import TableCard
from bench.cards.variant import Variant
from bench.crops.manifest import crops_facts
from bench.data.corpus import Corpus
from bench.engine.fill import Lost
from bench.models.network import Network
from bench.plan.cells import Source
from bench.plan.keys import vision_key
from bench.plan.plan import Plan
from bench.records.manifest import (
    DatasetFacts,
    HeadFacts,
    HeadFile,
    MethodFacts,
    NetworkFacts,
    PromptFacts,
    RepositoryFacts,
    RowFacts,
    ServedFacts,
    TableFacts,
    TrainingFacts,
)
from bench.run.heads import Heads
from bench.run.session import Session, checkpoint_files


def table_facts(table: TableCard, rows: Mapping[str, Source]) -> TableFacts:
    """The table's card as it was run, and what its rows are filled from."""
    return TableFacts(
        card=table,
        path=str(table.path),
        rows={
            row: RowFacts(
                method=source.variant.method,
                variant=source.variant.key,
                prompt_set=source.prompt_set,
                protocol=source.protocol.name,
            )
            for row, source in rows.items()
        },
    )


def dataset_facts(corpus: Corpus, lost: Lost) -> DatasetFacts:
    """What a dataset was in this run."""
    card = corpus.card
    return DatasetFacts(
        title=card.label,
        root=str(corpus.root),
        layout=corpus.layout,
        classes=card.classes,
        folds={fold.name: fold.stop - fold.start for fold in corpus.folds},
        fingerprint=corpus.fingerprint,
        missing={sample.sample: sample.reason for sample in lost.get(card.name, {}).values()},
        **crops_facts(corpus.root),
    )


def network_facts(plan: Plan, session: Session) -> list[NetworkFacts]:
    """What every network was, which variants it served under which protocol, and the pixels that it saw."""
    served: dict[str, set[tuple[str, str]]] = {}
    for source in (cell.source for cell in plan.cells):
        key = vision_key(session.side(source.variant, "image"), source).hash
        served.setdefault(key, set()).add((str(source.variant), source.protocol.name))
    return [
        NetworkFacts(
            method=work.network.method,
            serves=[ServedFacts(variant=variant, protocol=protocol) for variant, protocol in sorted(served[key])],
            **work.network.identity,
            protocol=work.protocol.model_dump(mode="json"),
            size=work.network.facts.size,
            files={role: str(path) for role, path in work.network.weights.items()},
            repositories=_repositories(work.network, session),
            artifact=f"{work.key.step}/{work.key.hash}",
        )
        for key, work in plan.vision.items()
        if key in served
    ]


def _repositories(network: Network, session: Session) -> dict[str, RepositoryFacts]:
    """The hub repositories among a network's weights, by role."""
    found: dict[str, RepositoryFacts] = {}
    for role, weight in network.facts.weights.items():
        name = hub_name(weight)
        if name is not None and role in network.weights:
            repository = session.settings.repository(name)
            found[role] = RepositoryFacts(
                repository=name.repository,
                revision=repository.revision,
                files={
                    file.relative_to(repository.path).as_posix(): session.weight_hash(file)
                    for file in checkpoint_files(repository.path)
                },
            )
    return found


def method_facts(plan: Plan, session: Session, heads: Heads) -> dict[str, MethodFacts]:
    """Every variant's title, card and head."""
    facts: dict[str, MethodFacts] = {}
    for cell in plan.cells:
        variant = cell.source.variant
        if str(variant) not in facts:
            facts[str(variant)] = MethodFacts(
                title=variant.title,
                card=str(variant.card.path),
                head=_head_facts(variant, cell.source.seeds, session, heads),
            )
    return facts


def _head_facts(variant: Variant, seeds: Sequence[int | None], session: Session, heads: Heads) -> HeadFacts | None:
    """A variant's head files and their hashes, and what stands on the two sides."""
    head = variant.card.head
    if head is None:
        return None
    files = [heads.file(variant, seed) for seed in seeds] if head.projects else []
    return HeadFacts(
        image=head.image,
        text=head.text,
        files=[
            HeadFile(seed=seed, file=str(file), hash=session.weight_hash(file))
            for seed, file in zip(seeds, files, strict=False)
        ],
    )


def training_facts(plan: Plan) -> list[TrainingFacts]:
    """What heads were trained on: the pictures and, for every variant, its training as it was carried out."""
    return [
        TrainingFacts(
            dataset=group.dataset.name,
            root=str(group.corpus.root),
            pictures=group.pictures,
            fingerprint=group.corpus.fingerprint,
            trainings={str(job.variant): job.training.model_dump(mode="json") for job in group.jobs},
        )
        for group in plan.trainings
        if group.corpus is not None
    ]


def prompt_facts(plan: Plan) -> dict[str, PromptFacts]:
    """Every prompt set as it was sent, for each dataset's classes; a generator's questions likewise."""
    facts: dict[str, PromptFacts] = {}
    for cell in plan.cells:
        source = cell.source
        question = source.question
        if question is not None:
            asked = facts.setdefault(f"{source.variant.method} {source.prompt_set}", PromptFacts(combine="", texts={}))
            asked.texts[cell.dataset.name] = [question.about(cell.dataset.classes)]
            continue
        sent = facts.setdefault(source.prompt_set, PromptFacts(combine=source.combine, texts={}))
        for name, row in zip(cell.dataset.classes, source.texts(cell.dataset.classes), strict=True):
            sent.texts.setdefault(name, row)
    return facts
