"""Cards that are begun with one command work as they are, and what is wrong with a card is said line by line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench.cards.problems import line_of

MADE = {
    "method": ["mine.toml", "adapter.py"],
    "dataset": ["mine.toml"],
    "prompts": ["mine.toml"],
    "question": ["mine.toml"],
    "paper": ["paper.toml", "table-1.csv", "table-1.toml"],
}


def begun(bench: Any, kind: str, folder: Path, name: str = "mine") -> Any:
    answer = bench("new", name, "--kind", kind, "--to", folder)
    assert answer.code == 0, answer.err
    return answer


@pytest.mark.parametrize("kind", MADE)
def test_what_is_begun_is_whole_and_nothing_is_written_twice(bench: Any, kind: str, tmp_path: Path) -> None:
    answer = begun(bench, kind, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(MADE[kind])
    assert f"now: bench check-{'plugin mine' if kind == 'method' else 'card'}" in answer.out
    checked = bench("check-card", *sorted(tmp_path.glob("*.toml")))
    assert checked.code == 0 and checked.out.count(": ok") == len(list(tmp_path.glob("*.toml")))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    again = bench("new", "mine", "--kind", kind, "--to", tmp_path)
    assert again.code == 2 and "is there already" in again.err
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_every_field_that_is_begun_is_explained(bench: Any, tmp_path: Path) -> None:
    for kind in MADE:
        begun(bench, kind, tmp_path / kind)
        for path in (tmp_path / kind).glob("*.toml"):
            # A field that stands several times, or in a table that is explained itself, is explained once.
            explained, bare, told = {"kind"}, set(), False
            for line in path.read_text().splitlines():
                if line.startswith("["):
                    told = "#" in line
                elif found := re.match(r"([a-z_]+) = ", line):
                    (explained if told or "#" in line or line.endswith("[") else bare).add(found[1])
            assert bare <= explained, (path, bare - explained)


def test_a_paper_gets_further_tables_and_a_table_needs_a_paper(bench: Any, tmp_path: Path) -> None:
    begun(bench, "paper", tmp_path / "p")
    answer = begun(bench, "table", tmp_path / "p", "b")
    assert "bench run --table mine:b --mini" in answer.out
    listed = json.loads(bench("list", "tables", "--json", "--cards", tmp_path).out)
    assert {"mine:1", "mine:b"} <= {table["name"] for table in listed["tables"]}
    assert "has no paper.toml" in bench("new", "b", "--kind", "table", "--to", tmp_path / "q").err
    assert "is not a name" in bench("new", "two words", "--to", tmp_path / "q").err


BAD = """kind = "dataset"
name = "bad"

