"""`bench audit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import options

if TYPE_CHECKING:
    from bench.audit.audited_tables import AuditedTables


@click.command()
@click.argument("subject", metavar="[PAPER|PAPER:N|N|FOLDER]", default="")
@click.option("--format", "form", type=click.Choice(("text", "markdown")), default="text", show_default=True)
@click.option("--details", type=click.IntRange(0), default=8, show_default=True, help="Lines a finding; JSON has all.")
@click.option("--strict", is_flag=True, help="Exit code 1 where there is an error.")
@click.option("--to", type=click.Path(path_type=Path), help="Write to a file.")
@options.as_json
@options.cards
def audit(
    *,
    subject: str,
    form: str,
    details: int,
    strict: bool,
    to: Path | None,
    as_json: bool,
    cards: tuple[Path, ...],
) -> int:
    """Whether printed accuracies can be right: arithmetic, contradictions, claims, counts of samples, constant rows, noise.

    SUBJECT is a paper (the built-in one by default), one of its tables, a run's folder, or a folder of your own that holds
    paper.toml, table cards and their printed numbers as CSV. No data, weights or network are needed.
    """
    from bench.audit.report import as_facts, as_markdown, as_text
    from bench.audit.run import audit as run_audit

    audited, table = audited_tables_of(subject, cards)
    result = run_audit(audited, table)
    if as_json:
        text = json.dumps(as_facts(result), indent=1, ensure_ascii=False)
    else:
        text = as_markdown(result, details) if form == "markdown" else as_text(result, details)
    if to is not None:
        options.write(to, text + "\n")
    else:
        click.echo(text)
    return int(strict and result.count("error") > 0)


def audited_tables_of(subject: str, cards: tuple[Path, ...]) -> tuple[AuditedTables, str]:
    """What SUBJECT means, and the one table of it that was asked for, or an empty text."""
    from bench.audit.sources import of_paper, of_record
    from bench.errors import UnknownName
    from bench.records.record import open_record

    folder = Path(subject) if subject else None
    if folder is not None and (folder / "manifest.json").exists():
        return of_record(open_record(folder), options.open_catalog(cards)), ""
    if folder is not None and folder.is_dir() and any(folder.rglob("paper.toml")):
        known = {path.resolve() for path in cards}
        catalog = options.open_catalog(cards if folder.resolve() in known else (*cards, folder))
        papers = [paper for paper in catalog.papers.values() if paper.card.path.is_relative_to(folder)]
        if len(papers) != 1:
            raise UnknownName(f"single paper in {folder}", subject, [paper.card.name for paper in papers])
        return of_paper(papers[0], catalog), ""
    catalog = options.open_catalog(cards)
    if not subject or subject in catalog.papers:
        return of_paper(catalog.paper(subject), catalog), ""
    paper, table = catalog.table(subject)
    return of_paper(paper, catalog), table.name
