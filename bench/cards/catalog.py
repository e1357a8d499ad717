"""Finding cards and keeping them apart: built-in folders, `--cards DIR`, and the entry-point group `bench.cards`.

Every file is read on its own: one that cannot be used is listed as broken with its reason and takes no other with it.
A plug-in never shadows a built-in name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from bench.cards.aliases_schema import AliasesCard
from bench.cards.claims_schema import Claim, ClaimsCard, RunsClaim, SizeClaim
from bench.cards.dataset_schema import Counts, DatasetCard
from bench.cards.detector_schema import DetectorCard
from bench.cards.figure_schema import FigureCard
from bench.cards.hub_name import HubName, hub_name
from bench.cards.method_schema import MethodCard
from bench.cards.problems import Problem, problems_of
from bench.cards.prompt_schema import PromptCard
from bench.cards.protocol_schema import ProtocolCard
from bench.cards.question_schema import Question, QuestionCard, Wording
from bench.cards.table_schema import PaperCard, TableCard
from bench.cards.toml_file import read_toml
from bench.cards.variant import check_axes, merged
from bench.errors import BenchError, UnknownName

ENTRY_POINTS = "bench.cards"
BUILT_IN_FOLDERS = ("baselines", "methods", "datasets", "results/paper")
# What speaks of the method itself, and not of how it is run; everything else is taken over from the card that it extends.
OWN = {"kind", "name", "title", "source", "page", "licence", "extends", "unknowns", "notes"}
NOT_CARDS = {"pyproject.toml", "bench.toml", "uv.lock"}

AnyCard = (
    MethodCard
    | DatasetCard
    | DetectorCard
    | AliasesCard
    | PromptCard
    | QuestionCard
    | ProtocolCard
    | TableCard
    | PaperCard
    | ClaimsCard
    | FigureCard
)
SCHEMAS: dict[str, type[AnyCard]] = {
    "method": MethodCard,
    "dataset": DatasetCard,
    "detector": DetectorCard,
    "aliases": AliasesCard,
    "prompts": PromptCard,
    "question": QuestionCard,
    "protocol": ProtocolCard,
    "table": TableCard,
    "paper": PaperCard,
    "claims": ClaimsCard,
    "figure": FigureCard,
}
# A paper is admitted before its tables, and these before what is claimed of them.
ORDER = {"table": 1, "figure": 1, "claims": 2}

T = TypeVar("T")


@dataclass(frozen=True)
class BrokenCard:
    """A card, or a whole plug-in, that cannot be used; with what its schema found wrong, where that is the reason."""

    path: str
    reason: str
    problems: tuple[Problem, ...] = ()


@dataclass
class Paper:
    """A paper's card, its tables by the name that `--table` takes, what its text claims of them, and its figures."""

    card: PaperCard
    tables: dict[str, TableCard] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    figures: dict[str, FigureCard] = field(default_factory=dict)

    def ref(self, name: str) -> str:
        """What the command line calls a table or figure: its name, after the paper's where that is not the default one."""
        return name if self.card.default else f"{self.card.name}:{name}"


