"""Questions are cards: a method names one, and another is chosen for all generators of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cards.catalog import load
from bench.errors import BenchError
from bench.plan.request import Request, asked
from bench.records.record import open_record

CARD = """
kind = "method"
name = "talker"
media = ["image"]
[encoder]
adapter = "talker.py:Talker"
model = "generator"
size = 16
[question]
{question}
"""
TALKER = """
class Talker:
    def __init__(self, weights, device, dtype): ...

    def answer(self, pixels, question):
        return [question.split(" ")[-1].strip("'")] * len(pixels)

    def loglikelihood(self, pixels, question, options):
        raise NotImplementedError
"""
ASKED = 'kind = "question"\nname = "{name}"\ntemplate = "{words} {{classes}}"\n{more}\n'


def write(cards: Path, question: str) -> Path:
    cards.mkdir(exist_ok=True)
    (cards / "talker.toml").write_text(CARD.format(question=question))
    (cards / "talker.py").write_text(TALKER)
    (cards / "last.toml").write_text(ASKED.format(name="last", words="Which of", more=""))
    (cards / "first.toml").write_text(ASKED.format(name="first", words="Is it", more='order = "reversed"\nquote = ""'))
    return cards


def test_a_method_takes_its_words_from_the_card_that_it_names_and_rules_over_them(tmp_path: Path) -> None:
    card = load([write(tmp_path, 'card = "first"\nquote = "*"')]).method("talker")
    assert card.question is not None
    assert card.question.about(["a", "b"]) == "Is it *b*, *a*" and card.question.mode == "answer"
    broken = load([write(tmp_path, 'card = "frist"')]).broken
    assert "did you mean 'first'" in broken[0].reason
    assert "question.template" in load([write(tmp_path, 'mode = "answer"')]).broken[0].reason


def test_another_question_is_asked_answers_are_kept_apart_and_the_record_names_it(world: Any) -> None:
    write(world.root / "cards", 'card = "last"')
    run = ("--methods", "talker", "--datasets", "tiny-faces")
    assert world.run(*run).code == 0
    answer = world.run(*run, "--question", "first")
    assert answer.code == 0, answer.err
    own, chosen = (open_record(path) for path in world.records())
    (one,), (two,) = own.predictions(), chosen.predictions()
    assert (one.cell.prompt_set, two.cell.prompt_set) == ("question-answer", "first-answer")
    assert set(one.answers or ()) == {"anger"} and set(two.answers or ()) == {"happiness"}
    assert chosen.manifest.choices.question == "first"
    assert chosen.manifest.prompts["talker first-answer"].texts["tiny-faces"] == ["Is it anger, sadness, happiness"]
    world.run(*run, "--question", "first")
    assert open_record(world.records()[-1]).manifest.encoded == {}


def test_a_question_is_refused_where_nobody_answers_it_or_it_is_not_there(tmp_path: Path) -> None:
    catalog = load([write(tmp_path, 'card = "last"')])
    with pytest.raises(BenchError, match="no method that is run is a generator"):
        asked(Request(methods=["clip"], datasets=["raf-db"], question="first"), catalog)
    with pytest.raises(BenchError, match="did you mean 'first'"):
        asked(Request(methods=["talker"], datasets=["raf-db"], question="frist"), catalog).cells(catalog)