media = "imag"
# classes follow
classes = [
  "a",
  "b",
]
[[layouts]]
name = "x"
readr = "bench.data.readers.folders:read"
needs = []
"""


def test_each_problem_is_said_with_its_line_and_the_near_name(bench: Any, tmp_path: Path) -> None:
    card = tmp_path / "bad.toml"
    card.write_text(BAD)
    answer = bench("check-card", card)
    assert answer.code == 1
    assert answer.out.splitlines() == [
        f"{card}:4: media: Input should be 'image' or 'clip' (found 'imag')",
        f"{card}:10: layouts.0.reader: Field required",
        f"{card}:12: layouts.0.readr: there is no such field here; did you mean `reader`?",
    ]
    found = json.loads(bench("check-card", card, "--json").out)[str(card)]
    assert [problem["line"] for problem in found] == [4, 10, 12]
    card.write_text(BAD.replace("imag", "image").replace("readr", "reader") + 'options = { pat = "" }\n')
    answer = bench("check-card", card)
    assert answer.code == 1 and f"{card}:14: layouts.0.options" in answer.out and "it takes path" in answer.out
    card.write_text(BAD.replace("imag", "image").replace("readr", "reader").replace("folders:read", "folders:rad"))
    assert f"{card}:12: layouts.0.reader" in bench("check-card", card).out
    card.write_text('kind = "dataset"\nname = = 1\n')
    assert f"{card}:2: not readable as TOML" in bench("check-card", card).out
    assert "is no card" in bench("check-card", _written(tmp_path / "pyproject.toml", "[project]\n")).err


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_names_that_a_card_refers_to_must_be_there(bench: Any, tmp_path: Path) -> None:
    begun(bench, "paper", tmp_path)
    table = tmp_path / "table-1.toml"
    lines = table.read_text().splitlines()
    sets = next(number for number, line in enumerate(lines, 1) if line.startswith("datasets"))
    method = next(number for number, line in enumerate(lines, 1) if line.startswith("method"))
    text = table.read_text().replace('"raf-db"', '"raf-dbs"', 1).replace('method = "clip" ', 'method = "clap" ', 1)
    table.write_text(text)
    (tmp_path / "table-1.csv").unlink()
    answer = bench("check-card", table)
    assert answer.code == 1
    assert f"{table}:{sets}: columns.0.datasets.0: no dataset is called 'raf-dbs'; did you mean 'raf-db'" in answer.out
    assert f"{table}:{method}: rows.0.method: no method is called 'clap'; did you mean 'clip'" in answer.out
    assert "printed: " in answer.out and "is not readable" in answer.out
    begun(bench, "prompts", tmp_path / "words")
    prompts = tmp_path / "words" / "mine.toml"
    prompts.write_text('kind = "prompts"\n[texts]\nhapiness = ["a smile"]\n')
    assert f"{prompts}:3: texts.hapiness: " in bench("check-card", prompts).out
    begun(bench, "method", tmp_path / "method")
    (tmp_path / "method" / "adapter.py").write_text("class Other: ...\n")
    method_card = tmp_path / "method" / "mine.toml"
    assert "encoder.adapter: " in bench("check-card", method_card).out


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (("a",), 1),
        (("t", "b"), 4),
        (("t", "c", 1), 6),
        (("l", 1, "x"), 13),
        (("l", 1, "missing"), 12),
        (("nowhere",), 1),
        ((), 1),
    ],
)
def test_the_line_of_a_place(where: tuple[str | int, ...], line: int) -> None:
    text = 'a = 1\n\n[t]\nb = 2 # two\n\nc = [\n  1,\n  2,\n]\n[[l]]\nx = 1\n[[l]]\nx = """\nmany\n"""\n'
    assert line_of(text, where) == line


def test_schemas_are_written_for_every_kind_of_card(bench: Any, tmp_path: Path) -> None:
    import jsonschema

    assert bench("schema", "--to", tmp_path).code == 0
    begun(bench, "dataset", tmp_path / "d")
    import tomllib

    facts = tomllib.loads((tmp_path / "d" / "mine.toml").read_text())
    schema = json.loads((tmp_path / "dataset.schema.json").read_text())
    jsonschema.validate(facts, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**facts, "media": "imag"}, schema)
    assert set(json.loads(bench("schema").out)) >= {"method", "dataset", "prompts", "table", "paper"}


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    for number, name in enumerate(("1_Happy", "2_sad", "angry")):
        for index in range(2 + number):
            path = tmp_path / "my faces" / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 40), (80 * number, 40 * index, 90)).save(path)
    return tmp_path / "my faces"


def test_a_folder_of_class_folders_is_evaluated_without_a_card(world: Any, faces: Path) -> None:
    from bench.records.record import open_record

    answer = world.run("--methods", "clip:backbone=B32", "--data-folder", str(faces))
    assert answer.code == 0, answer.err
    assert "my faces is a folder without a card" in answer.out
    record = open_record(world.records()[-1])
    assert record.classes["my-faces"] == ["happiness", "sadness", "anger"]
    card = (world.root / "cards" / "tiny-faces.toml").read_text().replace("tiny-faces", "carded")
    card = card[: card.index("[counts")] + card[card.index("[obtain]") :].replace(
        'needs = ["happiness"]\noptions = { path = "" }',
        'needs = []\noptions = { path = "", names = { happy = "happiness", sad = "sadness", angry = "anger" } }',
    )
    (world.root / "cards" / "carded.toml").write_text(card)
    run = ("--methods", "clip:backbone=B32", "--datasets", "carded", "--data", f"carded={faces}")
    answer = world.run(*run)
    assert answer.code == 0, answer.err
    one, two = (next(iter(open_record(path).predictions())) for path in world.records())
    assert list(one.samples) == list(two.samples) and (one.labels == two.labels).all()
    assert (one.scores == two.scores).all()  # type: ignore[union-attr]


def test_a_folder_whose_name_means_no_class_is_refused_with_the_near_ones(world: Any, faces: Path) -> None:
    (faces / "angry").rename(faces / "angerr")
    answer = world.run("--methods", "clip", "--data-folder", str(faces))
    assert answer.code == 2 and "'angerr' names no class that a card knows; did you mean 'anger'" in answer.err
    answer = world.run("--methods", "clip", "--data-folder", str(faces / "angerr"))
    assert answer.code == 2 and "holds no folders" in answer.err
