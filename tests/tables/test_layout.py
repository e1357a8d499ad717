import numpy as np
import pytest
from pydantic import ValidationError

from bench.cards.table_schema import TableCard
from bench.errors import BenchError
from bench.metrics.accuracy import Interval, Scores
from bench.tables.grid import Grid, Line
from bench.tables.layout import layout
from bench.tables.place import Remarks
from bench.tables.printed import Printed, PrintedNumber


def card(*rows: dict[str, object], **facts: object) -> TableCard:
    columns = [{"title": "Still", "datasets": ["a", "b"]}, {"title": "Moving", "datasets": ["c"]}]
    return TableCard.model_validate({"kind": "table", "name": "t", "columns": columns, "rows": rows, **facts})


def method(name: str, **facts: object) -> dict[str, object]:
    return {"id": name, "cells": [name], "method": name, **facts}


def line(grid: Grid, row: str, kind: str = "value") -> Line:
    (found,) = [line for line in grid.body if (line.row, line.kind) == (row, kind)]
    return found


def texts(grid: Grid, row: str, kind: str = "value") -> list[str]:
    return [cell.text for cell in line(grid, row, kind).cells[len(grid.stub) :] if cell]


def emphases(grid: Grid, row: str) -> list[str]:
    cells = line(grid, row).cells[len(grid.stub) :]
    return ["+".join(piece.emphasis or "-" for piece in cell.pieces) for cell in cells if cell]


def test_a_dataset_takes_a_column_and_a_missing_cell_is_a_dash() -> None:
    grid = layout(card(method("x")), {"x": {"a": Scores(12.345, 99.999), "c": Scores(0.0, 5.0)}})

    assert texts(grid, "x") == ["12.35/100.00", "-", "0.00/5.00"]


def test_headings_span_their_groups_and_take_the_titles_given() -> None:
    grid = layout(card(method("x"), stub=["Method", "Run"]), {}, titles={"a": "Set A"})

    upper, lower = grid.header
    assert [(cell.text, cell.across, cell.down) for cell in upper.cells if cell] == [
        *[("Method", 1, 2), ("Run", 1, 2)],
        *[("Still", 2, 1), ("Moving", 1, 1)],
    ]
    assert [cell.text if cell else None for cell in lower.cells] == [None, None, "Set A", "b", "c"]


def test_an_arrow_row_is_the_rounded_difference_of_unrounded_numbers() -> None:
    rows = [method("low"), method("high"), {"id": "up", "cells": ["⇑"], "minus": ["high", "low"], "rank": False}]
    values = {"low": {"a": Scores(10.006, 20.0), "b": Scores(1, 1)}, "high": {"a": Scores(20.004, 15.0)}}

    grid = layout(card(*rows), values)

    # Of the rounded 20.00 and 10.01 the difference would be 9.99.
    assert texts(grid, "up") == ["10.00/-5.00", "-", "-"]


def test_means_and_population_variances_come_from_their_rows_hidden_ones_too() -> None:
    rows = [
        *(method(name, shown=False) for name in "xyz"),
        {"id": "mean", "cells": ["Mean"], "of": ["x", "y", "z"]},
        {"id": "var", "cells": ["Variance"], "of": ["x", "y", "z"], "statistic": "variance"},
        {"id": "up", "cells": ["⇑"], "minus": ["mean", "var"]},
    ]
    values = {name: {"a": Scores(uar, 50.0)} for name, uar in zip("xyz", (10.0, 11.0, 15.0), strict=True)}

    grid = layout(card(*rows), values)

    assert [line.row for line in grid.body] == ["mean", "var", "up"]
    assert texts(grid, "mean")[0] == "12.00/50.00"
    assert texts(grid, "var")[0] == f"{np.var([10, 11, 15]):.2f}/0.00"
    assert texts(grid, "up")[0] == "7.33/50.00"


def test_a_mean_of_which_one_row_is_missing_is_a_dash() -> None:
    rows = [method("x"), method("y"), {"id": "mean", "cells": ["Mean"], "of": ["x", "y"]}]

    assert texts(layout(card(*rows), {"x": {"a": Scores(1, 1)}}), "mean") == ["-", "-", "-"]


def test_the_best_of_several_rows_is_chosen_by_war_a_dataset_at_a_time_and_brings_its_own_uar() -> None:
    rows = [
        *(method(name, shown=False, rank=False) for name in "xy"),
        method("z"),
        {"id": "best", "cells": ["Best"], "best_of": ["x", "y", "z"], "rank": False},
    ]
    values = {
        "x": {"a": Scores(90, 10), "b": Scores(1, 30)},
        "y": {"a": Scores(20, 40), "b": Scores(2, 20), "c": Scores(5, 5)},
        "z": {"a": Scores(50, 30), "b": Scores(3, 10), "c": Scores(4, 4)},
    }

    grid = layout(card(*rows), values)

    assert [line.row for line in grid.body] == ["z", "best"]
    assert texts(grid, "best") == ["20.00/40.00", "1.00/30.00", "-"]
    assert emphases(grid, "best") == ["-+-", "-+-", "-"]


