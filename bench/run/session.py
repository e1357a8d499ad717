"""One machine's world, opened: cards, settings, store; and from names to networks, corpora, heads and plans."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.cards.catalog import Catalog
from bench.cards.head_training import HeadRecipe
from bench.cards.input_protocol import FrameSampling
from bench.cards.schema import DatasetCard, EncoderFacts, SideName
from bench.cards.variant import Variant, parse, resolve
from bench.data.corpus import Corpus, Fold, open_corpus
from bench.data.digest import DigestCache, file_hashes
from bench.errors import DataError, StoreError, WeightsError
from bench.heads.heads import Head, LinearHead, fitting, read_head, read_linear
from bench.models.network import Network
from bench.plan.cells import Cell
from bench.plan.keys import CorpusKey, corpus_key
from bench.plan.plan import Plan, make
from bench.plan.trainings import HeadKey, Lesson, courses_of, lesson_of, recipe_of
from bench.settings import Settings
from bench.store.artifacts import Recipe, Store
from bench.store.digests import BYTES

# Real heads take 8 to 150 MB each; a table of trained ones has dozens.
HEADS_HELD = 8


@dataclass
class Workbench:
    """What every command that touches data or networks works with.

    Attributes:
        dtype: precision of the towers.
        limit: at most this many samples a fold of a test set, evenly spaced; 0 is all.
        workers: hashing threads.
        compiled: whether the towers that can go through `torch.compile` do.
        warnings: lines for the user and the manifest.
    """

    catalog: Catalog
    settings: Settings
    dtype: str = "float32"
    limit: int = 0
    workers: int = 2
    notify: Callable[[str], None] = lambda line: None
    compiled: bool = False
    warnings: list[str] = field(default_factory=list)
    _networks: dict[str, Network] = field(default_factory=dict)
    _corpora: dict[CorpusKey, Corpus] = field(default_factory=dict)
    _heads: dict[Path, Head] = field(default_factory=dict)
    _trained: dict[HeadKey, Path] = field(default_factory=dict)
    _digests: DigestCache | None = None

    @property
    def store(self) -> Store:
        """The artifact store."""
        return Store(self.settings.store, self.warn)

    @property
    def digest_cache(self) -> DigestCache:
        """What is known of files that have not changed since."""
        if self._digests is None:
            self._digests = DigestCache(self.settings.store)
        return self._digests

    def warn(self, line: str) -> None:
        """Tell the user, and keep it for the manifest."""
        if line not in self.warnings:
            self.warnings.append(line)
            self.notify(line)

    def network(self, variant: Variant) -> Network:
        """The network of a variant, its checkpoint files found and hashed.

        Raises:
            WeightsError: a file is not here: where it was looked for and how to get it.
        """
        facts, environment = variant.card.encoder, variant.card.environment
        name = f"{facts.model_dump_json()} {environment and environment.key} {self.dtype}"
        if name not in self._networks:
            paths = {
                role: self.settings.weight(file, variant.card.weights.get(file), variant.method)
                for role, file in facts.weights.items()
            }
            hashes = {role: self.weight_hash(path) for role, path in paths.items()}
            network = Network(variant.method, facts, paths, hashes, self.dtype, environment)
            if self.compiled and not network.compilable:
                self.warn(
                    f"{variant.method} is not compiled: only dual encoders without an environment of their own are"
                )
            self._networks[name] = replace(network, compiled=self.compiled and network.compilable)
        return self._networks[name]

    def weight_hash(self, path: Path) -> str:
        """The sha256 of a checkpoint file, or of a folder's file names and files' sha256.

        Raises:
            WeightsError: it cannot be read.
        """
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        found = file_hashes([str(file) for file in files], self.digest_cache, self.workers)
        for digest in found:
            if isinstance(digest, DataError):
                raise WeightsError(digest.what, digest.fix)
        if not path.is_dir():
            return bytes(found[0]).hex()  # type: ignore[arg-type]
        hasher = hashlib.sha256()
        for file, digest in zip(files, found, strict=True):
            hasher.update(str(file.relative_to(path)).encode() + b"\0" + bytes(digest))  # type: ignore[arg-type]
        return hasher.hexdigest()

    def corpus(self, card: DatasetCard, rule: FrameSampling) -> Corpus:
        """A dataset under a frame rule.

        Raises:
            DataError: it is not here, or not what its card says.
        """
        key = corpus_key(card, rule)
        if key not in self._corpora:
            corpus = open_corpus(card, self.settings.data_root(card), rule, self.digest_cache, self.workers)
            self._corpora[key] = limited(corpus, self.limit) if self.limit and card.labelled else corpus
        return self._corpora[key]

    def side(self, variant: Variant, side: SideName) -> Network:
        """The network on a side of a variant: its own, or the teacher as its recipe tells it.

        Raises:
            WeightsError: as `network`.
        """
        head = variant.card.head
        if head is None or head.of(side) != "teacher":
            return self.network(variant)
        recipe = recipe_of(variant)
        return self.teacher(recipe, {"instruction": recipe.instruction.model_dump()})

    def teaching(self, recipe: HeadRecipe) -> Variant:
        """The method whose weights the teacher loads."""
        name, axes = parse(recipe.teacher)
        return resolve(self.catalog.method(name), axes)

    def teacher(self, recipe: HeadRecipe, options: Mapping[str, Any] | None = None) -> Network:
        """The teacher that a recipe names: that method's weights, under the teacher's adapter.

        Raises:
            WeightsError: as `network`.
        """
        variant = self.teaching(recipe)
        own = self.network(variant)
        facts = EncoderFacts(
            adapter=recipe.adapter, size=own.facts.size, weights=own.facts.weights, options=dict(options or {})
        )
        return Network(str(variant), facts, own.weights, own.hashes, own.dtype, variant.card.environment)

    def head(self, variant: Variant, side: SideName, width: int | None = None, seed: int | None = None) -> Head | None:
        """The projection head on a side of a variant; None where nothing is projected there.

        Args:
            width: of the embeddings that it must take, where that is known.
            seed: of its training; the recipe's first by default.

        Raises:
            WeightsError: its file is not here, is no head, or does not fit; or it is not trained yet.
        """
        facts = variant.card.head
        if facts is None or facts.of(side) != "projected":
            return None
        path = self.head_file(variant, seed)
        if path not in self._heads:
            if len(self._heads) == HEADS_HELD:
                del self._heads[next(iter(self._heads))]
            self._heads[path] = read_head(path).head if facts.trained else self._read_head(path, facts.key)
        return self._heads[path] if width is None else fitting(self._heads[path], path, width)

    def _read_head(self, path: Path, key: str) -> LinearHead:
        """The head from the store, or from its file the first time: reading a checkpoint imports torch."""
        recipe = Recipe("heads", {"file": self.weight_hash(path), "key": key})
        shelf = self.store.open(recipe)
        height = shelf.facts.get("rows", 0)
        if height and len(shelf) == height:
            return LinearHead(shelf.rows([number.to_bytes(BYTES, "big") for number in range(height)]))
        head = read_linear(path, key)
        try:
            with self.store.writing(recipe) as writer:
                digests = [number.to_bytes(BYTES, "big") for number in range(len(head.weight))]
                missing = set(writer.shelf.missing(digests))
                rows = [number for number, digest in enumerate(digests) if digest in missing]
                writer.add([digests[number] for number in rows], head.weight[rows])
                writer.note(rows=len(head.weight))
        except StoreError as error:
            self.warn(f"the head {path.name} is not kept in the store: {error.what}")
        return head

    def head_file(self, variant: Variant, seed: int | None = None) -> Path:
        """Where the head of a variant lies.

        Raises:
            WeightsError: it is not here, or not trained yet.
        """
        facts = variant.card.head
        assert facts is not None
        if not facts.trained:
            return self.settings.weight(facts.file, variant.card.weights.get(facts.file), variant.method)
        key = HeadKey(str(variant), recipe_of(variant).seeds[0] if seed is None else seed)
        if key not in self._trained:
            self.plan((), [self.lesson(variant)])
        if not self._trained[key].exists():
            raise WeightsError(f"the head of {variant}, seed {key.seed}, is not trained yet", f"bench train {variant}")
        return self._trained[key]

    def lesson(self, variant: Variant, seeds: Sequence[int] = ()) -> Lesson:
        """How the head of a variant is trained in this world."""
        return lesson_of(variant, self.catalog, self.settings.recipe, seeds)

    def plan(self, cells: Iterable[Cell], lessons: Sequence[Lesson] | None = None, *, tolerant: bool = False) -> Plan:
        """Plan cells, and the training of heads.

        Args:
            cells: what is to be filled.
            lessons: what is to be trained; whatever the cells need by default.
            tolerant: note datasets and weights that are not here in the plan, instead of raising.
        """
        absent: dict[str, str] = {}
        unweighted: dict[str, str] = {}

        def corpus_or_none(card: DatasetCard, rule: FrameSampling) -> Corpus | None:
            if tolerant and self.settings.find_data(card) is None:
                absent[card.name] = _message(lambda: self.settings.data_root(card))
                return None
            return self.corpus(card, rule)

        def or_stand_in(variant: Variant, found: Callable[[], Network], options: Mapping[str, Any]) -> Network:
            try:
                return found()
            except WeightsError as error:
                if not tolerant:
                    raise
                unweighted[str(variant)] = str(error)
                facts = variant.card.encoder.model_copy(update={"options": {**variant.card.encoder.options, **options}})
                stand_in = {role: f"absent {file}" for role, file in facts.weights.items()}
                absentee = Network(variant.method, facts, {}, stand_in, self.dtype, variant.card.environment)
                return replace(absentee, compiled=self.compiled and absentee.compilable)

        def network_of(variant: Variant, side: SideName) -> Network:
            head = variant.card.head
            if head is not None and head.of(side) == "teacher":
                recipe = recipe_of(variant)
                told = {"instruction": recipe.instruction.model_dump()}
                return or_stand_in(self.teaching(recipe), lambda: self._complete(variant, side), told)
            return or_stand_in(variant, lambda: self._complete(variant, side), {})

        def teacher_of(recipe: HeadRecipe) -> Network:
            return or_stand_in(self.teaching(recipe), lambda: self.teacher(recipe), {})

        wanted = list(cells)
        if lessons is None:
            taught = {str(cell.source.variant): cell.source.variant for cell in wanted if cell.seed is not None}
            lessons = [self.lesson(variant) for variant in taught.values()]
        courses = courses_of(
            lessons,
            self.catalog,
            open_corpus=corpus_or_none,
            network_of=lambda variant: or_stand_in(variant, lambda: self.network(variant), {}),
            teacher_of=teacher_of,
            store=self.store,
        )
        self._trained.update({key: head.path for course in courses for key, head in course.heads.items()})
        plan = make(wanted, courses, open_corpus=corpus_or_none, network_of=network_of, store=self.store)
        plan.absent, plan.unweighted = absent, unweighted
        return plan

    def _complete(self, variant: Variant, side: SideName) -> Network:
        """The network on a side, once the published head beside it is found too."""
        head = variant.card.head
        if head is not None and head.projects and not head.trained:
            self.head_file(variant)
        return self.side(variant, side)


def _message(call: Callable[[], object]) -> str:
    try:
        call()
    except DataError as error:
        return str(error)
    return ""


def limited(corpus: Corpus, limit: int) -> Corpus:
    """The corpus with at most `limit` samples a fold, evenly spaced so that lists sorted by class keep every class."""
    kept: list[int] = []
    folds: list[Fold] = []
    for fold in corpus.folds:
        count = min(limit, fold.stop - fold.start)
        chosen = np.linspace(fold.start, fold.stop - 1, count).round().astype(int).tolist() if count else []
        folds.append(Fold(fold.name, len(kept), len(kept) + count))
        kept += chosen
    return corpus.only(kept, tuple(folds))
