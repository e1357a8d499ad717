"""An object of the caller's as a method of a session: its card is made here, and nothing of it is built or loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from bench.cards.method_schema import EncoderFacts, MethodCard
from bench.cards.schema import NAME
from bench.errors import BenchError
from bench.models.live import class_name, kind_of, live_network
from bench.run.session import Session


@dataclass(frozen=True)
class Live:
    """An object that is evaluated, and what a card would say of it.

    Attributes:
        model: what implements a protocol of `bench.models.contract`.
        name: how tables call it.
        size: side of its square input in pixels.
        pixels: how a picture becomes its input, as `[native.pixels]` of a card.
        frames: which frames of a clip it sees, as `[native.frames]`.
        question: what a generator is asked, as `[question]`.
        similarity: `cosine` or `dot`.
        trained_on: names of datasets that it has seen; such a cell is marked.
        stored_as: the name under which its outputs are kept, changed by the caller whenever they do; empty keeps nothing.
    """

    model: Any
    name: str
    size: int = 224
    pixels: Mapping[str, Any] = field(default_factory=dict)
    frames: Mapping[str, Any] = field(default_factory=dict)
    question: Mapping[str, Any] | None = None
    similarity: str = "cosine"
    trained_on: tuple[str, ...] = ()
    stored_as: str = ""

    def card(self) -> MethodCard:
        """Its card.

        Raises:
            BenchError: the object is no model, or a fact is not one that a card may have.
        """
        kind, sees = kind_of(self.model)
        facts = {
            "kind": "method",
            "name": self.name,
            "title": self.name,
            "source": f"an object of {class_name(self.model)}, given to bench.evaluate",
            "trained_on": tuple(self.trained_on),
            "media": ("clip",) if sees == "clips" else ("image", "clip"),
            "encoder": {
                "adapter": f"live {class_name(self.model)}",
                "model": kind,
                "sees": sees,
                "size": self.size,
                "similarity": self.similarity,
            },
            "native": {"pixels": dict(self.pixels), "frames": dict(self.frames)},
            **({} if self.question is None else {"question": dict(self.question)}),
        }
        try:
            return MethodCard.model_validate(facts)
        except ValidationError as error:
            item = error.errors()[0]
            where = ".".join(map(str, item["loc"])) or self.name
            raise BenchError(f"{self.name}: {where}: {item['msg']}", "see `bench.evaluate` for what it takes") from None


def name_of(model: Any) -> str:
    """A name for a model that has none: its class's, as a card may be called."""
    plain = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(model).__name__).lower()).strip("-")
    return plain if re.fullmatch(NAME, plain) else "model"


@contextmanager
def with_live(session: Session, live: Live) -> Iterator[Session]:
    """A session in which the object is a method; what it gives is kept in the session's store, or nowhere.

    Raises:
        BenchError: as `Live.card`; or a card has that name.
    """
    card = live.card()
    if card.name in session.catalog.methods:
        raise BenchError(f"there is a method called {card.name!r} already", "give the object another name")
    facts: EncoderFacts = card.encoder
    network = live_network(card.name, facts, live.model, dtype=session.dtype, stored_as=live.stored_as)
    catalog = replace(session.catalog, methods={**session.catalog.methods, card.name: card})
    with TemporaryDirectory(prefix="fer-bench-") as scratch:
        yield replace(
            session,
            catalog=catalog,
            live={**session.live, card.name: network},
            scratch=None if live.stored_as else Path(scratch),
        )
