"""Whether the command line would take a call, without running it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from bench.cards.catalog import load
from bench.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[1]
# Programs of others, whose options are theirs.
FOREIGN = ("$EDITOR", ".", ".venv/bin/pytest", "cd", "git", "python", "sbatch")
CHECKED = (click.Choice, click.IntRange, click.FloatRange)


def check(command: str) -> str | None:
    """Why a command would be refused, or None: a command, option or choice that is not there, an extra, a make target."""
    words = shlex.split(command, comments=True)
    while words and re.match(r"\w+=", words[0]):
        words.pop(0)
    if not words or words[0] in FOREIGN:
        return None
    program, *rest = words
    if program == "bench":
        return _refused(rest, command)
    if program == "make":
        return next((f"make has no target {word}" for word in rest if not _is_target(word)), None)
    if program == "pip":
        asked = re.findall(r"fer-bench\[([\w,]+)\]", command)
        unknown = [extra for extra in ",".join(asked).split(",") if extra and extra not in _extras()]
        return f"there is no extra {unknown}" if unknown else None
    return f"{program!r} is neither ours nor one of {', '.join(FOREIGN)}"


def options() -> set[str]:
    """Every option of every command, and the axes that `bench train` takes for options."""
    context = click.Context(cli)
    found = {name for parameter in cli.get_params(context) for name in parameter.opts}
    for name in COMMANDS:
        command = _command(name)
        found |= {opt for parameter in command.get_params(click.Context(command)) for opt in parameter.opts}
        found |= {opt for parameter in command.get_params(click.Context(command)) for opt in parameter.secondary_opts}
    return found | {f"--{axis}" for card in load().methods.values() for axis in card.axes}


def _command(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def _refused(words: list[str], call: str) -> str | None:
    context = click.Context(cli, **cli.context_settings)
    try:
        _, rest, _ = cli.make_parser(context).parse_args(list(words))
        if not rest or rest[0] == "COMMAND":
            return None
        if rest[0] not in COMMANDS:
            return f"{call}: there is no command {rest[0]}"
        command = _command(rest[0])
        context = click.Context(command, info_name=rest[0], **command.context_settings)
        values, left, _ = command.make_parser(context).parse_args(rest[1:])
        for parameter in command.get_params(context):
            if isinstance(parameter, click.Option) and isinstance(parameter.type, CHECKED) and parameter.name in values:
                parameter.type_cast_value(context, values[parameter.name])
    except click.UsageError as error:
        return f"{call}: {error.format_message()}"
    # `bench train` leaves the method's axes over.
    axes = load().method(str(values["method"]).partition(":")[0]).axes if command.ignore_unknown_options else {}
    unknown = [word for word in left if word.startswith("--") and word[2:] not in axes]
    return f"{call}: there is no option {', '.join(unknown)}" if unknown else None


def _is_target(name: str) -> bool:
    return re.search(rf"^{re.escape(name)}:", (ROOT / "Makefile").read_text(), re.MULTILINE) is not None


def _extras() -> set[str]:
    import tomllib

    facts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return set(facts["project"]["optional-dependencies"])
