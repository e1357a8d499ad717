"""What the pages say is so: their blocks run, their output is what is printed, and the calls in their prose are calls."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import check, options
from pages import ROOT, Page, pages, surroundings
from small_world import Answer
from sybil.example import SybilFailure

pytestmark = pytest.mark.slow

Bench = Callable[..., Answer]
# Options of other programs that the pages name.
FOREIGN = {"--port", "--scale"}


@pytest.fixture
def page(tmp_path: Path, miniature_run: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Page:
    """A page's folder, empty, with the miniature's embeddings at hand."""
    for name in [name for name in os.environ if name.startswith("BENCH_")]:
        monkeypatch.delenv(name)
    for name, value in surroundings(miniature_run / "store").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return Page(tmp_path, bench)


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_blocks_of_a_page_do_what_it_says(path: Path, page: Page) -> None:
    page.run(path)


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_calls_and_options_in_a_pages_prose_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    calls = [" ".join(found.split()) for found in re.findall(r"`(bench\s[^`]+)`", prose)]
    for block in re.findall(r"^```yaml.*?^```$", text, flags=re.DOTALL | re.MULTILINE):
        calls += [found.strip() for found in re.findall(r"\bbench [a-z][^\n'&|]*", block)]
    assert [why for call in calls if (why := check(call))] == []
    known = options() | FOREIGN
    assert [name for name in re.findall(r"`(--[a-z][a-z-]*)", prose) if name not in known] == []


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_a_page_links_to_are_there(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [name for name in targets if not (path.parent / name).exists()] == []


def test_make_demo_fills_the_papers_table_2_from_the_miniature() -> None:
    recipe = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "bench run --table 2 --mini" in recipe


def test_from_import_to_a_latex_table_takes_ten_lines() -> None:
    (script,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert "to_latex" in script and len([line for line in script.splitlines() if line]) <= 10


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("```sh\nbench list --methods\n```", "exits with 2"),
        ("```sh\nbench show nobody\n```", "no card is called"),
        ("```console\n$ bench list detectors\nnothing\n```", "Got:\n    detectors"),
        ("<!-- test: not run, needs a GPU -->\n```sh\nbench run --tables 2\n```", "No such option '--tables'"),
        ("<!-- test: not run, needs a GPU -->\n```sh\nbench run --dtype half\n```", "'half' is not one of"),
        ("<!-- test: not run, needs a GPU -->\n```sh\nbench train exp-clip --backbones B32\n```", "--backbones"),
        ("<!-- test: not run, installs -->\n```sh\npip install 'fer-bench[raytracing]'\n```", "no extra"),
        ("```\nbench list\n```", "state one of sh"),
        ("<!-- test: norun -->\n```sh\nbench list\n```", "'norun' is no remark"),
        ("```python\nprint(1)\n```\n\n<!-- test: printed -->\n```text\n2\n```", "Expected:\n    2\nGot:\n    1"),
    ],
)
def test_a_page_that_is_wrong_fails(block: str, said: str, page: Page, tmp_path: Path) -> None:
    (tmp_path / "wrong.md").write_text(f"# A page\n\n{block}\n")
    with pytest.raises(SybilFailure, match=re.escape(said)):
        page.run(tmp_path / "wrong.md")
