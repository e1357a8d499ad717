"""One machine's world, opened: cards, settings, store, miniature; and from names to datasets, networks and their weights.

A session opens things and decides nothing: what must be computed is `bench.run.planner`'s to say.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from bench import settings as machine_settings
from bench.cards.catalog import Catalog, load
from bench.cards.dataset_schema import DatasetCard
from bench.cards.head_training import HeadTraining
from bench.cards.input_protocol import FrameSampling
from bench.cards.method_schema import EncoderFacts, SideName
from bench.cards.variant import Variant, parse, resolve
from bench.data.corpus import Corpus, Fold, open_corpus
from bench.data.datasets import unread_note
from bench.data.digest import DigestCache, file_hashes
from bench.data.folder_card import folder_card
from bench.errors import DataError, WeightsError
from bench.models.hub import method_card
from bench.models.network import Network
from bench.plan.keys import CorpusKey, corpus_key
from bench.plan.trainings import training_of
from bench.records.record import Record
from bench.settings import Settings
from bench.store.artifacts import Store

log = logging.getLogger(__name__)


def open_session(
    *,
    cards: Sequence[Path] = (),
    mini: bool = False,
    data: Sequence[str] = (),
    weights: Sequence[Path] = (),
    store: Path | None = None,
    dtype: str = "float32",
    workers: int | None = None,
    limit: int = 0,
    compiled: bool = False,
    folders: Sequence[Path] = (),
) -> Session:
    """Open this machine's world, or the miniature's; the one way in for every command.

    Args:
        cards: folders with cards of the user's own.
        mini: whether to open the embedded miniature.
        data: `PATH` (a folder with one folder per dataset) or `NAME=PATH`.
        weights: folders with checkpoints.
        store: where embeddings are kept.
        dtype: precision of the towers.
        workers: hashing threads; as many as cores by default.
        limit: at most this many samples per fold of a test set; 0 is all.
        compiled: whether the towers that can go through `torch.compile` do.
        folders: folders of class folders that become datasets without a card.

    Raises:
        BenchError: a folder or a settings file cannot be read.
    """
    catalog = load(cards)
    for broken in catalog.broken:
        log.warning("broken card, left out: %s: %s", broken.path, broken.reason)
    stated = machine_settings.load(data=data, weights=weights, store=store)
    settings = _miniature_with(data, weights, store) if mini else stated
    catalog.expect(settings.counts)
    catalog.hub = partial(method_card, settings=settings)
    session = Session(catalog, settings, dtype, limit, workers or cores(), compiled)
    for folder in folders:
        session.add_folder(folder)
    return session


def miniature(store: Path | None = None) -> Settings:
    """Where the embedded miniature lies, which is built at first use.

    Args:
        store: another place for its embeddings than the user's cache folder.

    Raises:
        BenchError: it cannot be written.
    """
    from bench.mini.world import build

    cache = machine_settings.cache_home()
    world = build(cache / "mini")
    where = store or Path(os.environ.get(f"{machine_settings.ENV}_STORE") or cache / "mini-store")
    return Settings(
        where,
        (world.weights,),
        hub_cache=machine_settings.hub_cache_of(os.environ),
        data=world.data,
        counts=world.counts,
        training=world.training,
        miniature=True,
    )


def _miniature_with(data: Sequence[str], weights: Sequence[Path], store: Path | None) -> Settings:
    """The miniature, and what the user names on the command line; the machine's own settings are not in it."""
    world = miniature(store)
    own = machine_settings.load(
        data=data, weights=weights, store=store, environ={}, working_directory=Path("/nonexistent")
    )
    return replace(
        world, data={**world.data, **own.data}, data_roots=own.data_roots, weights=(*weights, *world.weights)
    )


