"""What a run's `manifest.json` says, field by field; the one place where it is read.

A manifest of the schema before is brought up to this one; of a later one, or of anything else, nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from bench.cards.table_schema import TableCard
from bench.errors import BenchError

SCHEMA_VERSION = 2
NOTHING_RAN = "none: everything was stored"
SHOWN = 60


class Part(BaseModel):
    """A part of a manifest: an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Mark(Part):
    """A note that a table must print: of the whole run, or on the cells of a dataset, of a method, or of both."""

    note: str
    dataset: str = ""
    method: str = ""


class ChosenFacts(Part):
    """What the command changed about its tables; see `bench.plan.cells.Choices`."""

    methods: tuple[str, ...] = Field(default=(), strict=False)
    datasets: tuple[str, ...] = Field(default=(), strict=False)
    prompts: str = ""
    protocol: str = ""
    combine: str | None = None
    question: str = ""


class RowFacts(Part):
    """What fills a row: everything of a cell but its dataset and seed."""

    method: str
    variant: str
    prompt_set: str
    protocol: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The row's part of a cell's key."""
        return self.method, self.variant, self.prompt_set, self.protocol


class TableFacts(Part):
    """A table as it was run.

    Attributes:
        card: with the rows and columns that were asked for.
        path: the card's file.
        rows: row id -> what fills it.
    """

    card: TableCard = Field(strict=False)
    path: str
    rows: dict[str, RowFacts]

    def table(self) -> TableCard:
        """The card, which knows its file."""
        card = self.card.model_copy()
        card._path = Path(self.path)
        return card


class DatasetFacts(Part):
    """A dataset as it was.

    Attributes:
        root: its folder on the machine of the run.
        classes: names in the order of the labels.
        folds: fold -> number of samples.
        fingerprint: hash of the samples, their labels and their files' bytes.
        missing: sample -> why it could not be read; left out of the predictions.
        crops: what is known of face crops that were cut here, or None.
    """

    title: str
    root: str
    layout: str
    classes: tuple[str, ...] = Field(strict=False, min_length=1)
    folds: dict[str, int]
    fingerprint: str
    missing: dict[str, str] = {}
    crops: dict[str, Any] | None = None


class ServedFacts(Part):
    """A variant under a protocol that a network gave embeddings, scores or answers to."""

    variant: str
    protocol: str


class RepositoryFacts(Part):
    """A hub repository as it lay on the machine: its commit, empty where nothing states it, and the sha256 of each of its files."""

    repository: str
    revision: str
    files: dict[str, str]


class NetworkFacts(Part):
    """A network, and the pixels that it saw.

    Attributes:
        adapter: the class that ran it, and its `version`.
        environment: hash of the environment of its own, where it has one.
        options: keywords of the class.
        weights: role -> sha256; `files` has the paths.
        repositories: role -> hub repository, for weights that were named by it.
        dtype: precision of the towers, `compiled` where they went through `torch.compile`.
        protocol: the input protocol as a card states it.
        size: side of the input in pixels.
        artifact: its folder in the store.
    """

    method: str
    serves: list[ServedFacts]
    adapter: str
    version: str = ""
    environment: str = ""
    options: dict[str, Any]
    weights: dict[str, str]
    dtype: str
    compiled: bool = False
    protocol: dict[str, Any]
    size: int
    files: dict[str, str]
    repositories: dict[str, RepositoryFacts] = {}
    artifact: str


class HeadFile(Part):
    """A projection head's file; `seed` of its training is None where it was published."""

    seed: int | None
    file: str
    hash: str


class HeadFacts(Part):
    """What stands on the two sides of a comparison, and the files of the head."""

    image: str
    text: str
    files: list[HeadFile]


class MethodFacts(Part):
    """A variant's title, card file and head."""

    title: str
    card: str
    head: HeadFacts | None = None


class TrainingFacts(Part):
    """What heads were trained on, and variant -> the training as it was carried out."""

    dataset: str
    root: str
    pictures: int
    fingerprint: str
    trainings: dict[str, dict[str, Any]]


class PromptFacts(Part):
    """A prompt set as it was sent: class -> texts, and how several become one score; for a question: dataset -> question."""

    combine: str
    texts: dict[str, list[str]]


class DeviceFacts(Part):
    """What the run was told to use, and what it used.

    Attributes:
        asked: as torch calls it, or several as `cuda:0,1`.
        used: the name that the driver gives the device, or that nothing had to run; of several, each one's, and which failed.
        batch: inputs per forward pass; None where it was found for each group of networks (`batches`).
        workers: decoding threads, of several devices all together.
    """

    asked: str
    used: str
    batch: int | None = None
    workers: int | None = None


class MachineFacts(Part):
    """The machine: its system, its processor's name, its number of cores."""

    system: str = ""
    processor: str = ""
    cores: int | None = None


