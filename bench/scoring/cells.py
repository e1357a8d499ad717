"""From the store to predictions: every cell scored from what the networks gave, a fold at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.cards.method_schema import SideName
from bench.cards.variant import Variant
from bench.data.corpus import Corpus
from bench.data.items import Inputs
from bench.engine.fill import Lost
from bench.errors import BenchError
from bench.heads.heads import Floats, Head, LinearHead
from bench.models.ask import Ask
from bench.models.network import Network
from bench.plan.cells import Cell
from bench.plan.keys import asks_of, corpus_key, row_keys, text_digest, text_key, vision_key
from bench.plan.plan import Plan
from bench.records.predictions import FoldPredictions
from bench.scoring.answers import parse_all
from bench.scoring.zeroshot import Decision, decide, logits, pool
from bench.store.artifacts import Artifact, ArtifactKey, Store
from bench.store.digests import Places

BLOCK = 4096
CLIPS_PER_POOL = 512
# More than the clips of any test set of the paper need.
HELD_BYTES = 40 * 2**20


@dataclass
class Scorer:
    """Scores cells; what two cells share is read once, and nothing is held for longer than it is shared.

    Attributes:
        network_of: the network on a side of a variant.
        head_of: the head on a side of a variant, for embeddings of that width, from the training with that seed.
        lost: unreadable samples; they are left out of the cells that need them, and the caller has said so.
    """

    plan: Plan
    store: Store
    network_of: Callable[[Variant, SideName], Network]
    head_of: Callable[[Variant, SideName, int, int | None], Head | None]
    lost: Lost
    _artifacts: dict[str, Artifact] = field(default_factory=dict)
    _latest: tuple[tuple[str, ...], list[Floats]] | None = None

    def __iter__(self) -> Iterator[FoldPredictions]:
        """Predictions of every cell: dataset by dataset, and there cells that share pooled embeddings together."""
        for cell in sorted(self.plan.cells, key=self._pool_key):
            yield from self.score(cell)

    def _pool_key(self, cell: Cell) -> tuple[str, ...]:
        """What tells a cell's pooled embeddings apart: a head that is not a linear map is put on each frame before."""
        variant = cell.source.variant
        head = variant.card.head
        own = ""
        if head is not None and head.image == "projected" and head.trained and head.training is not None:
            own = "" if head.training.design.kind == "linear" else f"{variant} {cell.seed}"
        artifact = vision_key(self.network_of(variant, "image"), cell.source).hash
        return (*corpus_key(cell.dataset, cell.source.protocol.frames), artifact, own)

    def score(self, cell: Cell) -> Iterator[FoldPredictions]:
        """Predictions of one cell."""
        key = corpus_key(cell.dataset, cell.source.protocol.frames)
        corpus = self.plan.corpora[key]
        kept = np.delete(np.arange(len(corpus.samples)), list(self.lost.get(cell.dataset.name, {})))
        network = self.network_of(cell.source.variant, "image")
        work = self.plan.vision_of(cell, network)
        artifact, inputs = self._artifact(work.key), work.inputs[key]
        question = cell.source.question
        if question is not None and question.mode == "answer":
            (asked,) = asks_of(cell.source, cell.dataset)
            answers = artifact.texts(row_keys(inputs.keys[inputs.starts[kept]], asked))
            classes = np.array(parse_all(answers, cell.dataset.classes), np.int64)
            yield from _by_fold(cell, corpus, kept, Decision(None, classes), answers)
            return
        if network.facts.model == "dual-encoder":
            scores = self._similarities(cell, network, artifact, inputs, kept)
        else:
            scores = _joint_scores(cell, artifact, inputs, kept)
        yield from _by_fold(cell, corpus, kept, Decision(scores, decide(scores)))

    def _artifact(self, key: ArtifactKey) -> Artifact:
        if key.hash not in self._artifacts:
            self._artifacts[key.hash] = self.store.open(key)
        return self._artifacts[key.hash]

    def _similarities(self, cell: Cell, network: Network, artifact: Artifact, inputs: Inputs, kept: Places) -> Floats:
        variant = cell.source.variant
        text_artifact = self._artifact(text_key(self.network_of(variant, "text")))
        texts = cell.source.texts(cell.dataset.classes)
        rows = [text_artifact.rows([text_digest(text) for text in row]) for row in texts]
        text_head = self.head_of(variant, "text", rows[0].shape[1], cell.seed)
        if text_head is not None:
            rows = [text_head.project(row) for row in rows]
        head = self.head_of(variant, "image", artifact.width, cell.seed)
        parts = []
        for block in self._pooled(self._pool_key(cell), artifact, inputs, kept, head):
            seen = len(head.weight) if isinstance(head, LinearHead) else block.shape[1]
            if seen != rows[0].shape[1]:
                raise BenchError(
                    f"{variant}: its image side is {seen} wide and its text side {rows[0].shape[1]}",
                    "use a head that was trained towards this teacher",
                )
            part = logits(
                block,
                rows,
                head,
                combine=cell.source.combine,
                similarity=network.facts.similarity,
                scale=float(text_artifact.facts["logit_scale"]),
            )
            parts.append(part)
        return np.concatenate(parts) if parts else np.empty((0, len(rows)), np.float32)

    def _pooled(
        self, key: tuple[str, ...], artifact: Artifact, inputs: Inputs, kept: Places, head: Head | None
    ) -> Iterator[Floats]:
        """Samples' pooled embeddings, block by block; kept for the next cell where they cost work and are not too many."""
        if self._latest is not None and self._latest[0] == key:
            yield from self._latest[1]
            return
        self._latest, held = None, list[Floats]()
        worth = len(inputs.keys) > len(kept) or (head is not None and not head.linear)
        for start in range(0, len(kept), BLOCK):
            block = pooled(artifact, inputs, kept[start : start + BLOCK], head)
            yield block
            held += [block] if worth else []
            if sum(each.nbytes for each in held) > HELD_BYTES:
                worth, held = False, []
        if worth:
            self._latest = (key, held)