def settings_of(record: Record, settings: Settings) -> Settings:
    """Where the data of a record are: the miniature, where it ran there, else where the user's settings find them."""
    return miniature() if record.manifest.miniature and not settings.miniature else settings


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Session:
    """What every command that touches data or networks works with; `open_session` makes it.

    Attributes:
        dtype: precision of the towers.
        limit: at most this many samples per fold of a test set, evenly spaced; 0 is all.
        workers: hashing threads.
        compiled: whether the towers that can go through `torch.compile` do.
        warnings: lines for the user and the manifest, the store's among them.
        live: networks that the caller holds, by method.
        scratch: where artifacts go instead of the store when nobody shall keep them.
        folders: names of datasets that are folders without a card.
    """

    catalog: Catalog
    settings: Settings
    dtype: str = "float32"
    limit: int = 0
    workers: int = 2
    compiled: bool = False
    warnings: list[str] = field(default_factory=list)
    live: Mapping[str, Network] = field(default_factory=dict)
    scratch: Path | None = None
    folders: list[str] = field(default_factory=list)
    _networks: dict[str, Network] = field(default_factory=dict)
    _corpora: dict[CorpusKey, Corpus] = field(default_factory=dict)

    @cached_property
    def store(self) -> Store:
        """The artifact store."""
        return Store(self.scratch or self.settings.store, self.warnings)

    @cached_property
    def digest_cache(self) -> DigestCache:
        """What is known of files that have not changed since."""
        return DigestCache(self.settings.store)

    def add_folder(self, folder: Path) -> None:
        """Make a folder of class folders a dataset.

        Raises:
            DataError: see `bench.data.folder_card`.
        """
        card = folder_card(folder, self.catalog.datasets, self.catalog.aliases.values())
        self.catalog.datasets[card.name] = card
        self.settings = replace(self.settings, data={**self.settings.data, card.name: folder})
        self.folders.append(card.name)

    def warn(self, line: str) -> None:
        """Tell the user, and keep it for the manifest."""
        if line not in self.warnings:
            self.warnings.append(line)
            log.warning("%s", line)

    def corpus(self, card: DatasetCard, rule: FrameSampling) -> Corpus:
        """A dataset under a frame rule.

        Raises:
            DataError: it is not here, or not what its card says.
        """
        key = corpus_key(card, rule)
        if key not in self._corpora:
            corpus = open_corpus(card, self.settings.data_root(card), rule, self.digest_cache, self.workers)
            if note := unread_note(corpus.root, corpus.unread):
                self.warn(note)
            self._corpora[key] = limited(corpus, self.limit) if self.limit and card.labelled else corpus
        return self._corpora[key]

    def network(self, variant: Variant) -> Network:
        """The network of a variant, its checkpoint files found and hashed.

        Raises:
            WeightsError: a file is not here: where it was looked for and how to get it.
        """
        if variant.method in self.live:
            return self.live[variant.method]
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

    def side(self, variant: Variant, side: SideName) -> Network:
        """The network on a side of a variant: its own, or the teacher under its training's instruction.

        Raises:
            WeightsError: as `network`.
        """
        head = variant.card.head
        if head is None or head.of(side) != "teacher":
            return self.network(variant)
        training = training_of(variant)
        return self.teacher(training, {"instruction": training.instruction.model_dump()})

    def teacher_variant(self, training: HeadTraining) -> Variant:
        """The method whose weights the teacher loads."""
        name, axes = parse(training.teacher)
        return resolve(self.catalog.method(name), axes)

    def teacher(self, training: HeadTraining, options: Mapping[str, Any] | None = None) -> Network:
        """The teacher that a training names: that method's weights, under the teacher's adapter.

        Raises:
            WeightsError: as `network`.
        """
        variant = self.teacher_variant(training)
        own = self.network(variant)
        facts = EncoderFacts(
            adapter=training.adapter, size=own.facts.size, weights=own.facts.weights, options=dict(options or {})
        )
        return Network(str(variant), facts, own.weights, own.hashes, own.dtype, variant.card.environment)

    def weight_hash(self, path: Path) -> str:
        """The sha256 of a checkpoint file, or of a folder's file names and files' sha256.

        Raises:
            WeightsError: it cannot be read.
        """
        files = checkpoint_files(path)
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


def checkpoint_files(path: Path) -> list[Path]:
    """A checkpoint file, or the files of a folder, sorted; what a download tool keeps in hidden folders there is none of them."""
    if not path.is_dir():
        return [path]
    return sorted(
        file for file in path.rglob("*") if file.is_file() and not file.relative_to(path).parts[0].startswith(".")
    )


def limited(corpus: Corpus, limit: int) -> Corpus:
    """The corpus with at most `limit` samples per fold, evenly spaced so that lists sorted by class keep every class."""
    kept: list[int] = []
    folds: list[Fold] = []
    for fold in corpus.folds:
        count = min(limit, fold.stop - fold.start)
        chosen = np.linspace(fold.start, fold.stop - 1, count).round().astype(int).tolist() if count else []
        folds.append(Fold(fold.name, len(kept), len(kept) + count))
        kept += chosen
    return corpus.only(kept, tuple(folds))
