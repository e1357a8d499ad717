import shutil
import subprocess
from pathlib import Path

import pytest
from test_renderers import grid

from bench.cards.catalog import load
from bench.metrics.accuracy import Scores
from bench.tables.latex import document
from bench.tables.layout import layout, layout_printed
from bench.tables.printed import read_printed

TABLES = load().papers["exp-clip"].tables
needs_tex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex, which is optional")


def compiled(source: str, folder: Path) -> str:
    (folder / "tables.tex").write_text(source, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    run = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120, check=False
    )
    assert run.returncode == 0, run.stdout[-2000:]
    return run.stdout


@needs_tex
def test_all_tables_of_the_paper_compile_and_fit_the_page(tmp_path: Path) -> None:
    grids = []
    for table in TABLES.values():
        printed = read_printed(table)
        assert printed is not None
        grids.append(layout_printed(table, printed))

    log = compiled(document(*grids), tmp_path)

    assert "Overfull" not in log
    assert "Float too large" not in log


@needs_tex
def test_table_1_fits_the_page_with_the_rows_that_are_ours_alone(tmp_path: Path) -> None:
    table = TABLES["1"]
    values = {row.id: dict.fromkeys(table.datasets, Scores(12.34, 56.78)) for row in table.rows if row.method}

    log = compiled(document(layout(table, values)), tmp_path)

    assert "Overfull" not in log


@needs_tex
def test_odd_texts_spans_signs_and_details_compile(tmp_path: Path) -> None:
    compiled(document(grid()), tmp_path)


@needs_tex
def test_one_table_compiles_in_a_plain_article_with_booktabs_and_multirow_alone(tmp_path: Path) -> None:
    from bench.tables.latex import latex

    head = "\\documentclass{article}\\usepackage{booktabs}\\usepackage{multirow}\\begin{document}\n"

    compiled(head + latex(grid()) + "\\end{document}\n", tmp_path)