@dataclass
class Catalog:
    """All cards that were found, by kind and name, and all that are broken.

    Attributes:
        hub: makes the card of a method that is named by its hub repository, given what a generator is asked; whoever opens the
            catalog says where such folders lie.
    """

    methods: dict[str, MethodCard] = field(default_factory=dict)
    datasets: dict[str, DatasetCard] = field(default_factory=dict)
    prompts: dict[str, PromptCard] = field(default_factory=dict)
    questions: dict[str, QuestionCard] = field(default_factory=dict)
    protocols: dict[str, ProtocolCard] = field(default_factory=dict)
    detectors: dict[str, DetectorCard] = field(default_factory=dict)
    aliases: dict[str, AliasesCard] = field(default_factory=dict)
    papers: dict[str, Paper] = field(default_factory=dict)
    origins: dict[tuple[str, str], str] = field(default_factory=dict)
    broken: list[BrokenCard] = field(default_factory=list)
    hub: Callable[[HubName, Question | None], MethodCard] | None = None

    def method(self, name: str) -> MethodCard:
        """The method card of that name, or the one made of the hub repository `hf:ORG/NAME`.

        Raises:
            UnknownName: there is none, with the near ones.
            BenchError: the repository is not here, or its files do not say all that a card must.
        """
        named = None if name in self.methods or self.hub is None else hub_name(name)
        if named is not None and self.hub is not None:
            stated = next((paper.card.question for paper in self.papers.values() if paper.card.default), "")
            asked = Question(card=stated, **self.question(stated).wording) if stated else None
            self.methods[name] = card = self.hub(named, asked)
            self.origins["method", name] = str(card.path.parent)
        return _named("method", name, self.methods)

    def dataset(self, name: str) -> DatasetCard:
        """The dataset card of that name; raises `UnknownName` with the near ones."""
        return _named("dataset", name, self.datasets)

    def detector(self, name: str = "") -> DetectorCard:
        """The face detector of that name; without a name the one whose card says `default`."""
        if name:
            return _named("face detector", name, self.detectors)
        for card in self.detectors.values():
            if card.default:
                return card
        raise BenchError("no face detector is marked as the default", "name one, as in --detector NAME")

    def prompt_set(self, name: str) -> PromptCard:
        """The prompt set of that name; raises `UnknownName` with the near ones."""
        return _named("prompt set", name, self.prompts)

    def question(self, name: str) -> QuestionCard:
        """The question of that name; raises `UnknownName` with the near ones."""
        return _named("question", name, self.questions)

    def aliases_of(self, name: str) -> AliasesCard:
        """The card of synonyms of that name; raises `UnknownName` with the near ones."""
        return _named("card of aliases", name, self.aliases)

    def prompts_of(self, card: MethodCard) -> str:
        """The name of the prompt set that a method has of its own, or the default paper's.

        Raises:
            BenchError: neither states one.
        """
        stated = card.prompts or next((paper.card.prompts for paper in self.papers.values() if paper.card.default), "")
        if not stated:
            raise BenchError(
                f"{card.name} names no prompt set, nor does a default paper", "state `prompts` in its card"
            )
        return stated

    def paper(self, name: str = "") -> Paper:
        """The paper of that name; without a name the one whose card says `default`."""
        if name:
            return _named("paper", name, self.papers)
        for paper in self.papers.values():
            if paper.card.default:
                return paper
        raise BenchError("no paper is marked as the default", "name one, as in --table NAME:1")

    def expect(self, counts: Mapping[str, Mapping[str, tuple[int, ...]]]) -> None:
        """Expect other class counts than the cards state: dataset -> fold -> samples per class (the miniature's)."""
        for name, folds in counts.items():
            card = self.datasets[name]
            changed = card.model_copy(update={"counts": {"evaluated": Counts(folds=dict(folds))}})
            changed._path = card.path
            self.datasets[name] = changed

    def table(self, ref: str) -> tuple[Paper, TableCard]:
        """The table that `--table REF` means: `1` of the default paper, or `NAME:1` of another."""
        paper_name, _, table_name = ref.rpartition(":")
        paper = self.paper(paper_name)
        return paper, _named(f"table of {paper.card.name}", table_name, paper.tables)

    def figure(self, ref: str) -> FigureCard:
        """The figure that `bench figure REF` means: `3` of the default paper, or `NAME:3` of another."""
        paper_name, _, figure_name = ref.rpartition(":")
        paper = self.paper(paper_name)
        return _named(f"figure of {paper.card.name}", figure_name, paper.figures)


def _named(kind: str, name: str, cards: Mapping[str, T]) -> T:
    if name in cards:
        return cards[name]
    folded = {key.lower(): key for key in cards}
    if name.lower() in folded:
        return cards[folded[name.lower()]]
    raise UnknownName(kind, name, cards)