def test_best_is_bold_and_second_underlined_a_column_and_metric_at_a_time() -> None:
    values = {"x": {"a": Scores(3, 1)}, "y": {"a": Scores(2, 2), "b": Scores(1, 1)}, "z": {"a": Scores(1, 3)}}

    grid = layout(card(method("x"), method("y"), method("z"), second=True), values)

    assert emphases(grid, "x") == ["bold+-", "-", "-"]
    assert emphases(grid, "y") == ["underline+underline", "bold+bold", "-"]
    assert emphases(grid, "z") == ["-+bold", "-", "-"]


def test_numbers_that_print_alike_are_marked_alike() -> None:
    values = {name: {"a": Scores(uar, 0)} for name, uar in zip("wxyz", (50.001, 49.999, 40.004, 39.996), strict=True)}

    grid = layout(card(*map(method, "wxyz"), second=True), values)

    assert [emphases(grid, name)[0].split("+")[0] for name in "wxyz"] == ["bold", "bold", "underline", "underline"]


def test_rows_that_do_not_rank_are_passed_over_and_second_is_marked_only_where_the_card_says() -> None:
    values = {"x": {"a": Scores(3, 3)}, "y": {"a": Scores(2, 2)}, "z": {"a": Scores(9, 9)}}

    grid = layout(card(method("x"), method("y"), method("z", rank=False)), values)

    assert [emphases(grid, name)[0] for name in "xyz"] == ["bold+bold", "-+-", "-+-"]


@pytest.mark.parametrize(("scope", "expected"), [("table", "b-"), ("block", "bb"), ("none", "--")])
def test_the_scope_of_best_is_the_cards(scope: str, expected: str) -> None:
    rows = [method("x", section="One"), method("y", section="Two")]

    grid = layout(card(*rows, best=scope), {"x": {"a": Scores(2, 2)}, "y": {"a": Scores(1, 1)}})

    assert "".join(emphases(grid, name)[0][0] for name in "xy") == expected


def test_a_section_stands_above_its_rows_between_rules() -> None:
    rows = [method("x", section="One"), method("y"), method("z", section="Two", rule=True)]

    grid = layout(card(*rows), {})

    assert [(line.kind, line.row, line.rule) for line in grid.body] == [
        ("section", "", False),
        ("value", "x", True),
        ("value", "y", False),
        ("section", "", True),
        ("value", "z", True),
    ]
    heading = grid.body[0].cells[0]
    assert heading is not None
    assert (heading.text, heading.across) == ("One", 4)


def test_an_empty_label_continues_the_one_above_and_a_short_row_spans_the_rest() -> None:
    rows = [
        {"id": "1", "cells": ["A", "p"], "method": "m"},
        {"id": "2", "cells": ["", "q"], "method": "m"},
        {"id": "3", "cells": ["⇑"], "minus": ["1", "2"]},
        {"id": "4", "cells": ["B", "p"], "method": "m"},
    ]

    grid = layout(card(*rows, stub=["Method", "Prompt"]), {})

    stub = [[(c.text, c.down, c.across) if c else None for c in line.cells[:2]] for line in grid.body]
    assert stub == [
        [("A", 2, 1), ("p", 1, 1)],
        [None, ("q", 1, 1)],
        [("⇑", 1, 2), None],
        [("B", 1, 1), ("p", 1, 1)],
    ]


def test_a_label_is_not_continued_across_a_row_that_spans_its_column() -> None:
    rows = [
        {"id": "1", "cells": ["A", "p"], "method": "m"},
        {"id": "2", "cells": ["⇑"], "method": "m"},
        {"id": "3", "cells": ["", "q"], "method": "m"},
    ]

    grid = layout(card(*rows, stub=["Method", "Prompt"]), {})

    assert [(cell.text, cell.down) for cell in (line.cells[0] for line in grid.body) if cell] == [
        ("A", 1),
        ("⇑", 1),
        ("", 1),
    ]


