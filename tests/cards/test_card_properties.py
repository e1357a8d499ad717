"""Whatever a card says, it is admitted or listed as broken, and takes no other with it; a variant's name means that variant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bench.cards.catalog import SCHEMAS, load
from bench.cards.variant import all_variants, parse, resolve

CATALOG = load()
VARIANTS = [variant for card in CATALOG.methods.values() for variant in all_variants(card, {})]
FIELDS = sorted({name for schema in SCHEMAS.values() for name in schema.model_fields} - {"kind"})
values: Any = st.recursive(
    st.text(max_size=8) | st.integers(-9, 9) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=5,
)
cards = st.tuples(st.sampled_from(sorted(SCHEMAS)), st.dictionaries(st.sampled_from(FIELDS), values, max_size=6))


def toml(value: Any) -> str:
    """Inline TOML; a JSON text is a TOML text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value).replace("\\ud", "\\ue") if isinstance(value, str) else json.dumps(value)


@settings(max_examples=6, phases=[Phase.generate])
@given(drawn=st.lists(cards, min_size=10, max_size=20))
def test_whatever_a_card_says_it_is_admitted_or_listed_as_broken(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, dict[str, Any]]]
) -> None:
    folder: Path = tmp_path_factory.mktemp("cards")
    for number, (kind, facts) in enumerate(drawn):
        lines = [f'kind = "{kind}"', *(f"{key} = {toml(value)}" for key, value in facts.items())]
        (folder / f"card{number}.toml").write_text("\n".join(lines), encoding="utf-8")
    catalog = load([folder])
    mine = sum(origin == str(folder) for origin in catalog.origins.values())
    assert len(catalog.broken) + mine <= len(drawn)
    assert set(catalog.methods) >= set(CATALOG.methods) and set(catalog.datasets) >= set(CATALOG.datasets)
    assert all(broken.reason and broken.path.startswith(str(folder)) for broken in catalog.broken)


@given(st.sampled_from(VARIANTS))
def test_a_variants_name_means_that_variant(variant: Any) -> None:
    name, axes = parse(str(variant))
    again = resolve(CATALOG.method(name), axes)
    assert (again.key, again.title, again.card) == (variant.key, variant.title, variant.card)


@pytest.mark.parametrize("value", ["nan", "1979-05-27", "[inf]"])
def test_an_option_that_cannot_be_part_of_a_key_makes_a_broken_card(tmp_path: Path, value: str) -> None:
    text = 'kind = "method"\nname = "mine"\n[encoder]\nadapter = "a.b:C"\noptions = { since = VALUE }\n'
    (tmp_path / "mine.toml").write_text(text.replace("VALUE", value))
    (broken,) = load([tmp_path]).broken
    assert "encoder.options: options are numbers, texts" in broken.reason
