import hashlib
from pathlib import Path

import pytest

from bench.cards.catalog import load
from bench.cards.table_schema import TableCard
from bench.errors import BenchError
from bench.metrics.accuracy import Scores
from bench.tables.layout import layout, layout_printed
from bench.tables.printed import Printed, read_printed

TABLES = load().papers["exp-clip"].tables
# SHA-256 over "table,dataset,uar,war" of every printed pair, in reading order.
PRINTED_PAIRS = "703e9a624c925552ab1134b15b378e3719e2c3e3dcb0a6622a9411199f82f1d4"


def printed(name: str) -> Printed:
    found = read_printed(TABLES[name])
    assert found is not None
    return found


def printed_as_ours(name: str) -> dict[str, dict[str, Scores]]:
    """The paper's numbers in the place of ours, for the rows that a method fills."""
    rows = printed(name).rows
    return {
        row.id: {dataset: Scores(pair["uar"].value, pair["war"].value) for dataset, pair in rows[row.id].items()}
        for row in TABLES[name].rows
        if row.method and row.id in rows
    }


def test_the_papers_tables_are_found_and_it_is_the_default() -> None:
    catalog = load()

    assert list(catalog.paper().tables) == ["1", "2", "3", "4", "5", "A", "B"]
    assert [broken for broken in catalog.broken if "results/paper" in broken.path] == []


def test_not_one_of_the_780_printed_pairs_is_lost_or_changed() -> None:
    pairs = [
        f"{name},{dataset},{pair['uar'].text},{pair['war'].text}"
        for name in TABLES
        for row in printed(name).rows.values()
        for dataset, pair in row.items()
    ]

    assert len(pairs) == 780
    assert hashlib.sha256("\n".join(pairs).encode()).hexdigest() == PRINTED_PAIRS


@pytest.mark.parametrize("name", TABLES)
def test_the_csv_shows_a_reader_the_same_labels_as_the_table(name: str) -> None:
    table = TABLES[name]
    lines = [line.split(",") for line in (table.path.parent / table.printed).read_text().splitlines()[1:]]
    rows = [row for row in table.rows if row.shown and not row.best_of]

    assert [line[0] for line in lines] == [row.id for row in rows]
    for line, row in zip(lines, rows, strict=True):
        labels = line[1 : 1 + len(table.stub)]
        assert all(label == cell for label, cell in zip(labels, row.cells, strict=False) if cell and not row.mark)
        assert not row.mark or labels == [row.cells[0] + row.mark]


@pytest.mark.parametrize("name", ["1", "2"])
def test_our_rule_for_bold_and_underline_gives_the_papers_own_marks(name: str) -> None:
    ours = layout(TABLES[name], printed_as_ours(name))
    theirs = layout_printed(TABLES[name], printed(name))
    compared = [row for row in printed(name).rows if not row.endswith("gain")]

    def marks(grid: object) -> list[list[str]]:
        lines = [line for line in grid.body if line.row in compared]  # type: ignore[attr-defined]
        return [[piece.emphasis for cell in line.cells if cell for piece in cell.pieces] for line in lines]

    assert marks(ours) == marks(theirs)
    assert any("bold" in line for line in marks(theirs))


def test_table_1_adds_the_best_of_three_prompt_sets_to_the_papers_rows_and_shows_it_as_chosen() -> None:
    table = TABLES["1"]
    ours = {line.row for line in layout(table, {}).body}
    theirs = {line.row for line in layout_printed(table, printed("1")).body}
    added = [row for row in table.rows if row.best_of]
    by_id = {row.id: row for row in table.rows}

    assert ours - theirs == {row.id for row in added} and len(added) == 5
    for row in added:
        chosen = [by_id[name] for name in row.best_of]
        assert [source.prompts for source in chosen] == ["P-1", "P-2", "P-3"]
        assert len({source.method for source in chosen}) == 1
        assert not row.rank and "test set" in table.notes[row.mark]


def test_the_arrow_rows_of_table_2_follow_from_its_numbers_but_for_the_one_cell_that_table_a_contradicts() -> None:
    grid = layout(TABLES["2"], printed_as_ours("2"), printed=printed("2"), details=["difference"])

    moved = [
        (line.row, column.dataset, cell.text)
        for line in grid.body
        if line.kind == "difference"
        for column, cell in zip(grid.columns, line.cells[len(grid.stub) :], strict=True)
        if cell and any(abs(piece.value or 0) > 0.011 for piece in cell.pieces)
    ]
    assert moved == [("B16 gain", "raf-db", "+1.19/+1.59")]


def test_table_3_is_the_mean_of_table_bs_rows() -> None:
    grid = layout(TABLES["3"], printed_as_ours("B"), printed=printed("3"), details=["difference"])

    differences = [
        piece.value
        for line in grid.body
        if line.kind == "difference"
        for cell in line.cells[1:]
        for piece in (cell.pieces if cell else ())
    ]
    assert len(differences) == 9 * 8 * 2
    assert max(abs(value or 0) for value in differences) < 0.0151


def test_a_table_without_printed_numbers_has_none(tmp_path: Path) -> None:
    card = TABLES["2"].model_copy(update={"printed": ""})

    assert read_printed(card) is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("34.97", "34,97", r"line 2: 19 fields"),
        ("34.97", "n/a", r"line 2, raf-db uar: 'n/a' is not a number"),
        ("34.97", "**34.97_", r"line 2, raf-db uar: '\*\*34.97_' is not a number"),
        ("B32 CLIP,", "B33 CLIP,", r"line 2: no row is called 'B33 CLIP'\n  fix: did you mean 'B32 CLIP'"),
        ("B32 Exp-CLIP,", "B32 CLIP,", r"line 3: row 'B32 CLIP' is there already"),
        ("raf-db uar", "rafdb uar", r"the columns are"),
    ],
)
def test_a_broken_file_of_printed_numbers_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    table = TABLES["2"]
    text = (table.path.parent / table.printed).read_text().replace(old, new, 1)
    (tmp_path / "table-2.csv").write_text(text)

    with pytest.raises(BenchError, match=rf"(?s)table-2\.csv.*{expected}"):
        read_printed(moved_to(table, tmp_path))


def test_a_missing_file_of_printed_numbers_names_the_card(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"table-2\.csv, named by .*table-2\.toml, is not readable"):
        read_printed(moved_to(TABLES["2"], tmp_path))


def moved_to(table: TableCard, folder: Path) -> TableCard:
    return table.as_read_from(folder / table.path.name)
