"""`bench check-plugin`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import options

if TYPE_CHECKING:
    from bench.cards.catalog import Catalog
    from bench.conformance.subject import Finding


@click.command("check-plugin")
@click.argument("name", metavar="NAME[:AXIS=VALUE]")
@options.device
@options.dtype
@options.as_json
@options.world
def check_plugin(*, name: str, device: str, dtype: str, as_json: bool, **world: Any) -> int:
    """Whether a method keeps the contract of bench.models.contract, promise by promise.

    \b
    bench check-plugin mine --cards my/
    bench check-plugin NAME:backbone=B32 --mini

    Exit code 1 when a check failed.
    """  # noqa: D301 - click keeps lines behind a backspace as they are
    from bench.cards.variant import parse, resolve
    from bench.conformance.subject import Finding
    from bench.conformance.suite import CHECKS, examine
    from bench.process.progress import bar

    session = options.open_session(world, dtype=dtype)
    method, axes = parse(name)
    reason = _broken(method, session.catalog)
    if reason:
        findings, where = [Finding("card", "failed", reason)], ""
    else:
        variant = resolve(session.catalog.method(method), axes)
        where = str(variant.card.path)
        network = session.network(variant)
        with bar(f"checking {variant}", len(CHECKS), "checks") as progress:
            findings = examine(
                variant,
                network,
                session.catalog,
                options.device_of(device, "check-plugin"),
                begun=lambda check: progress.advance(1),
            )
    failed = any(finding.state == "failed" for finding in findings)
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        click.echo(_listed(name, where, findings))
    return int(failed)


def _broken(name: str, catalog: Catalog) -> str:
    """Why the card of that name could not be read; empty where there is none, or another one has the name."""
    if name in catalog.methods:
        return ""
    for card in catalog.broken:
        path = Path(card.path)
        if name in (path.stem, path.parent.name):
            return f"{card.path}: {card.reason}"
    return ""


def _listed(name: str, where: str, findings: list[Finding]) -> str:
    import textwrap

    lines = [f"{name}  {where}".rstrip()]
    for finding in findings:
        head = f"  {finding.state.upper() if finding.state == 'failed' else finding.state:<8} {finding.check:<12} "
        lines += textwrap.wrap(finding.says, 118, initial_indent=head, subsequent_indent=" " * len(head))
    counts = {
        state: sum(finding.state == state for finding in findings)
        for state in ("passed", "failed", "warned", "skipped")
    }
    lines.append(", ".join(f"{count} {state}" for state, count in counts.items() if count))
    return "\n".join(lines)
