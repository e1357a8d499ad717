"""The notebook runs from its first cell to its last, and its tables show themselves."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "start.ipynb"


@pytest.mark.slow
@pytest.mark.enable_socket  # a kernel is spoken to over sockets of this machine
def test_every_cell_runs_and_tables_show_themselves(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "the notebook is kept without outputs"
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [
        output.get("data", {}).get("text/html", "") for cell in notebook.cells for output in cell.get("outputs", ())
    ]
    assert sum("<table" in html for html in shown) == 4
    assert sum("UAR/WAR" in html for html in shown) == 2
    (latex,) = [output.text for output in notebook.cells[-1].outputs]
    assert latex.startswith("\\begin{table")
