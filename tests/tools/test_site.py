"""The site of the documentation: it builds without a warning, and is read without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bench.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    target = tmp_path_factory.mktemp("site")
    recipe = subprocess.run(["make", "-n", "docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (build,) = re.findall(r"bin/mkdocs (.*)", recipe)
    command = [sys.executable, "-m", "mkdocs", *build.split(), "--site-dir", str(target)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert "--strict" in build and done.returncode == 0, done.stdout + done.stderr
    return target


def test_nothing_is_taken_from_the_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        text = page.read_text(encoding="utf-8")
        taken = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(https?:[^\"'\s>]+)", text)
        taken += re.findall(r"<link\b[^>]*\bhref=[\"']?(https?:[^\"'\s>]+)", text)
        assert taken == [], page
    for style in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?https?:|@import", style.read_text(encoding="utf-8")) == [], style


def test_its_links_lead_to_files_so_that_a_folder_is_enough(site: Path) -> None:
    assert (site / "search" / "search_index.js").is_file()
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        for link in re.findall(r"<a\b[^>]*\bhref=[\"']([^\"'#]+)", page.read_text(encoding="utf-8")):
            assert re.match(r"[a-z]+:", link) or (page.parent / link).is_file(), f"{page}: {link}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_on_its_page(site: Path, name: str) -> None:
    text = (site / "commands.html").read_text(encoding="utf-8")
    section = text.partition(f'id="bench-{name}"')[2].partition("<h2")[0]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert [option.opts[0] for option in options if f"<code>{option.opts[0]}" not in section] == []
