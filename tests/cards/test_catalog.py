"""Finding, checking and extending cards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.cards.catalog import load
from bench.cards.dataset_schema import DatasetCard
from bench.cards.method_schema import MethodCard
from bench.cards.variant import all_variants, parse, resolve
from bench.errors import BenchError, UnknownName


def card(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


METHOD = 'kind = "method"\nname = "{name}"\n[encoder]\nadapter = "package.module:Class"\n'


def test_no_built_in_card_is_broken() -> None:
    assert load().broken == []


def test_every_built_in_default_exists() -> None:
    catalog = load()
    for method in catalog.methods.values():
        assert catalog.prompts_of(method) in catalog.prompts
        assert method.protocol == "native" or method.protocol in catalog.protocols
        assert set(method.trained_on) <= set(catalog.datasets)
        for variant in all_variants(method, {}):
            assert set(variant.card.encoder.weights.values()) <= set(variant.card.weights)


def test_every_table_names_datasets_and_prompt_sets_that_exist() -> None:
    catalog = load()
    for paper in catalog.papers.values():
        for table in paper.tables.values():
            assert set(table.datasets) <= set(catalog.datasets)
            assert {row.prompts for row in table.rows if row.prompts} <= set(catalog.prompts)


def test_published_numbers_name_prompt_sets_and_methods_that_exist() -> None:
    catalog = load()
    for dataset in catalog.datasets.values():
        for number in dataset.published:
            assert number.prompts in catalog.prompts
            name, axes = parse(number.method)
            resolve(catalog.method(name), axes)


def test_a_card_that_extends_another_takes_its_network_and_adds_its_own(tmp_path: Path) -> None:
    card(
        tmp_path,
        "mine",
        'kind = "method"\nextends = "clip"\nprotocol = "native"\n[axes.backbone.B32]\nencoder.size = 99\n',
    )
    mine = load([tmp_path]).method("mine")
    assert resolve(mine, {"backbone": "B32"}).card.encoder.weights == {"model": "ViT-B-32.pt"}
    assert resolve(mine, {"backbone": "B32"}).card.encoder.size == 99
    assert resolve(mine, {"backbone": "B16"}).card.encoder.size == 224


def test_an_adapter_beside_the_card_is_found_from_a_card_elsewhere(tmp_path: Path) -> None:
    card(tmp_path / "one", "base", METHOD.format(name="base").replace("package.module:Class", "adapter.py:Mine"))
    card(tmp_path / "two", "top", 'kind = "method"\nextends = "base"\n')
    assert load([tmp_path]).method("top").encoder.adapter == f"{tmp_path / 'one' / 'adapter.py'}:Mine"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kind = ", "TOML"),
        ('name = "x"', "has no `kind`"),
        ('kind = "methud"', "'methud' is not a kind"),
        ('kind = "method"\nname = "x"', "encoder: Field required"),
        (METHOD.format(name="x") + "sizze = 3\n", "encoder.sizze"),
        (METHOD.format(name="x y"), "name"),
        ('kind = "method"\nname = "x"\nextends = "clap"', "did you mean 'clip'"),
        ('kind = "method"\nname = "x"\nextends = "x"', "leads back to itself"),
        (METHOD.format(name="x") + "[axes.size.big]\nencoder.sizze = 3\n", "encoder.sizze"),
        (METHOD.format(name="x") + '[default]\nsize = "big"\n', "default.size"),
        ('kind = "method"\nname = "x"\nextends = { a = 1 }', "is not a name"),
        ('kind = "protocol"\nname = "native"', "another name"),
    ],
)
def test_a_broken_card_is_listed_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    path = card(tmp_path, "broken", text)
    catalog = load([tmp_path])
    (broken,) = catalog.broken
    assert broken.path == str(path) and reason in broken.reason
    assert "clip" in catalog.methods


def test_a_dataset_card_whose_counts_do_not_fit_its_classes_is_broken(tmp_path: Path) -> None:
    source = next(path for path in [load().dataset("dfew").path])
    text = source.read_text().replace('name = "dfew"', 'name = "other"').replace("294, 29, 181]", "294, 29]", 1)
    card(tmp_path, "other", text)
    assert "6 numbers for 7 classes" in load([tmp_path]).broken[0].reason


def test_a_second_card_of_a_name_is_broken_and_the_first_stays(tmp_path: Path) -> None:
    first = card(tmp_path / "a", "mine", METHOD.format(name="mine"))
    card(tmp_path / "b", "mine", METHOD.format(name="mine"))
    catalog = load([tmp_path])
    assert catalog.method("mine").path == first
    assert "taken by" in catalog.broken[0].reason


def test_an_entry_point_brings_the_cards_of_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "their_package"
    card(package, "theirs", METHOD.format(name="theirs"))
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported to find its cards')")
    info = tmp_path / "their_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[bench.cards]\ntheirs = their_package\ngone = no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    catalog = load()
    assert catalog.method("theirs").path == package / "theirs.toml"
    assert catalog.origins["method", "theirs"] == "entry point theirs"
    assert "no_such_package" in catalog.broken[0].reason


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no such folder"):
        load([tmp_path / "nowhere"])


def test_names_are_found_whatever_their_case_and_near_ones_are_offered() -> None:
    catalog = load()
    assert catalog.prompt_set("p-3").name == "P-3"
    with pytest.raises(UnknownName, match="did you mean 'raf-db'"):
        catalog.dataset("rafdb")


def test_an_axis_left_open_must_be_given() -> None:
    with pytest.raises(BenchError, match="one of B32, B16, L14"):
        resolve(load().method("clip"), {})
    assert [variant.key for variant in all_variants(load().method("clip"), {})] == [
        "backbone=B32",
        "backbone=B16",
        "backbone=L14",
    ]


def test_cards_are_read_without_heavy_imports() -> None:
    code = "import sys, bench.cards.catalog as c; c.load(); print([m for m in ('torch', 'pandas', 'PIL', 'pyarrow') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_card_is_frozen() -> None:
    card = load().dataset("raf-db")
    with pytest.raises(ValueError, match="frozen"):
        card.title = "x"  # type: ignore[misc]
    assert isinstance(card, DatasetCard) and isinstance(load().method("clip"), MethodCard)


def test_an_axis_at_its_unnamed_default_leaves_key_and_title_as_they_were() -> None:
    card = load().method("exp-clip")
    plain = resolve(card, {"backbone": "L14"})
    said = resolve(card, {"backbone": "L14", "instruction": "describer", "head": "lm"})
    other = resolve(card, {"backbone": "L14", "head": "te"})
    assert (plain.key, plain.title) == (said.key, said.title) == ("backbone=L14", "Exp-CLIP (L/14)")
    assert (other.key, other.title) == ("backbone=L14,head=te", "Exp-CLIP (L/14, TE)")
    assert [variant.key for variant in all_variants(card, {})] == ["backbone=B32", "backbone=B16", "backbone=L14"]


def test_only_the_published_variants_of_a_method_name_a_head_file() -> None:
    card = load().method("exp-clip")
    for axis, values in card.axes.items():
        for value in values:
            head = resolve(card, {"backbone": "L14", axis: value}).card.head
            assert head is not None and head.training is not None
            published = axis in ("backbone", "sides") or value in (card.default[axis],)
            assert bool(head.file) == published


HEADS = {
    "neither": ("", "give a `file`, or the `training`"),
    "no teacher": ('file = "head.pth"\ntext = "teacher"', "named by a `training`"),
    "two spaces": ('file = "head.pth"\nimage = "encoder"', "embeddings of different spaces"),
}


@pytest.mark.parametrize("what", HEADS)
def test_a_head_that_cannot_be_used_makes_a_broken_card(what: str, tmp_path: Path) -> None:
    text, reason = HEADS[what]
    (tmp_path / "mine.toml").write_text(f'kind = "method"\nname = "mine"\nextends = "clip"\n[head]\n{text}\n')
    (broken,) = load([tmp_path]).broken
    assert reason in broken.reason


def test_an_unnamed_axis_needs_a_default(tmp_path: Path) -> None:
    text = 'kind = "method"\nname = "mine"\nextends = "clip"\nunnamed = ["backbone"]\n'
    (tmp_path / "mine.toml").write_text(text)
    (broken,) = load([tmp_path]).broken
    assert "unnamed: 'backbone' has no default value" in broken.reason