def built_in_root() -> Path:
    """Where the built-in card folders lie: inside an installed wheel, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_cards"
    return inside if inside.is_dir() else package.parent


def load(extra: Sequence[Path] = ()) -> Catalog:
    """Read every card there is.

    Args:
        extra: folders named by the user; searched recursively.

    Raises:
        BenchError: a named folder does not exist. A broken card is not raised but listed.
    """
    catalog = Catalog()
    raws = [raw for folder in BUILT_IN_FOLDERS for raw in _read_folder(built_in_root() / folder, "built-in", catalog)]
    for folder in extra:
        if not folder.is_dir():
            raise BenchError(f"--cards {folder}: there is no such folder", "name the folder that holds your cards")
        raws += _read_folder(folder, str(folder), catalog)
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        raws += _read_folder(_entry_folder(entry, catalog), f"entry point {entry.name}", catalog)
    _admit(raws, catalog)
    return catalog


@dataclass(frozen=True)
class _Raw:
    """A TOML file that names its kind, not yet validated."""

    path: Path
    origin: str
    facts: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.facts["kind"])

    @property
    def name(self) -> str:
        return str(self.facts.get("name", self.path.stem))


def _entry_folder(entry: metadata.EntryPoint, catalog: Catalog) -> Path | None:
    """The folder of an installed plug-in, found without running the plug-in's code."""
    import importlib.util

    try:
        spec = importlib.util.find_spec(entry.module)
    except Exception as error:  # a package around the folder is imported for it, and may fail in any way
        catalog.broken.append(BrokenCard(f"entry point {entry.name}", f"{entry.value}: {error}"))
        return None
    if spec is None or not spec.submodule_search_locations:
        catalog.broken.append(BrokenCard(f"entry point {entry.name}", f"{entry.value} is not an installed package"))
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _read_folder(folder: Path | None, origin: str, catalog: Catalog) -> list[_Raw]:
    raws: list[_Raw] = []
    if folder is None:
        return raws
    for path in _toml_files(folder):
        try:
            facts = read_toml(path)
        except BenchError as error:
            catalog.broken.append(BrokenCard(str(path), error.what))
            continue
        kind = facts.get("kind")
        if not isinstance(kind, str) or kind not in SCHEMAS:
            found = "has no `kind`" if kind is None else f"kind = {kind!r} is not a kind of card"
            catalog.broken.append(BrokenCard(str(path), f"{found}; expected one of {', '.join(SCHEMAS)}"))
            continue
        raws.append(_Raw(path, origin, facts))
    return raws


def _toml_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.toml")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.name not in NOT_CARDS and not hidden:
            yield path


def _admit(raws: Sequence[_Raw], catalog: Catalog) -> None:
    methods = {raw.name: raw for raw in reversed(raws) if raw.kind == "method"}
    questions = {raw.name: raw for raw in reversed(raws) if raw.kind == "question"}
    papers: dict[Path, Paper] = {}
    for raw in sorted(raws, key=lambda raw: ORDER.get(raw.kind, 0)):
        try:
            card = _validate(raw, methods, questions)
            _keep(card, raw, catalog, papers)
        except ValidationError as error:
            problems = problems_of(error, SCHEMAS[raw.kind])
            catalog.broken.append(BrokenCard(str(raw.path), "; ".join(each.says for each in problems), problems))
        except BenchError as error:
            catalog.broken.append(BrokenCard(str(raw.path), str(error)))
        except (ValueError, ArithmeticError, RecursionError, OSError) as error:  # facts that no schema foresees
            catalog.broken.append(BrokenCard(str(raw.path), f"{type(error).__name__}: {error}"))


def _validate(raw: _Raw, methods: Mapping[str, _Raw], questions: Mapping[str, _Raw]) -> AnyCard:
    if raw.kind == "method":
        facts = _with_wording(_with_base(raw, methods, ()), questions)
    else:
        facts = _anchored(raw.facts, raw.path.parent)
    card = SCHEMAS[raw.kind].model_validate({"name": raw.path.stem, **facts})
    card._path = raw.path
    if isinstance(card, MethodCard):
        check_axes(card)
    return card


def _with_base(raw: _Raw, methods: Mapping[str, _Raw], seen: tuple[str, ...]) -> dict[str, Any]:
    """The card's facts on top of those of the card it extends."""
    own = _anchored(raw.facts, raw.path.parent)
    base_name = own.get("extends", "")
    if not base_name:
        return own
    if not isinstance(base_name, str):
        raise BenchError(f"extends = {base_name!r} is not a name", "name the method whose facts are taken over first")
    if base_name in (*seen, raw.name):
        raise BenchError(f"extends = {base_name!r} leads back to itself", "extend a card that stands on its own")
    if base_name not in methods:
        raise UnknownName("method to extend", base_name, methods)
    base = _with_base(methods[base_name], methods, (*seen, raw.name))
    inherited = {key: value for key, value in base.items() if key not in OWN}
    return merged(inherited, own)


