import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import pairwise

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from bench.cards.table_schema import TableCard
from bench.metrics.accuracy import Scores
from bench.tables.csv import csv, frame
from bench.tables.grid import Grid
from bench.tables.html import html
from bench.tables.latex import latex
from bench.tables.layout import layout
from bench.tables.markdown import markdown
from bench.tables.place import Remarks
from bench.tables.terminal import terminal

ODD = '[*a] "a|b & c_d *e* <script>alert(1)</script> 5% $x$ #1 {y} ~^\\ `z`'


def grid(**facts: object) -> Grid:
    """Two blocks, a label over two rows, a hidden cell, a tie, an arrow row that falls, signs, odd texts."""
    table = TableCard.model_validate(
        {
            "kind": "table",
            "name": "9",
            "title": "Table 9",
            "caption": f"Caption {ODD}",
            "stub": ["Method", "Run"],
            "columns": [{"title": "Still", "datasets": ["a", "b"]}, {"title": "Moving", "datasets": ["c"]}],
            "second": True,
            "notes": {"*": "seen in training"},
            "rows": [
                {"id": "x1", "section": "Block one", "cells": ["CLIP", "1"], "method": "m", "mark": "*"},
                {"id": "x2", "cells": ["", "2"], "method": "m"},
                {"id": "odd", "section": "Block two", "cells": [ODD, "1"], "method": "m"},
                {"id": "up", "cells": ["⇑"], "minus": ["x2", "x1"], "rank": False, "rule": True},
            ],
            **facts,
        }
    )
    values = {
        "x1": {"a": Scores(50.0, 9.5, 0.25, 1.5), "b": Scores(30.0, 30.0)},
        "x2": {"a": Scores(48.123456, 9.5), "b": Scores(31.0, 29.0), "c": Scores(1.0, 2.0)},
        "odd": {"b": Scores(31.0, 28.0)},
    }
    remarks = Remarks({("x2", "b"): "†"}, {"†": f"note {ODD}"}, ["The miniature."])
    return layout(table, values, titles={"a": "Set_A"}, details=["std"], remarks=remarks)


def test_markdown_is_one_github_table_whose_every_line_has_all_columns() -> None:
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown(grid()))

    rows: list[list[str]] = []
    for token, following in pairwise(tokens):
        if token.type == "tr_open":
            rows.append([])
        if token.type in ("th_open", "td_open"):
            words = [child.content for child in following.children or [] if child.type != "html_inline"]
            rows[-1].append("".join(words))
    assert [token.type for token in tokens].count("table_open") == 1
    assert {len(row) for row in rows} == {5}
    assert rows[0] == ["Method", "Run", "Still", "", "Moving"]
    assert rows[1] == ["", "", "Set_A", "b", "c"]
    assert rows[2] == ["Block one", "", "", "", ""]
    assert rows[3][1:] == ["1", "50.00/9.50", "30.00/30.00", "-"]
    assert rows[4] == ["", "± over seeds", "0.25/1.50", "-", "-"]
    assert rows[7][0] == ODD
    assert rows[-1][2:] == ["-1.88/0.00", "1.00/-1.00", "-"]


def test_markdown_marks_best_and_second_and_signs() -> None:
    text = markdown(grid())

    assert " **50.00**/**9.50** " in text
    assert "<ins>48.12</ins>/**9.50**" in text
    assert "**31.00**/<ins>29.00</ins><sup>†</sup>" in text
    assert "CLIP<sup>\\*</sup>" in text
    assert "<script>" not in text
    assert text.startswith('**Table 9.** Caption \\[\\*a\\] "a\\|b &amp; c\\_d')
    assert text.rstrip().endswith("The miniature.")


def test_html_is_well_formed_and_escapes_what_it_is_given() -> None:
    text = html(grid())

    table = ET.fromstring(text)
    assert "<script>" not in text
    assert ODD in [cell.text for cell in table.iter("th")]
    assert table.findtext("caption") == f"Table 9. Caption {ODD}"
    best = [cell for row in table.iter("tr") if row.get("data-row") == "x1" for cell in row.iter("b")]
    assert [cell.text for cell in best][:2] == ["50.00", "9.50"]


def test_html_spans_cover_every_column_of_every_line() -> None:
    table = ET.fromstring(html(grid()))

    for part in ("thead", "tbody", "tfoot"):
        hanging: dict[int, int] = {}
        for number, row in enumerate(table.iterfind(f"{part}/tr")):
            width = hanging.pop(number, 0)
            for cell in row:
                across, down = int(cell.get("colspan", 1)), int(cell.get("rowspan", 1))
                width += across
                for below in range(1, down):
                    hanging[number + below] = hanging.get(number + below, 0) + across
            assert width == 5, (part, number)
        assert not hanging


