"""The functions of the door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.record import Record
from bench.api.session import RUNS, Names, Session, names
from bench.cards.catalog import Catalog, load
from bench.cards.prompt_schema import Combine
from bench.cards.variant import parse, resolve
from bench.engine.device_encoder import Machine
from bench.engine.fill import Executor, fill
from bench.models.live import device_of
from bench.plan.request import Request, asked
from bench.process.progress import Listener
from bench.records import record as records
from bench.run.checks import Allowances
from bench.run.evaluate import Live, name_of, with_live
from bench.run.session import cores, settings_of
from bench.run.session import open_session as open_world
from bench.settings import load as load_settings

if TYPE_CHECKING:
    import pandas as pd

    from bench.conformance.subject import Finding

Places = str | Path | Sequence[str | Path]
Data = str | Path | Sequence[str | Path] | Mapping[str, str | Path]


def open_session(
    *,
    mini: bool = False,
    data: Data = (),
    weights: Places = (),
    store: str | Path | None = None,
    cards: Places = (),
    device: str = "auto",
    dtype: str = "float32",
    batch: int | None = None,
    workers: int | None = None,
    limit: int = 0,
    compiled: bool = False,
    folders: Places = (),
    executor: Executor = fill,
    progress: Listener | bool = False,
) -> Session:
    """Open this machine's world, or the miniature's.

    Args:
        mini: the embedded miniature: no data and no weights needed.
        data: a folder that holds one folder for each dataset; or dataset -> its folder.
        weights: folders with checkpoints.
        store: where embeddings are kept; the user's cache folder by default.
        cards: folders with cards of your own.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, ...; several GPUs of this machine as `cuda:0,1` or `cuda:all`.
        dtype: precision of the towers: `float32`, `tf32`, `float16`, `bfloat16`.
        batch: inputs per forward pass; None is 64 on a CPU, and measured on a GPU.
        workers: decoding workers; as many as cores by default.
        limit: at most so many samples of each fold; 0 is all.
        folders: folders of class folders that become datasets without a card; `session.folders` has their names.
        compiled: whether towers go through `torch.compile`.
        executor: what carries a plan out: this machine, or `bench.engine.ray.driver.OnRay`.
        progress: a function that is told (title, done, total) of all that lasts; True for bars, False for none.

    Raises:
        BenchError: a folder or a settings file cannot be read, or there is no such device.

    >>> session = open_session(mini=True)
    >>> session.world.settings.miniature
    True
    """
    stated = [f"{name}={path}" for name, path in data.items()] if isinstance(data, Mapping) else _paths(data)

    @cache
    def machine() -> Machine:
        from bench.engine.devices import devices_of

        first, *beside = devices_of(device, here=executor is fill)
        return Machine(first, batch, workers or cores(), beside=tuple(beside))

    if device != "auto":  # what is named is refused at once where it is not here; looking for a GPU takes seconds
        machine()
    world = open_world(
        cards=[Path(path) for path in _paths(cards)],
        mini=mini,
        data=[str(path) for path in stated],
        weights=[Path(path) for path in _paths(weights)],
        store=None if store is None else Path(store),
        dtype=dtype,
        workers=workers,
        limit=limit,
        compiled=compiled,
        folders=[Path(path) for path in _paths(folders)],
    )

    return Session(world, machine, executor, progress)


def evaluate(
    model: Any,
    *,
    datasets: Names,
    prompts: Names = (),
    protocol: str = "",
    name: str = "",
    key: str = "",
    size: int = 224,
    pixels: Mapping[str, Any] = {},
    frames: Mapping[str, Any] = {},
    question: Mapping[str, Any] | None = None,
    similarity: str = "cosine",
    trained_on: Names = (),
    combine: Combine | None = None,
    out: str | Path = RUNS,
    allow_missing: int = 0,
    allow_counts: bool = False,
    session: Session | None = None,
    **world: Any,
) -> Record:
    """Evaluate an object that is in memory, without a card: through the same pixels, prompts and metrics as every other method.

    Args:
        model: an object with `encode_images(pixels [B, 3, S, S]) -> [B, D]`, `encode_texts(list of M texts) -> [M, D]` and
            `logit_scale` (the factor on the similarity: `exp(logit_scale)` for the CLIP family, 1.0 where there is none); or
            with the methods of another protocol in `bench.models.contract` (`encode_clips`; `score`; `answer`).
        datasets: names of datasets.
        prompts: prompt sets; the default paper's by default.
        protocol: the input protocol, by name; `pixels` and `frames` by default.
        name: how tables call it; the name of its class by default.
        key: the name under which its outputs are kept in the store, to be changed by you whenever they change; none are kept
            where it is empty.
        size: side of its square input in pixels.
        pixels: how a picture becomes its input, as `[native.pixels]` of a card: `resize`, `resize_to`, `interpolation`, `mean`,
            `std`, ... By default squashed to the square, bilinear, and left in [0, 1].
        frames: which frames of a clip it sees, as `[native.frames]`.
        question: what a generator is asked, as `[question]`.
        similarity: `cosine`, times `logit_scale`, or the plain `dot` product.
        trained_on: names of datasets that it has seen; such a cell is marked.
        combine: how several prompts become one score; the prompt set's rule by default.
        out: the folder that the record's folder is made in.
        allow_missing: unreadable samples that each dataset may have.
        allow_counts: whether class counts may differ from the card's.
        session: an open session; one is opened with `**world`, as `open_session` takes it, where there is none.

    Raises:
        BenchError: the object is no model; a name that no card has; data that are not here.
    """
    session = session or open_session(**world)
    called = name or name_of(model)
    live = Live(model, called, size, pixels, frames, question, similarity, names(trained_on), key)
    request = Request((), (called,), names(datasets), names(prompts), protocol, combine)
    with with_live(session.world, live) as alive:
        machine = replace(session.machine, device=device_of(model))
        wanted = asked(request, alive.catalog)
        allow = Allowances(allow_missing, allow_counts)
        inner = Session(alive, lambda: machine, fill, session.progress)
        return inner.filled(wanted, False, out, allow, ["bench.evaluate", called])


def open_record(path: str | Path, *, cards: Places = (), data: Data = ()) -> Record:
    """Open a run's folder.

    Args:
        path: the folder.
        cards: folders with cards of your own that the run used.
        data: where datasets are, for the pictures of a report; as `open_session` takes it.

    Raises:
        BenchError: it is not a record, or not as it was written.
    """
    inner = records.open_record(Path(path))
    stated = [f"{name}={where}" for name, where in data.items()] if isinstance(data, Mapping) else _paths(data)
    settings = settings_of(inner, load_settings(data=[str(each) for each in stated]))
    return Record(inner, load_catalog(cards=cards), settings)


def score(
    predictions: str | Path | pd.DataFrame,
    *,
    dataset: str = "",
    classes: Names = (),
    aliases: str = "",
    answers: str = "",
    parser: str = "named",
    cards: Places = (),
) -> pd.DataFrame:
    """UAR and WAR of predictions that anyone made: a line for each group and fold, and its mean.

    Args:
        predictions: a CSV or Parquet file, or a data frame, with `label` and `prediction` (names or indices); optional are
            `dataset`, `fold`, `method`, `variant`, `prompt_set`, `seed`, `count`.
        dataset: the dataset of a file that does not say.
        classes: class names in the order of numbered labels; `card` takes the order of the dataset's card.
        aliases: a card of words that may stand for classes.
        answers: a column of texts to read classes from.
        parser: how they are read: `named` or `exact`.
        cards: folders with cards of your own.

    Raises:
        BenchError: a column is missing, or a word is not a class of its dataset.
    """
    import pandas as pd

    from bench.metrics.predictions import read_predictions, tidy
    from bench.scoring.file import Reading, score_file, stated_classes

    catalog = load_catalog(cards=cards)
    if isinstance(predictions, pd.DataFrame):
        named = predictions if "dataset" in predictions else predictions.assign(dataset=dataset or "predictions")
        frame, where = tidy(named, "the predictions", answers), "the predictions"
    else:
        frame, where = read_predictions(Path(predictions), dataset, answers), str(predictions)
    stated = stated_classes(",".join(names(classes)), list(frame["dataset"].unique()), catalog)
    reading = Reading(stated, catalog.aliases_of(aliases) if aliases else None, parser)
    rows = []
    for group in score_file(frame, catalog, reading, where)[0]:
        own = {
            "dataset": group.dataset,
            "method": group.method,
            "variant": group.variant,
            "prompt_set": group.prompt_set,
            "seed": group.seed,
        }
        rows += [{**own, "fold": fold.fold, "uar": fold.uar, "war": fold.war, "n": fold.n} for fold in group.folds]
        rows.append({**own, "fold": "mean", "uar": group.uar, "war": group.war, "n": group.n})
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def load_catalog(*, cards: Places = ()) -> Catalog:
    """All cards, built in and your own: methods, datasets, prompt sets, protocols, tables.

    Args:
        cards: folders with cards of your own.
    """
    return load([Path(path) for path in _paths(cards)])


def check_method(method: str, *, session: Session | None = None, **world: Any) -> list[Finding]:
    """Whether a method keeps the contract of `bench.models.contract`: one finding for each promise.

    Args:
        method: `NAME[:AXIS=VALUE]`.
        session: an open session; one is opened with `**world`, as `open_session` takes it, where there is none.

    Raises:
        BenchError: no such method, or its weights are not here.
    """
    from bench.conformance.suite import examine

    session = session or open_session(**world)
    name, axes = parse(method)
    variant = resolve(session.catalog.method(name), axes)
    return examine(variant, session.world.network(variant), session.catalog, session.machine.device)


def _paths(given: Places) -> list[str | Path]:
    return [given] if isinstance(given, (str, Path)) else list(given)
