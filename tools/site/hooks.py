"""What the site's pages do not hold themselves: the commands, as click knows them."""

from __future__ import annotations

import html
import inspect
import re
from typing import Any

import click
from mkdocs.exceptions import PluginError

from bench.cli import COMMANDS, cli

PLACE = re.compile(r"^<!-- (help|options) of bench ([\w-]+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Put each command's help and its options in the places of their comments.

    Raises:
        PluginError: the page of commands lacks one, or has one that is not there.
    """
    if page.file.src_uri != "commands.md":
        return markdown
    found = [match[0] for match in PLACE.finditer(markdown)]
    wanted = [f"<!-- {part} of bench {name} -->" for name in COMMANDS for part in ("help", "options")]
    if wrong := sorted({*found} ^ {*wanted}):
        raise PluginError(
            f"{page.file.src_uri}: each command's help and options have one place; see to {', '.join(wrong)}"
        )
    return PLACE.sub(lambda match: described(match[2]) if match[1] == "help" else listed(match[2]), markdown)


def described(name: str) -> str:
    """What a command does and how it is called, in Markdown, from what `bench NAME --help` prints."""
    command, context = _command(name)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    return "\n".join([*_paragraphs(command.help or ""), "```text", usage, "```"])


def listed(name: str) -> str:
    """A command's options, as a list of definitions."""
    command, context = _command(name)
    lines = []
    for parameter in command.params:
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
            lines += [f"`{record[0]}`", f":   {html.escape(record[1], quote=False)}", ""]
    return "\n".join(lines)


def _command(name: str) -> tuple[click.Command, click.Context]:
    parent = click.Context(cli, info_name="bench")
    command = cli.get_command(parent, name)
    assert command is not None
    return command, click.Context(command, parent=parent, info_name=name, **command.context_settings)


def _paragraphs(text: str) -> list[str]:
    """A help text: paragraphs, and what stands behind a backspace as it is."""
    lines: list[str] = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        kept, behind, rest = paragraph.partition("\b\n")
        lines += ["```text", *rest.splitlines(), "```", ""] if behind else [kept, ""]
    return lines
