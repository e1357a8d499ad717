"""A hub repository as a method: its folder found, and a card made of what its own files say."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from bench.cards.hub_name import HubName
from bench.cards.method_schema import HubMethodCard
from bench.cards.question_schema import Question
from bench.cards.schema import Weight
from bench.errors import BenchError
from bench.settings import Settings

CARD = "write a card for it: `bench new NAME` makes one to fill in, and its [encoder.weights] may name this folder"
# What a model is built of: settings and vocabularies, and the weights in one format that holds no code.
FILES = ("*.json", "*.txt", "*.model", "*.jinja", "*.safetensors", "*.tiktoken")


def weight_of(name: HubName) -> Weight:
    """Where a repository's files come from, for `bench fetch`."""
    return Weight(hub=name.repository, revision=name.revision, files=FILES)


def method_card(name: HubName, question: Question | None, *, settings: Settings) -> HubMethodCard:
    """The card of a repository that is on this machine.

    Args:
        name: the repository.
        question: what it is asked, if it is a generator.
        settings: where such folders lie.

    Raises:
        WeightsError: it is not here: the places that were looked at, and the command that fetches it.
        BenchError: its files do not say what a card must; what they lack, and how a card is written.
    """
    from bench.models.adapters.hub import facts_of

    found = settings.repository(name)
    weights = str(name)
    try:
        facts = facts_of(found.path)
        if facts["encoder"]["model"] == "generator":
            if question is None:
                raise BenchError("it is to be asked a question, and no default paper has one")
            modes = {"answers": "answer", "likelihood": "likelihood"}
            facts |= {
                "question": question.model_dump(),
                "axes": {"scoring": {title: {"question": {"mode": mode}} for title, mode in modes.items()}},
                "default": {"scoring": "answers"},
            }
        facts["encoder"] |= {"weights": {"model": weights}}
        card = HubMethodCard.model_validate(
            {
                "kind": "method",
                "name": str(name),
                "title": name.folder,
                "page": f"https://huggingface.co/{name.repository}",
                "weights": {weights: weight_of(name).model_dump()},
                **facts,
            }
        )
    except ValidationError as error:
        item = error.errors()[0]
        where = ".".join(map(str, item["loc"]))
        raise BenchError(f"{name}: the files in {found.path} give {where}: {item['msg']}", CARD) from error
    except BenchError as error:
        raise type(error)(f"{name}: {error.what}", error.fix or CARD) from error
    return card.as_read_from(_described_by(found.path))


def _described_by(folder: Path) -> Path:
    """The file that says what the network is."""
    stated = folder / "open_clip_config.json"
    return stated if stated.is_file() else folder / "config.json"