def pooled(artifact: Artifact, inputs: Inputs, samples: Places, head: Head | None) -> Floats:
    """Samples' stored embeddings `[N, D]`, pooled over time; see `bench.scoring.zeroshot.pool` for what a head does there."""
    parts = []
    for start in range(0, len(samples), CLIPS_PER_POOL):
        chosen = samples[start : start + CLIPS_PER_POOL]
        rows = artifact.rows(inputs.keys_at(chosen))
        parts.append(pool(rows.reshape(len(chosen), -1, rows.shape[1]), head))
    return np.concatenate(parts) if parts else np.empty((0, artifact.width), np.float32)


def _joint_scores(cell: Cell, artifact: Artifact, inputs: Inputs, kept: Places) -> Floats:
    """Scores `[N, K]`: the mean over each class's texts, and over a sample's inputs where it has several."""
    texts = cell.source.texts(cell.dataset.classes)
    question = cell.source.question
    if question is None:
        asks = [[Ask(text) for text in row] for row in texts]
    else:
        asked = question.about(cell.dataset.classes)
        asks = [[Ask(asked, text) for text in row] for row in texts]
    keys = inputs.keys_at(kept)
    columns = []
    for row in asks:
        scores = np.stack([artifact.rows(row_keys(keys, ask))[:, 0] for ask in row], axis=1)
        columns.append(scores.reshape(len(kept), -1).mean(axis=1, dtype=np.float64))
    return np.stack(columns, axis=1).astype(np.float32)


def _by_fold(
    cell: Cell, corpus: Corpus, kept: Places, decision: Decision, answers: Sequence[str] | None = None
) -> Iterator[FoldPredictions]:
    for fold in corpus.folds:
        rows = np.nonzero((kept >= fold.start) & (kept < fold.stop))[0]
        samples = corpus.samples.take(kept[rows])
        yield FoldPredictions(
            cell.key,
            fold.name,
            samples.ids,
            samples.labels.astype(np.int16),
            decision.classes[rows].astype(np.int16),
            None if decision.scores is None else decision.scores[rows],
            None if answers is None else [answers[row] for row in rows.tolist()],
        )