def test_details_stand_beneath_their_row_where_there_are_numbers() -> None:
    table = card(method("x"), method("y"))
    values = {
        "x": {
            "a": Scores(50.0, 60.0, 0.5, 1.25, Interval(48.0, 52.0), Interval(59.0, 61.0)),
            "b": Scores(10.0, 10.0),
        },
        "y": {"a": Scores(1.0, 2.0)},
    }
    paper = {"x": {"a": {"uar": PrintedNumber("51.10"), "war": PrintedNumber("60.00")}}}
    printed = Printed(table.path, paper)

    grid = layout(table, values, printed=printed, details=["std", "interval", "paper", "difference"])

    assert [(line.row, line.kind) for line in grid.body] == [
        *[("x", "value"), ("x", "std"), ("x", "low"), ("x", "high"), ("x", "paper"), ("x", "difference")],
        ("y", "value"),
    ]
    assert texts(grid, "x", "std") == ["0.50/1.25", "-", "-"]
    assert texts(grid, "x", "low") == ["48.00/59.00", "-", "-"]
    assert texts(grid, "x", "high") == ["52.00/61.00", "-", "-"]
    assert texts(grid, "x", "paper") == ["51.10/60.00", "-", "-"]
    assert texts(grid, "x", "difference") == ["-1.10/0.00", "-", "-"]


def test_details_lengthen_the_label_that_spans_their_row() -> None:
    rows = [
        {"id": "1", "cells": ["A", "p"], "method": "m"},
        {"id": "2", "cells": ["", "q"], "method": "m"},
    ]
    values = {"1": {"a": Scores(1, 1, 0.1, 0.1)}, "2": {"a": Scores(1, 1, 0.1, 0.1)}}

    grid = layout(card(*rows, stub=["Method", "Prompt"]), values, details=["std"])

    label = grid.body[0].cells[0]
    assert label is not None
    assert label.down == len(grid.body) == 4
    assert [line.cells[1].text for line in grid.body if line.cells[1]] == ["p", "± over seeds", "q", "± over seeds"]


def test_signs_and_notes_of_card_and_run_are_both_kept() -> None:
    table = card(method("x", mark="*"), notes={"*": "trained on it"})
    remarks = Remarks({("x", "b"): "†"}, {"†": "3 samples missing"}, ["The miniature."])

    grid = layout(table, {"x": {"b": Scores(1, 1)}}, remarks=remarks)

    assert [cell.sign for cell in line(grid, "x").cells if cell] == ["*", "", "†", ""]
    assert grid.notes == {"*": "trained on it", "†": "3 samples missing"}
    assert grid.remarks == ("The miniature.",)


def test_what_does_not_fit_the_table_is_an_error_and_not_left_out() -> None:
    table = card(method("x"), method("y"), {"id": "up", "cells": ["⇑"], "minus": ["x", "y"]})
    with pytest.raises(BenchError, match="no row of table t is called 'xx'"):
        layout(table, {"xx": {}})
    with pytest.raises(BenchError, match="no dataset of table t is called 'd'"):
        layout(table, {"x": {"d": Scores(1, 1)}})
    with pytest.raises(BenchError, match=r"row 'up' is computed from \('x', 'y'\)"):
        layout(table, {"up": {"a": Scores(1, 1)}})
    with pytest.raises(BenchError, match=r"row 'x', a: UAR nan, WAR 1"):
        layout(table, {"x": {"a": Scores(float("nan"), 1)}})
    with pytest.raises(BenchError, match="has no printed numbers to show as 'paper'"):
        layout(table, {}, details=["paper"])
    with pytest.raises(BenchError, match=r"no cell \('x', 'd'\) to mark"):
        layout(table, {}, remarks=Remarks({("x", "d"): "†"}, {"†": "note"}))
    with pytest.raises(BenchError, match=r"the mark '†' of \('x', 'a'\) has no note"):
        layout(table, {}, remarks=Remarks({("x", "a"): "†"}, {}))


@pytest.mark.parametrize(
    ("rows", "facts", "expected"),
    [
        ([method("x"), method("x")], {}, "row id 'x' is used twice"),
        ([{"id": "x", "cells": ["x"]}], {}, "row 'x': give one of `method`, `minus`, `of` and `best_of`"),
        ([method("x", of=["x"])], {}, "row 'x': give one of"),
        ([{"id": "m", "cells": ["m"], "of": ["x"]}], {}, r"row 'm' refers to \['x'\], which are not rows"),
        (
            [{"id": "m", "cells": ["m"], "of": ["n"]}, {"id": "n", "cells": ["n"], "of": ["m"]}],
            {},
            r"rows \['m', 'n'\] are computed from one another",
        ),
        ([method("x", cells=["x", "y"])], {}, "row 'x': 2 cells for the columns"),
        ([method("x", mark="*")], {}, r"row 'x': its mark '\*' has no note"),
        ([method("x")], {"columns": [{"title": "", "datasets": ["a", "a"]}]}, "names a dataset twice"),
    ],
)
def test_a_table_card_that_contradicts_itself_is_refused(
    rows: list[dict[str, object]], facts: dict[str, object], expected: str
) -> None:
    with pytest.raises(ValidationError, match=expected):
        card(*rows, **facts)
