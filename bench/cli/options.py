"""Options that several commands share, and the session they open."""

from __future__ import annotations

import logging
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bench.errors import BenchError
from bench.models.precision import PRECISIONS

if TYPE_CHECKING:
    from bench.api.session import Session as Door
    from bench.cards.catalog import Catalog
    from bench.cards.hub_name import HubName
    from bench.cards.method_schema import MethodCard
    from bench.cards.question_schema import Question
    from bench.engine.fill import Executor
    from bench.run.session import Session

NARROWEST = 12

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])
FOLDER = click.Path(path_type=Path, file_okay=False)

cards = click.option("--cards", type=FOLDER, multiple=True, metavar="DIR", help="A folder with cards of your own.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
data = click.option(
    "--data", multiple=True, metavar="[NAME=]PATH", help="A dataset's root, or a folder with one folder per dataset."
)
dtype = click.option(
    "--dtype", type=click.Choice(PRECISIONS), default="float32", show_default=True, help="Precision of the towers."
)
device = click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ...")
devices = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="cpu, cuda, cuda:1, ...; several GPUs of this machine share the work as cuda:0,1 or cuda:all.",
)


def world(command: F) -> F:
    """Options that say where things are."""
    options = (
        cards,
        click.option("--mini", is_flag=True, help="The embedded miniature: no data and no weights needed."),
        data,
        click.option("--weights", type=FOLDER, multiple=True, metavar="DIR", help="A folder with checkpoints."),
        click.option("--store", type=FOLDER, metavar="DIR", help="Where embeddings are kept."),
    )
    for option in reversed(options):
        command = option(command)
    return command


class Named(click.types.StringParamType):
    """Names of cards of some kinds, several at once; a shell completes them (`docs/commands.md`).

    Args:
        kinds: attributes of the catalog, or `tables`.
    """

    name = "names"

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """The names that go on from what is typed, behind its last comma."""
        from click.shell_completion import CompletionItem

        from bench.cards.catalog import load

        catalog = load(ctx.params.get("cards") or ())
        known: list[str] = []
        for kind in self._kinds:
            if kind == "tables":
                known += [paper.ref(name) for paper in catalog.papers.values() for name in paper.tables]
            else:
                known += getattr(catalog, kind)
        before, comma, begun = incomplete.rpartition(",")
        sign = "+" if begun.startswith("+") else ""
        return [
            CompletionItem(f"{before}{comma}{sign}{name}")
            for name in known
            if name.startswith(begun.removeprefix(sign))
        ]


class BatchSize(click.IntRange):
    """A whole number from 1, or `auto`, which is None."""

    name = "integer or auto"

    def __init__(self) -> None:
        super().__init__(1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or None."""
        return None if value == "auto" else super().convert(value, param, ctx)


def compute(command: F) -> F:
    """Options that say how the networks run; beside `device` or `devices`."""
    options = (
        dtype,
        click.option(
            "--batch",
            type=BatchSize(),
            default="auto",
            show_default=True,
            help="Inputs a forward pass; auto is 64 on a CPU, and measured on a GPU.",
        ),
        click.option("--workers", type=click.IntRange(1), default=None, help="Decoding threads; as many as cores."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def executor(command: F) -> F:
    """Options that say where the networks run."""
    options = (
        click.option(
            "--executor",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="This machine, or a Ray cluster.",
        ),
        click.option("--address", default="", metavar="HOST:PORT", help="A running Ray cluster; none starts one here."),
        click.option(
            "--gpus",
            type=click.FloatRange(0, min_open=True),
            default=1.0,
            show_default=True,
            help="Share of a GPU that a Ray worker takes.",
        ),
        click.option(
            "--replicas", type=click.IntRange(0), default=0, help="Ray workers; as many as the cluster has room for."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def executor_of(name: str, address: str, gpus: float, replicas: int) -> Executor:
    """What carries a plan out.

    Raises:
        BenchError: an option of a cluster without one.
    """
    from bench.engine.fill import fill

    if name == "local":
        if address or replicas or gpus != 1:
            raise BenchError("--address, --gpus and --replicas are for a cluster", "add --executor ray")
        return fill
    from bench.engine.ray.driver import OnRay

    return OnRay(address, gpus, replicas)


def devices_of(name: str, *, here: bool = True) -> tuple[str, ...]:
    """The devices that a name means, each as torch calls it; `auto` is the GPU where there is one.

    Args:
        here: whether they are this machine's; of a cluster's nothing is known here.

    Raises:
        BenchError: there is no such device, or not on this machine.
    """
    from bench.engine import devices as known

    return known.devices_of(name, here=here)


def device_of(name: str, command: str) -> str:
    """`devices_of`, for a command that works on one device.

    Raises:
        BenchError: there is no such device, not on this machine, or there are several.
    """
    first, *others = devices_of(name)
    if others:
        raise BenchError(f"--device {name}: bench {command} works on one device", f"use --device {first}")
    return first


def open_catalog(folders: Sequence[Path]) -> Catalog:
    """All cards; what is broken is said, once."""
    from bench.cards.catalog import load

    catalog = load(folders)
    for broken in catalog.broken:
        log.warning("broken card, left out: %s: %s", broken.path, broken.reason)
    catalog.hub = _hub_card
    return catalog


def _hub_card(name: HubName, question: Question | None) -> MethodCard:
    from bench.models.hub import method_card
    from bench.settings import load

    return method_card(name, question, settings=load())


def open_session(world: Mapping[str, Any], **compute: Any) -> Session:
    """The machine's world that the options of `world` and some of `compute` describe."""
    from bench.run.session import open_session as opened

    return opened(**world, **compute)


def open_door(world: Mapping[str, Any], **compute: Any) -> Door:
    """The same with what may be used of the machine: what every command that runs something works with."""
    import bench

    return bench.open_session(**world, **compute)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A path to write what a command makes to; `path` becomes it whole or not at all.

    Raises:
        BenchError: it cannot be written there.
    """
    from bench.store.files import whole_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as beside:
            yield beside
    except OSError as error:
        raise BenchError(
            f"{path} could not be written: {error.strerror or error}", "free some space, or name another --to"
        ) from error


def write(path: Path, text: str) -> None:
    """Write a text that a command makes, whole or not at all.

    Raises:
        BenchError: it cannot be written there.
    """
    with writing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def fitted(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as wide as the terminal at most: the widest columns are folded first."""
    from tabulate import tabulate

    room = shutil.get_terminal_size((100, 24)).columns
    widths = [max([len(heading) + 2, *(len(row[at]) for row in rows)]) for at, heading in enumerate(headings)]
    while sum(widths) + 2 * (len(widths) - 1) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    folded = [
        ["\n".join(textwrap.wrap(text, width) or [""]) for text, width in zip(row, widths, strict=True)] for row in rows
    ]
    return tabulate(folded, headings, disable_numparse=True)


def split_names(values: Sequence[str]) -> list[str]:
    """Names given several times or joined by spaces; commas part names too, but not the axes behind a colon."""
    names: list[str] = []
    for value in values:
        for part in value.split():
            pieces = part.split(",")
            joined = [pieces[0]]
            for piece in pieces[1:]:
                if "=" in piece and ":" in joined[-1] and ":" not in piece:
                    joined[-1] += f",{piece}"
                else:
                    joined.append(piece)
            names += [piece for piece in joined if piece]
    return names