def _with_wording(facts: dict[str, Any], questions: Mapping[str, _Raw]) -> dict[str, Any]:
    """The facts with the words of the question card that they name."""
    question = facts.get("question")
    if not isinstance(question, dict) or not question.get("card"):
        return facts
    name = question["card"]
    if name not in questions:
        raise UnknownName("question", str(name), questions)
    words = {key: questions[name].facts[key] for key in Wording.model_fields if key in questions[name].facts}
    return {**facts, "question": {**words, **question}}


def _anchored(facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Turns `adapter = "file.py:Class"` into an absolute path, so that an extending card elsewhere finds it."""
    if isinstance(facts.get("adapter"), str):
        return {**facts, **_anchored({"encoder": {"adapter": facts["adapter"]}}, folder)["encoder"]}
    encoder = facts.get("encoder")
    if not isinstance(encoder, dict) or not isinstance(encoder.get("adapter"), str):
        return facts
    file, _, name = encoder["adapter"].rpartition(":")
    if not file.endswith(".py"):
        return facts
    return {**facts, "encoder": {**encoder, "adapter": f"{(folder / file).resolve()}:{name}"}}


def _keep(card: AnyCard, raw: _Raw, catalog: Catalog, papers: dict[Path, Paper]) -> None:
    if isinstance(card, TableCard | ClaimsCard | FigureCard):
        paper = papers.get(raw.path.parent)
        if paper is None:
            raise BenchError(
                f"a {raw.kind} card lies beside its paper.toml, and there is none", "add one with kind = 'paper'"
            )
        if isinstance(card, TableCard):
            _claim(paper.tables, card, raw, catalog)
        elif isinstance(card, FigureCard):
            _claim(paper.figures, card, raw, catalog)
        else:
            _state(paper, card, catalog)
        return
    by_kind: dict[str, dict[str, Any]] = {
        "method": catalog.methods,
        "dataset": catalog.datasets,
        "prompts": catalog.prompts,
        "question": catalog.questions,
        "protocol": catalog.protocols,
        "detector": catalog.detectors,
        "aliases": catalog.aliases,
    }
    if isinstance(card, PaperCard):
        papers[raw.path.parent] = paper = Paper(card)
        taken = catalog.papers.setdefault(card.name, paper)
        if taken is not paper:
            raise BenchError(f"the paper {card.name!r} is {taken.card.path} already", "give yours another name")
        catalog.origins["paper", card.name] = raw.origin
        return
    if isinstance(card, ProtocolCard) and card.name == "native":
        raise BenchError("'native' is what each method's own card prescribes", "give the protocol another name")
    _claim(by_kind[raw.kind], card, raw, catalog)


def _state(paper: Paper, card: ClaimsCard, catalog: Catalog) -> None:
    """Take over a paper's claims, if all that they name is there."""
    if paper.claims:
        raise BenchError(f"the paper {paper.card.name!r} has a claims card already", "keep one of the two")
    for claim in card.claims:
        where = f"claim {claim.id!r}"
        if isinstance(claim, SizeClaim):
            catalog.dataset(claim.dataset)
        elif isinstance(claim, RunsClaim):
            for method in claim.methods:
                if not any(row.method == method for table in paper.tables.values() for row in table.rows):
                    raise BenchError(f"{where}: no table has a row of {method!r}", "name a method that fills a row")
        else:
            table = _named(f"table of {paper.card.name}", claim.table, paper.tables)
            ids = [row.id for row in table.rows if row.shown]
            for name in (*claim.rows, *getattr(claim, "than", ())):
                if name not in ids:
                    raise BenchError(f"{where}: {UnknownName(f'row of table {table.name}', name, ids)}")
            for dataset in claim.datasets:
                if dataset not in table.datasets:
                    raise UnknownName(f"dataset of table {table.name}", dataset, table.datasets)
    paper.claims = card.claims


def _claim(known: dict[str, Any], card: AnyCard, raw: _Raw, catalog: Catalog) -> None:
    if card.name in known:
        taken = known[card.name].path
        raise BenchError(f"the {raw.kind} name {card.name!r} is taken by {taken}", "give yours another name")
    known[card.name] = card
    catalog.origins[raw.kind, card.name] = raw.origin
