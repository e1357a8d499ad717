"""`bench verify`, `bench compare` and `bench check`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import options
from bench.errors import BenchError, counted

if TYPE_CHECKING:
    from bench.gate.compare import CellChange, Comparison

RECORD = click.Path(path_type=Path, exists=True)
SHOWN_FLIPS = 5


@click.command()
@click.argument("record", type=options.FOLDER)
@options.as_json
@options.cards
def verify(*, record: Path, as_json: bool, cards: tuple[Path, ...]) -> int:
    """Recompute every number of a record from its predictions: metrics.csv and every table file. Exit code 1 if one differs."""
    import bench

    findings = bench.open_record(record, cards=cards).verify()
    if as_json:
        click.echo(json.dumps({"checked": findings.checked, "wrong": findings.wrong}, indent=1))
    else:
        for line in findings.wrong:
            click.echo(f"wrong: {line}")
        click.echo(f"{findings.checked} numbers recomputed from the predictions, {len(findings.wrong)} differ")
    return int(bool(findings.wrong))


@click.command()
@click.argument("before", metavar="RECORD", type=RECORD)
@click.argument("after", metavar="[RECORD]", type=RECORD, required=False)
@click.option(
    "--rows",
    nargs=2,
    metavar="ROW ROW",
    help="Two rows of one record instead, by name (`bench show TABLE`) or label: first against second.",
)
@click.option("--table", "ref", metavar="[PAPER:]N", default="", help="The table that the rows are of.")
@options.cards
@click.option(
    "--flips", type=click.IntRange(0), default=SHOWN_FLIPS, show_default=True, help="Flipped samples listed a cell."
)
@options.as_json
def compare(
    *,
    before: Path,
    after: Path | None,
    rows: tuple[str, str] | None,
    ref: str,
    cards: tuple[Path, ...],
    flips: int,
    as_json: bool,
) -> int:
    """What moved between two records (or snapshots), by how much, which samples flipped, and whether it is inside noise.

    With --rows: whether one row of a record is better than another, sample by sample: the difference on every dataset with
    its 95 % interval, and p-values of paired tests, corrected after Holm for all columns and both metrics.
    """
    if rows is not None:
        from bench.cli.rows import compare_two

        if after is not None:
            raise click.UsageError("--rows compares two rows of one record; name one record")
        click.echo(compare_two(before, rows, ref, cards, as_json=as_json))
        return 0
    if after is None:
        raise click.UsageError("name two records, or one with --rows ROW ROW")
    from bench.gate.compare import as_facts
    from bench.gate.compare import compare as compare_snapshots
    from bench.gate.snapshot import read

    comparison = compare_snapshots(read(before), read(after))
    click.echo(json.dumps(as_facts(comparison), indent=1) if as_json else as_text(comparison, flips))
    return 0


@click.command()
@click.argument("results", type=RECORD)
@click.option("--against", type=click.Path(path_type=Path), default=Path("results/golden"), show_default=True)
@click.option(
    "--tolerance", type=float, default=None, help="Share of a cell's samples that may flip beside ties, inside noise."
)
@click.option("--part", is_flag=True, help="RESULTS hold only a part of the golden cells, on purpose.")
@click.option("--update", is_flag=True, help="Take RESULTS as the new golden numbers.")
@click.option("--github", is_flag=True, help="Also write a job summary for GitHub Actions.")
@options.as_json
def check(
    *,
    results: Path,
    against: Path,
    tolerance: float | None,
    part: bool,
    update: bool,
    github: bool,
    as_json: bool,
) -> int:
    """The regression gate: exit code 1 when an input or a number has moved from the golden ones.

    RESULTS is a record, or a folder whose newest record is meant. AGAINST is a snapshot file, or a folder of them, where the
    one of RESULTS' kind is meant, or one that has all of its cells. A flipped sample whose two classes have scores nearer
    than rounding goes in that precision is a tie: it is listed, and passes. Anything else fails.
    """
    from bench.gate.compare import allowed, as_facts
    from bench.gate.compare import compare as compare_snapshots
    from bench.gate.snapshot import golden_file, golden_of, of_record, read, write
    from bench.records.record import latest, open_record

    record = open_record(results if (results / "manifest.json").exists() else latest(results))
    if lacking := record.lacking:
        raise BenchError(
            f"the record {record.path} is incomplete: it lacks {', '.join(lacking)}",
            "run it again: what was computed is stored",
        )
    after = of_record(record)
    if update:
        golden = golden_file(against, record)
        write(after, golden)
        click.echo(f"{golden}: {counted(len(after.predictions), 'cell')}")
        return 0
    golden, larger = golden_of(against, record)
    before = read(golden)
    comparison = compare_snapshots(before, after, whole=not (part or larger))
    failed = [change for change in comparison.cells if not allowed(change, tolerance or 0.0)]
    ties = sum(change.ties for change in comparison.cells)
    bad = bool(failed or comparison.inputs)
    if as_json:
        click.echo(json.dumps({"failed": bad, "tolerance": tolerance, "ties": ties, **as_facts(comparison)}, indent=1))
    else:
        click.echo(as_text(comparison, SHOWN_FLIPS))
        verdict = "FAILED" if bad else "passed"
        click.echo(
            f"{verdict}: {comparison.compared} cells against {golden}, {len(failed)} moved, {counted(ties, 'tie')}"
            + ("" if tolerance is None else f", tolerance {tolerance:.1%}")
        )
    if github and (summary := os.environ.get("GITHUB_STEP_SUMMARY")):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(as_markdown(comparison, bad))
    return int(bad)


def as_text(comparison: Comparison, flips: int) -> str:
    """The comparison as a CI log shows it."""
    from tabulate import tabulate

    lines: list[str] = []
    for change in comparison.inputs:
        lines.append(f"input changed ({change.tier}): {change.what}\n  was: {change.before}\n  is:  {change.after}")
    for dataset, why in comparison.causes.items():
        reached = sum(change.cell.dataset == dataset for change in comparison.cells)
        lines.append(f"pixels of {dataset} are others, which reaches {counted(reached, 'cell')} below: {why}")
    if comparison.cells:
        lines.append(
            tabulate(_rows(comparison.cells), HEADINGS, disable_numparse=True, colalign=("left", *("right",) * 6))
        )
        for cell in comparison.cells:
            if cell.flipped and flips:
                more = f" and {len(cell.flipped) - flips} more" if len(cell.flipped) > flips else ""
                lines.append(f"{_name(cell)}: {'; '.join(cell.flipped[:flips])}{more}")
    if not lines:
        lines.append("nothing has moved")
    return "\n".join(lines)


HEADINGS = ("cell", "UAR was", "UAR is", "WAR was", "WAR is", "flipped", "p")


def _rows(cells: Sequence[CellChange]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for cell in cells:
        was = ("new", "new") if cell.before is None else (f"{cell.before.uar:.2f}", f"{cell.before.war:.2f}")
        now = ("gone", "gone") if cell.after is None else (f"{cell.after.uar:.2f}", f"{cell.after.war:.2f}")
        p_value = "" if cell.p_value is None else f"{cell.p_value:.3f}"
        rows.append((_name(cell), was[0], now[0], was[1], now[1], f"{len(cell.flipped)}/{cell.samples}", p_value))
    return rows


def _name(cell: CellChange) -> str:
    return " ".join(str(part) for part in cell.cell if part not in (None, ""))


def as_markdown(comparison: Comparison, bad: bool) -> str:
    """A job summary."""
    from tabulate import tabulate

    lines = [f"## bench check: {'failed' if bad else 'passed'}", f"{comparison.compared} cells compared."]
    if comparison.inputs:
        rows = [(change.tier, change.what, change.before[:80], change.after[:80]) for change in comparison.inputs]
        lines.append(tabulate(rows, ("input", "which", "was", "is"), tablefmt="github", disable_numparse=True))
    if comparison.cells:
        lines.append(tabulate(_rows(comparison.cells), HEADINGS, tablefmt="github", disable_numparse=True))
    return "\n\n".join(lines) + "\n"
