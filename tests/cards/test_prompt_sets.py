import tomllib
from pathlib import Path

import pytest

from bench.cards.catalog import built_in_root
from bench.cards.prompt_schema import PromptCard
from bench.cards.prompts import texts
from bench.errors import BenchError

SETS = built_in_root() / "methods" / "prompts"
CLASSES = (
    *("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"),
    *("contempt", "anxiety", "helplessness", "disappointment"),
)


def card(name: str) -> PromptCard:
    return PromptCard.model_validate(tomllib.loads((SETS / f"{name}.toml").read_text()))


def written(name: str) -> str:
    """A set as the snapshot writes it: one line per text, under a line for its class."""
    prompts = card(name)
    classes = CLASSES[:7] if "c" in prompts.words else CLASSES
    lines = [f"== {name} ({prompts.combine})"]
    for label, slots in zip(classes, texts(prompts, classes), strict=True):
        lines += [f"-- {label}", *slots]
    return "\n".join(lines) + "\n"


def test_every_text_of_every_set_is_as_recorded() -> None:
    names = sorted(path.stem for path in SETS.glob("*.toml"))

    assert "\n".join(map(written, names)) == (Path(__file__).parent / "snapshot.txt").read_text()


def test_a_set_is_called_as_its_file() -> None:
    assert all(card(path.stem).name == path.stem for path in SETS.glob("*.toml"))


def test_texts_come_in_the_order_of_the_classes_asked_for() -> None:
    assert texts(card("P-2"), ["fear", "anger"]) == [["an expression of fear."], ["an expression of anger."]]


def test_a_class_that_only_a_users_dataset_has_stands_for_itself() -> None:
    assert texts(card("P-1"), ["pain"]) == [["pain."]]


def test_a_placeholder_without_a_word_names_card_placeholder_and_class() -> None:
    with pytest.raises(BenchError, match=r"'P-5' has no word for the placeholder {adjective} of the class 'pain'"):
        texts(card("P-5"), ["anger", "pain"])


def test_a_set_with_class_words_of_its_own_refuses_a_class_that_it_has_no_word_for() -> None:
    with pytest.raises(BenchError, match=r"'fer2013-mteb' has no word for the placeholder {c} of the class 'contempt'"):
        texts(card("fer2013-mteb"), CLASSES[:8])


def test_texts_written_out_are_used_as_they_are() -> None:
    prompts = PromptCard(kind="prompts", name="own", texts={"fear": ("wide {eyes}", "50%")})

    assert texts(prompts, ["fear"]) == [["wide {eyes}", "50%"]]
    with pytest.raises(BenchError, match="'own' has no texts for the class 'anger'"):
        texts(prompts, ["fear", "anger"])


def test_a_broken_template_is_named() -> None:
    with pytest.raises(BenchError, match=r"'own': the template 'a face of {c' is not one"):
        texts(PromptCard(kind="prompts", name="own", templates=("a face of {c",)), ["fear"])
