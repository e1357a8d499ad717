"""Prompts that a decoder has read once, so that each option of an answer costs its own few tokens and not the picture's."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class PromptCache:
    """The keys and values of a batch of prompts, padded on the left, from which options go on one after the other.

    Args:
        model: a decoder of transformers.
        inputs: what it takes, `input_ids` `[B, P]` and `attention_mask` among it.
    """

    def __init__(self, model: Any, inputs: Mapping[str, Tensor]) -> None:
        self._model = model
        # Where nothing is padded it says nothing, and some architectures count positions of the whole prompt by it.
        self._mask = None if inputs["attention_mask"].all() else inputs["attention_mask"]
        # Without it a large vocabulary takes more memory than the model: a row for every token of the picture.
        takes = inspect.signature(model.forward).parameters
        read = model(**inputs, use_cache=True, **({"logits_to_keep": 1} if "logits_to_keep" in takes else {}))
        self._name = "cache" if "cache" in takes else "past_key_values"  # its name in newer versions, and in older ones
        self._cache = read[self._name] if self._name in read else read["past_key_values"]
        self._next = read.logits[:, -1].float().log_softmax(-1)

    def likelihood(self, rows: Tensor) -> Tensor:
        """`[B]`: the sum of the log-probabilities of the tokens `[B, L]` after the prompts."""
        import torch

        total: Tensor = self._next.gather(-1, rows[:, :1])[:, 0]
        if rows.shape[1] == 1:
            return total
        going = rows[:, :-1]
        mask = None
        if self._mask is not None:
            mask = torch.cat([self._mask, torch.ones_like(going, dtype=self._mask.dtype)], dim=1)
        found = self._model(input_ids=going, attention_mask=mask, use_cache=True, **{self._name: self._cache})
        self._cache.crop(-going.shape[1])  # what the option added is taken out again
        chosen: Tensor = found.logits.float().log_softmax(-1).gather(-1, rows[:, 1:, None])
        return total + chosen[..., 0].sum(-1)
