"""From generated words to a class: a table of cases, and what holds for any words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scoring.answers import FORMS, UNUSABLE, parse, parse_all

SEVEN = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")
EIGHT = (*SEVEN, "contempt")
ELEVEN = (*EIGHT, "anxiety", "helplessness", "disappointment")
NONE = ""

CASES = [
    # a class by its own word, dressed up
    ("happiness", "happiness"),
    ("Happiness", "happiness"),
    ("ANGER", "anger"),
    ("  fear\n", "fear"),
    ("'sadness'", "sadness"),
    ("‘disgust’", "disgust"),
    ('"surprise".', "surprise"),
    ("neutral.", "neutral"),
    ("Answer: contempt", "contempt"),
    ("the answer is (anger)", "anger"),
    ("anxiety</s>", "anxiety"),
    ("**helplessness**", "helplessness"),
    ("disappointment!", "disappointment"),
    ("a-neutral-face", "neutral"),
    # other forms of it
    ("happy", "happiness"),
    ("He looks happily surprised", "happiness"),
    ("joyful", "happiness"),
    ("she is smiling", "happiness"),
    ("a sad man", "sadness"),
    ("angry", "anger"),
    ("the angriest", "anger"),
    ("surprised", "surprise"),
    ("disgusted", "disgust"),
    ("scared", "fear"),
    ("afraid", "fear"),
    ("a fearful woman", "fear"),
    ("contemptuous", "contempt"),
    ("anxious", "anxiety"),
    ("helpless", "helplessness"),
    ("disappointed", "disappointment"),
    # several: a class's own word first, then the earliest
    ("a smiling face full of contempt", "contempt"),
    ("anger and fear", "anger"),
    ("fear and anger", "fear"),
    ("sad or angry", "sadness"),
    ("happy, then sad", "happiness"),
    ("'contempt', 'fear', 'disgust'", "contempt"),
    # denials
    ("not happy", NONE),
    ("not happy but sad", "sadness"),
    ("Not happy. Angry!", "anger"),
    ("no sign of anger, neutral", "neutral"),
    ("he isn't sad", NONE),
    ("he isn’t sad, he is surprised", "surprise"),
    ("neither happy nor sad: neutral", "neutral"),
    ("no happiness or sadness, just fear", "fear"),
    ("does not look happy", NONE),
    ("without any trace of fear", NONE),
    ("not only happy", "happiness"),
    ("not sure, maybe anger", "anger"),
    ("anger, not fear", "anger"),
    # nothing
    ("", NONE),
    ("   ", NONE),
    ("?!.", NONE),
    ("yes", NONE),
    ("unhappy", NONE),
    ("saddle", NONE),
    ("what happened", NONE),
    ("fearless", NONE),
    ("a man with a beard", NONE),
    (", ".join(f"'{name}'" for name in ELEVEN), NONE),
]


@pytest.mark.parametrize(("answer", "name"), CASES, ids=[repr(answer) for answer, _ in CASES])
def test_an_answer_names_its_class(answer: str, name: str) -> None:
    assert parse(answer, ELEVEN) == (ELEVEN.index(name) if name else UNUSABLE)


def test_a_word_for_a_class_that_was_not_offered_names_nothing() -> None:
    assert parse("contempt", SEVEN) == UNUSABLE
    assert parse("contemptuous and angry", SEVEN) == SEVEN.index("anger")


def test_an_answer_that_repeats_the_whole_list_has_chosen_none_of_it() -> None:
    assert parse("happiness, sadness, neutral, anger, surprise, disgust, fear", SEVEN) == UNUSABLE
    assert parse("happiness, sadness, neutral, anger, surprise, disgust, fear", EIGHT) == 0


def test_classes_named_by_adjectives_are_found_by_their_nouns() -> None:
    assert parse("full of happiness", ("angry", "happy")) == 1


def test_a_class_of_several_words_is_found_as_a_whole_and_goes_before_its_first_word() -> None:
    assert parse("a fearful surprise", ("surprise", "fearful surprise")) == 1
    assert parse("Fearful_Surprise", ("surprise", "fearful surprise")) == 1


def test_a_class_of_which_nothing_is_known_is_named_by_its_own_word_alone() -> None:
    assert parse("I see boredom here", ("boredom", "anger")) == 0
    assert parse("I see a bored man", ("boredom", "anger")) == UNUSABLE


def test_answers_are_parsed_in_order() -> None:
    assert parse_all(["sad", "nothing", "fear"], SEVEN) == [1, UNUSABLE, 6]


def test_no_form_belongs_to_two_classes() -> None:
    forms = [form for line in FORMS for form in line.split()]
    assert len(forms) == len(set(forms))
    assert {line.split()[0] for line in FORMS} == set(ELEVEN)


letters = st.text(st.characters(max_codepoint=126))
words = st.lists(
    st.sampled_from([*" ".join(FORMS).split(), "not", "or", "nor", ",", ".", "a", "looks", "isn't", "xyz"]), max_size=12
).map(" ".join)


@given(letters | words)
def test_upper_and_lower_case_are_alike(answer: str) -> None:
    assert parse(answer.upper(), ELEVEN) == parse(answer, ELEVEN) == parse(answer.lower(), ELEVEN)


@given(st.text(), st.lists(st.text(max_size=8), max_size=5))
def test_any_words_about_any_classes_give_a_class_or_nothing(answer: str, classes: list[str]) -> None:
    assert UNUSABLE <= parse(answer, classes) < len(classes)


@given(words, st.sampled_from(ELEVEN))
def test_what_follows_a_class_named_first_by_its_own_word_changes_nothing(rest: str, name: str) -> None:
    found = parse(f"{name}. {rest}", ELEVEN)
    every = {line.split()[0]: set(line.split()) & {name, *rest.split()} for line in FORMS}
    assert found == ELEVEN.index(name) or (found == UNUSABLE and all(every.values()))


@given(st.sampled_from(ELEVEN), st.sampled_from(["", "'", '"', "*", "(", "["]))
def test_every_class_answers_for_itself_in_any_quotation_marks(name: str, mark: str) -> None:
    assert parse(f"{mark}{name.title()}{mark}.", ELEVEN) == ELEVEN.index(name)
