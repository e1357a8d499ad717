"""Pictures, clips and texts that belong to no dataset, through a method's encoder and head; nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.cards.prompts import texts as prompt_texts
from bench.data.loader import stream
from bench.data.samples import Media
from bench.data.sampling import frames_of
from bench.data.stills import Item
from bench.engine.device_encoder import DEFAULT_BATCH, DeviceEncoder
from bench.errors import BenchError, DataError
from bench.heads.heads import Floats, Head
from bench.models.network import encode_texts
from bench.plan.cells import Source
from bench.run.heads import Heads
from bench.run.session import Session
from bench.scoring.zeroshot import logits, pool, softmax


def embed_media(
    session: Session, source: Source, media: Sequence[Media], *, device: str, batch: int | None, projected: bool = False
) -> Floats:
    """One row per input: the mean over its frames as a viewer shows them, through the head first where `projected`.

    Raises:
        DataError: a file cannot be read.
    """
    import torch

    network = session.side(source.variant, "image")
    pixels = source.protocol.pixels.model_copy(update={"orientation": "shown"})
    tower = DeviceEncoder(network, network.load(device), pixels, device)
    together = batch or DEFAULT_BATCH  # a few files are encoded sooner than a batch size is found
    heads = Heads(session)
    rows = []
    for each in media:
        frames = frames_of(each, source.protocol.frames, session.digest_cache)
        per_frame = network.facts.sees == "images"
        items = [Item(str(n).encode(), (ref,)) for n, ref in enumerate(frames)] if per_frame else [Item(b"0", frames)]
        done = []
        for part in stream(items, pixels, network.facts.size, workers=session.workers, batch=together):
            if part.failures:
                raise DataError(part.failures[0].reason, "name a file that can be read")
            done.append(tower(torch.from_numpy(part.pixels)))
        embedded = np.concatenate(done)[None]
        head = heads.head(source.variant, "image", embedded.shape[-1])
        pooled = pool(embedded, head)
        rows.append(head.project(pooled) if projected and head is not None and head.linear else pooled)
    return np.concatenate(rows)


def embed_texts(
    session: Session, source: Source, texts: Sequence[str], *, device: str, projected: bool = False
) -> Floats:
    """One row per text, through the head where `projected`."""
    network = session.side(source.variant, "text")
    rows = encode_texts(network, network.load(device), texts)
    head: Head | None = Heads(session).head(source.variant, "text", rows.shape[1]) if projected else None
    return rows if head is None else head.project(rows)


def probabilities(
    session: Session, source: Source, media: Sequence[Media], classes: Sequence[str], *, device: str, batch: int | None
) -> Floats:
    """Softmax of the scores `[len(media), K]`.

    Raises:
        BenchError: the method is not a dual encoder.
    """
    network = session.side(source.variant, "image")
    if network.facts.model != "dual-encoder":
        raise BenchError(f"{source.variant} is a {network.facts.model}", "bench predict takes dual encoders")
    pooled = embed_media(session, source, media, device=device, batch=batch)
    spoken = session.side(source.variant, "text")
    model = spoken.load(device)
    texts = [encode_texts(spoken, model, row) for row in prompt_texts(source.prompts, classes)]
    heads = Heads(session)
    text_head = heads.head(source.variant, "text", texts[0].shape[1])
    scores = logits(
        pooled,
        texts if text_head is None else [text_head.project(text) for text in texts],
        heads.head(source.variant, "image"),
        combine=source.combine,
        similarity=network.facts.similarity,
        scale=float(model.logit_scale),
    )
    return np.asarray(softmax(scores), np.float32)
