"""Where things are on this machine: datasets, weights, the store. Flags rule over the environment, that over a file.

The file is `bench.toml` in the working directory, or `fer-bench/config.toml` in the user's configuration folder:

    [data]
    root = "/data"              # holds one folder per dataset, named as in `bench list datasets`
    NAME = "/elsewhere/faces"   # or one by one
    [weights]
    root = "/weights"
    [store]
    root = "/scratch/fer-bench"
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.cards.dataset_schema import DatasetCard
from bench.cards.hub_name import HubName, hub_name
from bench.cards.schema import Weight
from bench.cards.toml_file import read_toml
from bench.errors import BenchError, DataError, WeightsError

ENV = "BENCH"
# Beside the checkpoints of a weights folder: the hashes and commits that `bench fetch` found.
KNOWN_HASHES = "known-hashes.json"


@dataclass(frozen=True)
class Settings:
    """What a run needs to know about the machine.

    Attributes:
        store: the artifact store's folder.
        weights: folders searched for checkpoints, in order.
        data: dataset -> its root, where one is stated.
        data_roots: folders searched for a folder with the dataset's name.
        counts: dataset -> fold -> samples per class, where the world has other counts than the card (the miniature).
        training: facts that rule over those of every head's training (the miniature has few pictures).
        miniature: whether this is the miniature's world; every table says so.
        hub_cache: the folder of the Hugging Face libraries' own downloads, searched for hub repositories after the weights folders.
    """

    store: Path
    weights: tuple[Path, ...] = ()
    data: Mapping[str, Path] = field(default_factory=dict)
    data_roots: tuple[Path, ...] = ()
    counts: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    miniature: bool = False
    hub_cache: Path | None = None

    def find_data(self, card: DatasetCard) -> Path | None:
        """The dataset's root, or None where it is nowhere."""
        return next((path for path in self.data_candidates(card) if path.is_dir()), None)

    def data_candidates(self, card: DatasetCard) -> list[Path]:
        """Every place where the dataset is looked for, in order."""
        if card.name in self.data:
            return [self.data[card.name]]
        return [root / card.name for root in self.data_roots]

    def data_root(self, card: DatasetCard) -> Path:
        """The dataset's root.

        Raises:
            DataError: it is nowhere: where it was looked for, how to obtain it, which setting points to it.
        """
        found = self.find_data(card)
        if found is not None:
            return found
        looked = ", ".join(str(path) for path in self.data_candidates(card)) or "nowhere: no data folder is set"
        variable = f"{ENV}_DATA_{card.name.upper().replace('-', '_')}"
        raise DataError(
            f"{card.label} is not here (looked in {looked})",
            f"{card.how_to_get}; then --data {card.name}=PATH, or {variable}=PATH, "
            f'or `{card.name} = "PATH"` under [data] in bench.toml',
        )

    def find_weight(self, name: str) -> Path | None:
        """The checkpoint file, folder or hub repository of that name, or None."""
        if (hub := hub_name(name)) is not None:
            repository = self.find_repository(hub)
            return None if repository is None else repository.path
        return next((root / name for root in self.weights if (root / name).exists()), None)

    def weight(self, name: str, facts: Weight | None, method: str) -> Path:
        """The checkpoint of that name.

        Raises:
            WeightsError: it is nowhere: where it was looked for and how to get it.
        """
        if (hub := hub_name(name)) is not None:
            return self.repository(hub).path
        found = self.find_weight(name)
        if found is not None:
            return found
        looked = ", ".join(str(root / name) for root in self.weights)
        if facts is not None and (facts.url or facts.hub):
            how = f"bench fetch {method}, or put the file there"
        elif facts is not None and facts.manual:
            how = facts.manual
        else:
            how = "put the file there, or name its folder with --weights DIR"
        raise WeightsError(f"the weights {name} of {method} are not here (looked at {looked})", how)

    def find_repository(self, name: HubName) -> Repository | None:
        """A hub repository's folder, or None: a plain one below a weights folder, or a snapshot in a hub cache.

        Raises:
            WeightsError: a cache holds several snapshots, and none of them is said to be the newest.
        """
        for root in self.weights:
            if (path := root / name.folder).is_dir():
                return Repository(path, name, _fetched_revision(root, name))
        caches = (*self.weights, *([self.hub_cache] if self.hub_cache else []))
        return next((found for root in caches if (found := _cached(root, name))), None)

    def repository(self, name: HubName) -> Repository:
        """`find_repository`, of one that must be here.

        Raises:
            WeightsError: it is nowhere: where it was looked for and the command that fetches it; or as `find_repository`.
        """
        found = self.find_repository(name)
        if found is not None:
            return found
        looked = [str(root / name.folder) for root in self.weights]
        caches = (*self.weights, *([self.hub_cache] if self.hub_cache else []))
        looked += [str(root / _cache_folder(name)) for root in caches]
        raise WeightsError(
            f"the hub repository {name.folder} is not here (looked at {', '.join(looked)})",
            f"bench fetch {name}, or put its folder there, or name the folder above it with --weights DIR",
        )


