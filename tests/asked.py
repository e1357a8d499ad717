"""What a network is asked, made by hand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bench.engine.shards import Asks
from bench.models.ask import EMBED, Ask
from bench.store.digests import keys_of


def all_asked(items: Iterable[bytes], asks: tuple[Ask, ...] = (EMBED,)) -> Asks:
    """Every item asked the same."""
    keys = np.sort(keys_of(items))
    return Asks(keys, [asks], np.zeros(len(keys), np.int64))
