"""What an artifact is made of: the artifact keys and row keys that the store files embeddings, answers and targets under.

Whatever must recompute a row when it changes is in here; whatever must not, is not.
"""

from __future__ import annotations

import hashlib

from bench.cards.dataset_schema import DatasetCard
from bench.cards.input_protocol import FrameSampling
from bench.models.ask import EMBED, Ask
from bench.models.network import Network
from bench.plan.cells import Source
from bench.store.artifacts import ArtifactKey
from bench.store.digests import Keys, keys_of, whole

CorpusKey = tuple[str, str]


def corpus_key(dataset: DatasetCard, rule: FrameSampling) -> CorpusKey:
    """What tells two openings of a dataset apart: its name and, since pictures are the same under any, a clip's rule."""
    return dataset.name, rule.model_dump_json() if dataset.media == "clip" else ""


def text_digest(text: str) -> bytes:
    """The digest that a text's embedding is stored under."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def row_key(item: bytes, ask: Ask) -> bytes:
    """The digest under which the answer to an ask about an item is stored; an embedding answers `EMBED`."""
    return item if ask == EMBED else hashlib.blake2b(item + ask.encoded, digest_size=16).digest()


def row_keys(items: Keys, ask: Ask) -> Keys:
    """The digests under which the answers to an ask about many items are stored."""
    return items if ask == EMBED else keys_of(row_key(item, ask) for item in whole(items))


def asks_of(source: Source, dataset: DatasetCard) -> list[Ask]:
    """What a network is asked about each item of a dataset in a cell, each once."""
    card = source.variant.card
    if card.encoder.model == "dual-encoder":
        return [EMBED]
    if source.question is None:
        return list(dict.fromkeys(Ask(text) for row in source.texts(dataset.classes) for text in row))
    asked = source.question.about(dataset.classes)
    if source.question.mode == "answer":
        return [Ask(asked)]
    return [Ask(asked, name) for name in dataset.classes]


def vision_key(network: Network, source: Source) -> ArtifactKey:
    """What the vision side's output is made of.

    Which frames of a clip were seen is in an item's digest and not here. A network that takes whole clips has the frame rule
    in it too, because how many frames there are decides what the network computes.
    """
    facts = network.facts
    inputs = {**network.identity, "pixels": source.protocol.pixels.model_dump(mode="json"), "size": facts.size}
    if facts.sees == "clips":
        inputs["frames"] = source.protocol.frames.model_dump(mode="json")
    question = source.question
    if question is not None:
        return ArtifactKey("answers" if question.mode == "answer" else "likelihoods", inputs)
    if facts.model == "joint-scorer":
        return ArtifactKey("scores", inputs)
    return ArtifactKey("frames" if facts.sees == "images" else "clips", inputs)


def text_key(network: Network) -> ArtifactKey:
    """What the text side's output is made of."""
    return ArtifactKey("texts", network.identity)