@dataclass(frozen=True)
class Repository:
    """A hub repository on this machine.

    Attributes:
        path: the folder of its files.
        name: by which it was asked for.
        revision: the commit; empty where nothing beside the folder states it.
    """

    path: Path
    name: HubName
    revision: str = ""


def _fetched_revision(root: Path, name: HubName) -> str:
    """The commit that `bench fetch` remembers; the one asked for, where that is a whole one."""
    if re.fullmatch(r"[0-9a-f]{40}", name.revision):
        return name.revision
    try:
        known = json.loads((root / KNOWN_HASHES).read_text(encoding="utf-8"))
        return str(known.get(f"{name.repository}@{name.revision or 'main'}", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _cache_folder(name: HubName) -> str:
    return "models--" + name.repository.replace("/", "--")


def _cached(root: Path, name: HubName) -> Repository | None:
    """A repository in a folder laid out as the Hugging Face libraries' cache is."""
    base = root / _cache_folder(name)
    snapshots = sorted(path.name for path in (base / "snapshots").glob("*") if path.is_dir())
    wanted = name.revision or "main"
    try:
        wanted = (base / "refs" / wanted).read_text(encoding="utf-8").strip() or wanted
    except (OSError, ValueError):
        if not name.revision and len(snapshots) == 1:
            wanted = snapshots[0]
        elif not name.revision and snapshots:
            raise WeightsError(
                f"{base} holds {len(snapshots)} snapshots and does not say which is the newest: {', '.join(snapshots)}",
                f"name one, as in {name}@{snapshots[-1]}",
            ) from None
    return Repository(base / "snapshots" / wanted, name, wanted) if wanted in snapshots else None


def hub_cache_of(environ: Mapping[str, str]) -> Path:
    """Where the Hugging Face libraries keep what they download."""
    if environ.get("HF_HUB_CACHE"):
        return Path(environ["HF_HUB_CACHE"]).expanduser()
    home = environ.get("HF_HOME")
    base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return (Path(home).expanduser() if home else base) / "hub"


def cache_home() -> Path:
    """The user's cache folder of this program."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fer-bench"


def load(
    *,
    data: Sequence[str] = (),
    weights: Sequence[Path] = (),
    store: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    working_directory: Path | None = None,
) -> Settings:
    """Put flags, environment and configuration file together.

    Args:
        data: `PATH` (a folder with one folder per dataset) or `NAME=PATH`, as `--data` takes them.
        weights: folders with checkpoints, as `--weights` takes them.
        store: the store's folder, as `--store` takes it.
        environ: the environment.
        working_directory: where `bench.toml` is looked for.
    """
    file = _configuration(environ, working_directory or Path.cwd())
    filed = {key: Path(value).expanduser() for key, value in file.get("data", {}).items()}
    roots: list[Path] = []
    named: dict[str, Path] = {name: path for name, path in filed.items() if name != "root"}
    prefix = f"{ENV}_DATA_"
    for key, value in environ.items():
        if key.startswith(prefix):
            named[key.removeprefix(prefix).lower().replace("_", "-")] = Path(value)
    for item in data:
        name, equals, path = item.partition("=")
        if equals:
            named[name] = Path(path).expanduser()
        else:
            roots.append(Path(item).expanduser())
    if f"{ENV}_DATA" in environ:
        roots.append(Path(environ[f"{ENV}_DATA"]))
    if "root" in filed:
        roots.append(filed["root"])
    weight_roots = [path.expanduser() for path in weights]
    if f"{ENV}_WEIGHTS" in environ:
        weight_roots.append(Path(environ[f"{ENV}_WEIGHTS"]))
    if "root" in file.get("weights", {}):
        weight_roots.append(Path(file["weights"]["root"]).expanduser())
    weight_roots.append(cache_home() / "weights")
    where = store or environ.get(f"{ENV}_STORE") or file.get("store", {}).get("root") or cache_home() / "store"
    return Settings(
        Path(where).expanduser(),
        tuple(weight_roots),
        hub_cache=hub_cache_of(environ),
        data=named,
        data_roots=tuple(roots),
    )


def _configuration(environ: Mapping[str, str], working_directory: Path) -> dict[str, Any]:
    base = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for path in (working_directory / "bench.toml", base / "fer-bench" / "config.toml"):
        if path.is_file():
            try:
                facts = read_toml(path)
            except BenchError as error:
                raise BenchError(f"{path}: {error.what}", error.fix) from error
            unknown = set(facts) - {"data", "weights", "store"}
            if unknown:
                raise BenchError(f"{path}: unknown sections {sorted(unknown)}", "known: data, weights, store")
            return facts
    return {}
