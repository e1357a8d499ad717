"""The projection heads of a session: where each lies, published or trained here, and what is read from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.cards.method_schema import SideName
from bench.cards.variant import Variant
from bench.errors import StoreError, WeightsError
from bench.heads.heads import Head, LinearHead, fitting, read_head, read_linear
from bench.plan.trainings import HeadKey, TrainingGroup, training_of
from bench.run.checks import check_complete
from bench.run.planner import plan, published_head, training_job
from bench.run.session import Session
from bench.store.artifacts import ArtifactKey
from bench.store.digests import BYTES

# Real heads take 8 to 150 MB each; a table of trained ones has dozens.
HELD = 8


@dataclass
class Heads:
    """The heads that a session's variants stand under.

    Attributes:
        session: the machine's world.
        trainings: of a plan that is at hand; the others are planned when they are asked for.
    """

    session: Session
    trainings: Sequence[TrainingGroup] = ()
    _read: dict[Path, Head] = field(default_factory=dict)
    _trained: dict[HeadKey, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._note(self.trainings)

    def head(self, variant: Variant, side: SideName, width: int | None = None, seed: int | None = None) -> Head | None:
        """The projection head on a side of a variant; None where nothing is projected there.

        Args:
            variant: whose head.
            side: of the comparison.
            width: of the embeddings that it must take, where that is known.
            seed: of its training; the first that its card states by default.

        Raises:
            WeightsError: its file is not here, is not a head, or does not fit; or it is not trained yet.
        """
        facts = variant.card.head
        if facts is None or facts.of(side) != "projected":
            return None
        path = self.file(variant, seed)
        if path not in self._read:
            if len(self._read) == HELD:
                del self._read[next(iter(self._read))]
            self._read[path] = read_head(path).head if facts.trained else self._published(path, facts.key)
        return self._read[path] if width is None else fitting(self._read[path], path, width)

    def file(self, variant: Variant, seed: int | None = None) -> Path:
        """Where the head of a variant lies.

        Raises:
            WeightsError: it is not here, or not trained yet.
        """
        facts = variant.card.head
        assert facts is not None
        if not facts.trained:
            return published_head(self.session, variant)
        key = HeadKey(str(variant), training_of(variant).seeds[0] if seed is None else seed)
        if key not in self._trained:
            planned = plan(self.session, (), [training_job(self.session, variant)])
            check_complete(planned)
            self._note(planned.trainings)
        if not self._trained[key].exists():
            raise WeightsError(f"the head of {variant}, seed {key.seed}, is not trained yet", f"bench train {variant}")
        return self._trained[key]

    def _note(self, trainings: Sequence[TrainingGroup]) -> None:
        self._trained.update({key: head.path for group in trainings for key, head in group.heads.items()})

    def _published(self, path: Path, key: str) -> LinearHead:
        """The head from the store, or from its file the first time: reading a checkpoint imports torch."""
        store = self.session.store
        artifact_key = ArtifactKey("heads", {"file": self.session.weight_hash(path), "key": key})
        artifact = store.open(artifact_key)
        height = artifact.facts.get("rows", 0)
        if height and len(artifact) == height:
            return LinearHead(artifact.rows([number.to_bytes(BYTES, "big") for number in range(height)]))
        head = read_linear(path, key)
        try:
            with store.writing(artifact_key) as writer:
                digests = [number.to_bytes(BYTES, "big") for number in range(len(head.weight))]
                missing = set(writer.artifact.missing(digests))
                rows = [number for number, digest in enumerate(digests) if digest in missing]
                writer.add([digests[number] for number in rows], head.weight[rows])
                writer.note(rows=len(head.weight))
        except StoreError as error:
            self.session.warn(f"the head {path.name} is not kept in the store: {error.what}")
        return head