class BatchFacts(Part):
    """How many inputs went through a group's networks at a time, and whether that was measured."""

    networks: str
    batch: int
    measured: bool


class Manifest(Part):
    """A run's manifest.

    Attributes:
        schema_version: of this page; `schema` in the file.
        command: the words of the command line.
        began: when the run began, ended when its predictions were about to be written; ISO 8601, UTC.
        choices: what the command changed about the tables.
        tables: reference -> the table as it was run.
        details: lines that the tables show under each row.
        miniature: whether it ran in the embedded miniature's world.
        device: what it was told to use, and what it used.
        dtype: precision of the towers, `compiled` where they went through `torch.compile`.
        versions: package -> version.
        revision: of the checkout, with `+` behind it where files differed; empty outside a checkout.
        machine: where it ran.
        datasets: name -> the dataset as it was.
        networks: every network, and what it served.
        methods: variant -> its title, card and head.
        trainings: what heads were trained on in this run or before it.
        prompts: prompt set, or `method question-mode` -> the texts as sent.
        pixels: `dataset, protocol, size, geometry` -> hash of some samples' prepared pixels.
        encoded: method -> inputs that went through its tower in this run.
        batches: for each group of networks.
        seconds_in_towers: spent in forward passes of the vision sides.
        marks: what tables must print.
        warnings: what the user was told.
    """

    schema_version: int = Field(default=SCHEMA_VERSION, alias="schema")
    command: list[str]
    began: AwareDatetime = Field(strict=False)
    ended: AwareDatetime | None = Field(default=None, strict=False)
    choices: ChosenFacts = ChosenFacts()
    tables: dict[str, TableFacts]
    details: list[str] = []
    miniature: bool
    device: DeviceFacts
    dtype: str
    compiled: bool = False
    versions: dict[str, str]
    revision: str = ""
    machine: MachineFacts
    datasets: dict[str, DatasetFacts]
    networks: list[NetworkFacts]
    methods: dict[str, MethodFacts]
    trainings: list[TrainingFacts] = []
    prompts: dict[str, PromptFacts]
    pixels: dict[str, str] = {}
    encoded: dict[str, int] = {}
    batches: list[BatchFacts] = []
    seconds_in_towers: float = 0.0
    marks: list[Mark] = []
    warnings: list[str] = []

    def text(self) -> str:
        """The file's text."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False) + "\n"


def read_manifest(file: Path) -> Manifest:
    """Read a manifest.

    Raises:
        BenchError: it is not there, not JSON, of another program or a later schema, or a field is not what it must be;
            names the file and the field.
    """
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BenchError(
            f"{file.parent} is not a run's folder: it has no {file.name}", "name a folder below results/runs"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"{file} is not readable: {error}", "run it again") from error
    if not isinstance(facts, dict) or "schema" not in facts:
        raise BenchError(f"{file} is not a run's manifest: it states no `schema`", "name a folder below results/runs")
    version = facts["schema"]
    if isinstance(version, bool) or version not in (1, SCHEMA_VERSION):
        raise BenchError(
            f"{file} has schema {_quoted(version)}, this program reads 1 and {SCHEMA_VERSION}",
            "use the program that wrote it",
        )
    try:
        return Manifest.model_validate(upgraded(facts) if version == 1 else facts)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BenchError(
            f"{file}: {where}: {first['msg']} (found {_quoted(first['input'])})",
            "the file was changed or damaged: run it again",
        ) from error
    except RecursionError as error:
        raise BenchError(f"{file} is nested too deeply", "the file was changed or damaged: run it again") from error


def upgraded(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest of schema 1 as one of schema 2; what is not as it must be is left as it is, to be told by its name.

    Schema 1 called a network's `artifact` its `shelf` and the `trainings` `courses`, kept seconds since 1970, and did not
    know which device was really used.
    """
    new = {name: value for name, value in facts.items() if name not in ("machine_used", "courses")}
    new["schema"] = SCHEMA_VERSION
    began = facts.get("began")
    if isinstance(began, int | float) and not isinstance(began, bool) and 0 <= began < 1e11:
        new["began"] = datetime.fromtimestamp(began, UTC).isoformat()
    else:
        new["began"] = None
    used = facts.get("machine_used")
    new["device"] = (
        {
            "asked": used.get("device"),
            "used": "not recorded",
            **{name: used[name] for name in ("batch", "workers") if name in used},
        }
        if isinstance(used, Mapping)
        else used
    )
    new["networks"] = _renamed(facts.get("networks"), "shelf", "artifact")
    if "courses" in facts:
        new["trainings"] = _renamed(facts["courses"], "recipes", "trainings")
    return new


def _renamed(parts: Any, former: str, name: str) -> Any:
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        return parts
    return [
        {name if key == former else key: value for key, value in part.items()} if isinstance(part, Mapping) else part
        for part in parts
    ]


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
