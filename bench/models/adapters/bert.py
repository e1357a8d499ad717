"""BERT's word pieces: from the files beside a checkpoint, and texts in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.errors import WeightsError

TEXTS_AT_ONCE = 256
_FILES = ("vocab.txt", "tokenizer.json")


def word_pieces(folder: Path, vocabulary: int) -> Any:
    """Transformers' `BertTokenizer` of a folder.

    Args:
        folder: holds one of `vocab.txt` and `tokenizer.json`; without either transformers would make an empty one.
        vocabulary: number of entries in the network's table of token embeddings.

    Raises:
        WeightsError: there is no vocabulary, or it has more entries than the network knows.
    """
    from transformers import BertTokenizer

    if not any((folder / name).is_file() for name in _FILES):
        raise WeightsError(
            f"{folder} holds no vocabulary: neither {' nor '.join(_FILES)}",
            "put the vocabulary of bert-base-uncased there (vocab.txt of its hub repository)",
        )
    tokenizer = BertTokenizer.from_pretrained(str(folder))
    if len(tokenizer) > vocabulary:
        raise WeightsError(
            f"the vocabulary in {folder} has {len(tokenizer)} entries, and the network knows {vocabulary}",
            "use the vocabulary that the network was trained with, bert-base-uncased's",
        )
    return tokenizer


def coded(tokenizer: Any, texts: Sequence[str], length: int, device: str) -> Iterator[Any]:
    """Texts as batches of transformers' inputs `[N, length]` on a device, padded or cut to that many word pieces."""
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        yield tokenizer(
            list(texts[start : start + TEXTS_AT_ONCE]),
            padding="max_length",
            max_length=length,
            truncation=True,
            return_tensors="pt",
        ).to(device)