def test_latex_escapes_and_marks() -> None:
    text = latex(grid())

    assert r"a\textbar{}b \& c\_d *e* \textless{}script\textgreater{}alert(1)" in text
    assert r"5\% \$x\$ \#1 \{y\} \textasciitilde{}\textasciicircum{}\textbackslash{}" in text
    assert r"\textbf{50.00}/\textbf{9.50}\phantom{0} & " in text
    assert r"\textbf{31.00}/\underline{29.00}\rlap{\textsuperscript{\dag{}}}" in text
    assert r"\multirow{3}{*}{CLIP\textsuperscript{*}} & 1" in text
    assert r"\multicolumn{2}{@{}l}{$\Uparrow$} & $-$1.88/0.00\phantom{0}" in text
    assert r"\cmidrule(lr){3-4} \cmidrule(lr){5-5}" in text
    assert r"\label{tab:9}" in text


def test_latex_lines_hold_all_columns() -> None:
    lines = [line for line in latex(grid()).splitlines() if line.endswith(r"\\")]

    for line in lines:
        spanned = sum(int(part.split("}")[0]) - 1 for part in line.split(r"\multicolumn{")[1:])
        assert line.replace(r"\&", "").count("&") + spanned == 4, line


def test_csv_gives_unrounded_numbers_a_row_and_metric() -> None:
    read = pd.read_csv(io.StringIO(csv(grid())))

    assert list(read.columns) == ["row", "line", "Method", "Run", *(f"{d} {m}" for d in "abc" for m in ("uar", "war"))]
    assert read["row"].tolist() == ["x1", "x1", "x2", "odd", "up"]
    assert read["line"].tolist() == ["value", "std", "value", "value", "value"]
    assert read["Method"].tolist() == ["CLIP*", "CLIP*", "CLIP*", ODD, "⇑"]
    assert read["a uar"].tolist()[:3] == [50.0, 0.25, 48.123456]
    assert pd.isna(read["c war"][0])
    assert read["a uar"][4] == pytest.approx(-1.876544)
    assert frame(grid())["b war"][4] == -1.0


def test_the_terminal_shows_sections_arrow_rows_and_odd_texts_without_trailing_blanks() -> None:
    lines = terminal(grid()).plain.splitlines()

    assert any(line.strip() == "Block one" for line in lines)
    assert any(line.startswith("⇑") and "-1.88/0.00" in line for line in lines)
    assert any(line.startswith(ODD) for line in lines)
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("short", [Scores(9.31, 3.26), Scores(9.31, 13.26), Scores(19.31, 3.26)])
def test_the_terminal_keeps_the_slashes_of_a_column_in_line(short: Scores) -> None:
    table = TableCard.model_validate(
        {
            "kind": "table",
            "name": "e",
            "columns": [{"title": "Still", "datasets": ["a"]}],
            "rows": [{"id": name, "cells": [name], "method": "m"} for name in "xy"],
        }
    )

    lines = terminal(layout(table, {"x": {"a": Scores(14.98, 100.0)}, "y": {"a": short}})).plain.splitlines()

    assert len({line.index("/") for line in lines if "/" in line}) == 1


def test_the_terminal_marks_best_and_second_where_it_can() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=300)
    console.print(terminal(grid()))

    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1m50.00\x1b[0m" in shown
    assert "\x1b[4m48.12\x1b[0m" in shown


def test_a_narrow_terminal_shows_the_groups_one_below_the_other_and_loses_no_number() -> None:
    wide, narrow = terminal(grid()).plain, terminal(grid(), width=40).plain

    assert narrow.count("━━\n") == 2 * wide.count("━━\n")
    for number in ("50.00/9.50", "48.12/9.50", "31.00/29.00†", "1.00/2.00"):
        assert number in narrow
    assert narrow.count("⇑") == 2


@pytest.mark.parametrize("render", [markdown, html, latex, csv, lambda grid: terminal(grid).plain])
def test_a_table_without_any_number_is_drawn(render: Callable[[Grid], str]) -> None:
    table = TableCard.model_validate(
        {
            "kind": "table",
            "name": "e",
            "columns": [{"title": "Still", "datasets": ["a"]}],
            "rows": [{"id": "x", "cells": ["x"], "method": "m"}],
        }
    )

    assert "x" in render(layout(table, {}))
