"""One machine's world, opened: runs, plans, embeddings and predictions in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.record import Record
from bench.cards.catalog import Catalog
from bench.cards.prompt_schema import Combine
from bench.cards.variant import parse, resolve
from bench.engine.device_encoder import Machine
from bench.engine.fill import Executor, fill
from bench.errors import BenchError
from bench.plan.cells import Choices, Source, source_of
from bench.plan.cost import Cost
from bench.plan.plan import Plan as Work
from bench.plan.report import as_facts, as_text
from bench.plan.request import Asked, Request, asked
from bench.process.progress import Listener, heard_by
from bench.records.record import new_folder
from bench.run.checks import Allowances
from bench.run.session import Session as World
from bench.tables.record import write_files

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

Names = str | Sequence[str]
RUNS = Path("results/runs")


def names(given: Names) -> tuple[str, ...]:
    """One name, or several."""
    return (given,) if isinstance(given, str) and given else tuple(given)


@dataclass(frozen=True)
class Plan:
    """What a run will do: `print(plan)` shows it.

    Attributes:
        work: every artifact that is needed, and which are missing.
        cost: what it will take on this machine; None where nothing was measured.
    """

    work: Work
    cost: Cost | None = None

    def __str__(self) -> str:
        return as_text(self.work, self.cost)

    def facts(self) -> dict[str, Any]:
        """The same as JSON-able facts."""
        return as_facts(self.work, self.cost)


class Session:
    """One machine's world, and what may be used of the machine; `bench.open_session` opens it.

    Args:
        world: cards, settings, store.
        machine: devices, batch size, decoding workers.
        executor: what carries a plan out.
        progress: a function that is told (title, done, total); True for bars, False for none.
    """

    def __init__(
        self, world: World, machine: Callable[[], Machine], executor: Executor = fill, progress: Listener | bool = False
    ) -> None:
        self.world, self.progress = world, progress
        self._machine, self._executor = machine, executor

    @property
    def catalog(self) -> Catalog:
        """All cards."""
        return self.world.catalog

    @property
    def folders(self) -> tuple[str, ...]:
        """The names of the datasets that are folders without a card."""
        return tuple(self.world.folders)

    @property
    def machine(self) -> Machine:
        """What may be used of the machine; looking for a GPU takes seconds, so it is done when this is asked for."""
        return self._machine()

    def run(
        self,
        *,
        table: Names = (),
        methods: Names = (),
        datasets: Names = (),
        prompts: Names = (),
        protocol: str = "",
        combine: Combine | None = None,
        question: str = "",
        paper: bool = False,
        out: str | Path = RUNS,
        allow_missing: int = 0,
        allow_counts: bool = False,
    ) -> Record:
        """Fill tables of papers, or any methods on any datasets, and write the record.

        Args:
            table: one or several, as `[PAPER:]N`.
            methods: rows to keep, as `NAME` or `NAME:AXIS=VALUE`; `+NAME` adds one. Without a table, the rows.
            datasets: columns to keep or add. Without a table, the columns.
            prompts: prompt sets; one where a table is named.
            protocol: the input protocol of every cell; each method's own by default.
            combine: how several prompts become one score; the prompt set's rule by default.
            question: a question card for every generator; each one's own by default.
            paper: whether the paper's numbers stand beside ours; a method that the table has no row of is then added to it, and the
                table's own rows show the paper's numbers, without anybody else's weights.
            out: the folder that the record's folder is made in.
            allow_missing: unreadable samples that each dataset may have.
            allow_counts: whether class counts may differ from the card's.

        Raises:
            BenchError: a name that no card has; data or weights that are not here; a sample that cannot be read. What has been
                computed by then is in the store.
        """
        request = Request(
            names(table), names(methods), names(datasets), names(prompts), protocol, combine, paper, question
        )
        return self.filled(asked(request, self.catalog), paper, out, Allowances(allow_missing, allow_counts))

    def filled(
        self, wanted: Asked, paper: bool, out: str | Path, allow: Allowances, command: Sequence[str] = ()
    ) -> Record:
        """`run`, of a request whose names have been looked up; the manifest says which command it was."""
        from bench.run.run import run

        refs = [f"table{ref.replace(':', '-')}" for ref in wanted.tables if ref != "run"]
        label = "-".join(("mini",) * self.world.settings.miniature + tuple(refs)) or "run"
        with heard_by(self.progress):
            record = run(
                self.world,
                wanted.tables,
                wanted.choices,
                self.machine,
                allow,
                new_folder(Path(out), label),
                command or ["bench", *sys.argv[1:]],
                details=("paper", "difference") if paper else (),
                executor=self._executor,
            )
        write_files(record, self.catalog)
        return Record(record, self.catalog, self.world.settings)

    def plan(
        self,
        *,
        table: Names = (),
        methods: Names = (),
        datasets: Names = (),
        prompts: Names = (),
        protocol: str = "",
        combine: Combine | None = None,
        question: str = "",
        paper: bool = False,
        measure: bool = True,
    ) -> Plan:
        """What `run` with the same arguments would do, and what it would take; nothing is run.

        Args:
            measure: whether a few seconds of each network are timed; remembered beside the store.

        Raises:
            BenchError: a name that no card has.
        """
        from bench.engine.pace import expected
        from bench.run.planner import plan

        request = Request(
            names(table), names(methods), names(datasets), names(prompts), protocol, combine, paper, question
        )
        work = plan(self.world, asked(request, self.catalog).cells(self.catalog))
        with heard_by(self.progress):
            cost = expected(work, self.world.store, self.machine) if measure and self._executor is fill else None
        return Plan(work, cost)

    def embed(
        self,
        inputs: Iterable[str | Path] = (),
        *,
        method: str,
        texts: Sequence[str] = (),
        protocol: str = "",
        projected: bool = False,
        detector: str = "",
    ) -> npt.NDArray[Any]:
        """Embeddings `[len(inputs) + len(texts), D]` of pictures, videos or folders of frames, and of texts; nothing is stored.

        Args:
            inputs: files and folders.
            method: `NAME[:AXIS=VALUE]`, a dual encoder.
            texts: texts.
            protocol: input protocol; the card's by default.
            projected: whether the method's head is put on.
            detector: the face detector that cuts faces out first; none sees pictures whole.

        Raises:
            BenchError: nothing to embed, or no such method; a file cannot be read.
        """
        import numpy as np

        from bench.run.embed import embed_media, embed_texts
        from bench.run.single_files import opened

        paths = [Path(path) for path in inputs]
        if not paths and not texts:
            raise BenchError("nothing to embed", "name files, or give --text")
        source, machine = self.source(method, protocol=protocol), self.machine
        rows = []
        if paths:
            with opened(self.world, paths, detector) as media:
                rows.append(
                    embed_media(
                        self.world, source, media, device=machine.device, batch=machine.batch, projected=projected
                    )
                )
        if texts:
            rows.append(embed_texts(self.world, source, texts, device=machine.device, projected=projected))
        return np.concatenate(rows)

    def predict(
        self,
        inputs: Iterable[str | Path],
        *,
        method: str,
        classes: Names,
        prompts: str = "",
        protocol: str = "",
        detector: str = "",
    ) -> pd.DataFrame:
        """Class probabilities of pictures, videos or folders of frames: a line for each, a column for each class.

        Args:
            inputs: files and folders.
            method: `NAME[:AXIS=VALUE]`.
            classes: a dataset whose classes to use, or class words.
            prompts: prompt set; the method's by default.
            protocol: input protocol; the card's by default.
            detector: as in `embed`.

        Raises:
            BenchError: no input; no such method, dataset or prompt set; a file cannot be read.
        """
        import pandas as pd

        from bench.run.embed import probabilities
        from bench.run.single_files import opened

        paths = [Path(path) for path in inputs]
        if not paths:
            raise BenchError("nothing to look at", "name pictures, videos or folders of frames")
        source, machine = self.source(method, prompts, protocol), self.machine
        words = self._classes(classes)
        with opened(self.world, paths, detector) as media:
            table = probabilities(self.world, source, media, words, device=machine.device, batch=machine.batch)
        return pd.DataFrame(table, index=[str(path) for path in paths], columns=list(words))

    def _classes(self, given: Names) -> Sequence[str]:
        """The classes of a dataset, or words."""
        words = names(given)
        if len(words) > 1:
            return words
        return self.catalog.dataset(words[0] if words else "").classes

    def source(self, method: str, prompts: str = "", protocol: str = "") -> Source:
        """A method's variant under a prompt set and a protocol; its own ones by default.

        Raises:
            UnknownName: no card has that name.
        """
        name, axes = parse(method)
        return source_of(resolve(self.catalog.method(name), axes), prompts, protocol, self.catalog, Choices())

    def doctor(
        self, names: Sequence[str] = (), *, look: bool = True, contact_sheet: Path | None = None, detector: str = ""
    ) -> dict[str, Any]:
        """What is here, what is missing and how to get it; see `bench.run.doctor.state_of`.

        Args:
            names: datasets and methods; all of them by default.
            look: whether faces are looked for in a few pictures of each dataset.
            contact_sheet: a folder for a page of forty samples of each dataset.
            detector: which face detector looks.

        Raises:
            UnknownName: neither a dataset nor a method has that name.
        """
        from bench.run.doctor import FaceLook, state_of

        return state_of(self.world, names, FaceLook(self.world, detector, look, contact_sheet))
