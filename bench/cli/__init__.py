"""The command line. Commands are imported when they are called, so that `bench --help` answers at once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

import bench

# name -> (module, attribute, one line of help); the help is repeated here so that listing imports nothing.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "list": (
        "bench.cli.cards",
        "list_cards",
        "What there is: methods, datasets, tables, figures, prompt sets, questions, protocols, face detectors.",
    ),
    "show": ("bench.cli.cards", "show", "One card, with every fact in it."),
    "new": (
        "bench.cli.new",
        "new",
        "Write a card to start from: a method, dataset, prompt set, question, paper or table.",
    ),
    "check-card": (
        "bench.cli.check_card",
        "check_card",
        "Whether a card can be used: what is wrong with it, line by line.",
    ),
    "schema": (
        "bench.cli.check_card",
        "schema",
        "What cards may say, as JSON schemas, so that editors help to write them.",
    ),
    "check-plugin": (
        "bench.cli.check_plugin",
        "check_plugin",
        "Whether a method keeps the contract; for one of your own.",
    ),
    "doctor": ("bench.cli.doctor", "doctor", "What is here, what is missing, how to get it; checks the class counts."),
    "fetch": ("bench.cli.fetch", "fetch", "Download a method's weights; the only command that uses the network."),
    "prepare": ("bench.cli.prepare", "prepare", "Cut face crops of a dataset that comes as whole scenes."),
    "train": ("bench.cli.train", "train", "Train a method's heads as its card states, and store them."),
    "run": ("bench.cli.run", "run", "Fill a table, or any methods x datasets, and write the record."),
    "table": ("bench.cli.table", "table", "Render a table again, from records."),
    "report": ("bench.cli.report", "report", "A record as one HTML page: tables, and what is behind every number."),
    "figure": ("bench.cli.figure", "figure", "A figure of the paper: feature maps, confusion matrices, probabilities."),
    "score": ("bench.cli.score", "score", "UAR and WAR of a predictions file that anyone made."),
    "verify": ("bench.cli.gate", "verify", "Recompute every number of a record from its predictions."),
    "compare": ("bench.cli.gate", "compare", "What moved between two records, and which samples flipped."),
    "check": ("bench.cli.gate", "check", "The regression gate: fail when a number moved from the golden ones."),
    "audit": ("bench.cli.audit", "audit", "Whether a paper's printed numbers, or a run's, can be right."),
    "power": (
        "bench.cli.power",
        "power",
        "How small a difference each test set can show, and how many samples one needs.",
    ),
    "embed": ("bench.cli.embed", "embed", "Embeddings of any images, clips or texts, to a file."),
    "predict": ("bench.cli.embed", "predict", "Class probabilities of an image or a clip."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and help, and imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command itself."""
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Adds the near names to click's own error."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from bench.errors import UnknownName

            raise UnknownName("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


def _version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    """What a report of an error should begin with."""
    if not wanted or context.resilient_parsing:
        return
    import platform
    from importlib import metadata

    from bench.engine.devices import best, device_name

    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = "none"
    device = best()
    click.echo(
        f"fer-bench {bench.__version__}, Python {platform.python_version()}, torch {torch}, {device}: {device_name(device)}"
    )
    context.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show versions and the device, and exit.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say more: each line with its time and where it comes from.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors, and show no progress.")
@click.pass_context
def cli(context: click.Context, *, verbose: bool, quiet: bool) -> None:
    """Benchmark for zero-shot facial expression recognition.

    One command fills a table:  bench run --table 2 --mini

    Exit codes: 0 well, 1 a check failed, 2 what was asked for cannot be done.
    """
    from bench.cli.messages import messages

    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet are opposites; give one of them", context)
    context.with_resource(messages(verbose=verbose, quiet=quiet))


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point: user errors become one message and exit code 2; what is written is safe for a terminal."""
    from bench.process.terminal import shown

    with shown():
        sys.exit(_called(argv))


def _called(argv: Sequence[str] | None) -> int:
    from bench.errors import BenchError

    try:
        result = cli.main(args=None if argv is None else list(argv), prog_name="bench", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("stopped; what was computed is kept", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except BenchError as error:
        click.echo(f"bench: {error}", err=True)
        return 2
    except BrokenPipeError:
        return 0
    except OSError as error:
        # Whatever is the system's no to a path: rooms that know more about it have said it before.
        place = error.filename2 or error.filename
        said = error.strerror or str(error)
        click.echo(f"bench: {said if place is None else f'{place}: {said}'}", err=True)
        click.echo("  fix: name a place that can be read and written, with room on its disk", err=True)
        return 2
    return result if isinstance(result, int) else 0
