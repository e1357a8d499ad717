"""A BLIP-2 as the teacher: what BLIP-2's language model makes of a face and an instruction, before it answers.

A face goes through the image tower, the Q-Former and a projection and so becomes 32 tokens; the instruction's token
embeddings follow, its closing token included; the Flan-T5 encoder reads both, and the mean over all of its outputs (after
its last layer norm) is the face's target. The decoder is never used (zengqunzhao/Exp-CLIP models/BLIP2_T5.py).

The work is cut where instructions part: `queries` (tower and Q-Former) is done once per face and stored before the
projection, where it is smallest; `targets` is done once per face and instruction.

In the published run dropout was active in the Q-Former and in Flan-T5 while they made the targets, and never in the image
tower. `dropout=True` does so; every mask is drawn from the seed of its own row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cards.head_training import Instruction
from bench.errors import BenchError
from bench.models.adapters.blip2 import Blip2
from bench.models.tensors import check_images

if TYPE_CHECKING:
    from torch import Tensor


class Teacher:
    """BLIP-2's image side and its language model's encoder.

    Args:
        weights: as `bench.models.adapters.blip2.Blip2` takes them.
        device: torch's name.
        dtype: of the image tower; in half precision Flan-T5 runs in bfloat16 and the Q-Former in float32.
        instruction: as `bench.cards.head_training.Instruction`: with it the teacher is a dual encoder too, and can stand on a
            side of a comparison in the encoder's place.

    Raises:
        WeightsError: a file is missing or cannot be read, or does not fit the network.
        BenchError: the instruction is noise, which is drawn for the faces of a training.
    """

    version = "1"
    # It has no factor of its own, and on a side alone a factor changes no decision.
    logit_scale = 1.0

    def __init__(
        self,
        weights: Mapping[str, Path],
        device: str = "cpu",
        dtype: str = "float32",
        *,
        instruction: Mapping[str, Any] | None = None,
    ) -> None:
        self._told = None if instruction is None else Instruction.model_validate(instruction)
        if self._told is not None and self._told.noise is not None:
            raise BenchError("an instruction of noise cannot stand on a side", "choose an instruction with a text")
        whole = Blip2(weights, device, dtype)
        network: Any = whole._model
        network.qformer.set_attn_implementation("eager")
        network.language_model.set_attn_implementation("eager")
        self._tokenizer: Any = whole._tokenizer
        self._device, self._dtype = device, whole._dtype
        self.size: int = network.config.vision_config.image_size
        self._tower, self._qformer = network.vision_model, network.qformer
        self._query_tokens, self._projection = network.query_tokens, network.language_projection
        self._encoder = network.language_model.get_encoder()

    @property
    def shape(self) -> tuple[int, int]:
        """How many query outputs a face has, and how wide each is."""
        return int(self._query_tokens.shape[1]), int(self._query_tokens.shape[2])

    def see(self, pixels: Tensor) -> Tensor:
        """The image tower's outputs `[B, P, V]` float32 for pictures `[B, 3, S, S]`; dropout never acts on them."""
        import torch

        check_images(pixels, self.size)
        with torch.inference_mode():
            seen: Tensor = self._tower(pixel_values=pixels.to(self._device, self._dtype)).last_hidden_state.float()
        return seen

    def queries(self, seen: Tensor, seeds: Sequence[int], *, dropout: bool = False) -> Tensor:
        """The Q-Former's outputs `[B, Q, W]` float32, before their projection.

        Args:
            seen: what `see` gave.
            seeds: one per row; without dropout they are not used.
            dropout: whether it is active.
        """
        import torch

        with torch.inference_mode(), self._drawing(self._qformer, seeds, dropout):
            asked = self._query_tokens.expand(len(seen), -1, -1)
            found: Tensor = self._qformer(query_embeds=asked, encoder_hidden_states=seen).last_hidden_state
        return found.float()

    def targets(
        self, queries: Tensor, instruction: Instruction, seeds: Sequence[int], *, dropout: bool = False
    ) -> Tensor:
        """The pooled encoder outputs `[B, H]` float32, not normalised.

        Args:
            queries: `[B, Q, W]` from `queries`.
            instruction: what the teacher is told.
            seeds: one per row, for dropout and for an instruction of noise.
            dropout: whether it is active.

        Raises:
            BenchError: the instruction is longer than the tokenizer's limit.
        """
        import torch

        from bench.models.draws import mixed, noise

        with torch.inference_mode():
            words = self._encoder.get_input_embeddings()(self._tokens(instruction.text))
            told = words.expand(len(queries), -1, -1)
            if instruction.noise is not None:
                drawn = noise(tuple(words.shape[1:]), [mixed(seed, instruction.noise) for seed in seeds])
                told = drawn.to(words)
            tokens = self._projection(queries.to(self._device)).to(told.dtype)
            return self._pooled(torch.cat([tokens, told], dim=1), seeds, dropout)

    def encode_images(self, pixels: Tensor) -> Tensor:
        """The pooled encoder outputs `[B, H]` float32 for pictures `[B, 3, S, S]` and the instruction it was built with.

        Raises:
            BenchError: it was built without one.
        """
        if self._told is None:
            raise BenchError("a teacher without an instruction", "build it with one")
        nobody = [0] * len(pixels)  # without dropout and noise nothing is drawn
        return self.targets(self.queries(self.see(pixels), nobody), self._told, nobody)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """The mean `[M, H]` float32 over each text's own encoder outputs, without any picture.

        Raises:
            BenchError: a text is longer than the tokenizer's limit.
        """
        import torch

        with torch.inference_mode():
            embeddings = self._encoder.get_input_embeddings()
            return torch.cat([self._pooled(embeddings(self._tokens(text)), (), False) for text in texts])

    def _pooled(self, embeddings: Tensor, seeds: Sequence[int], dropout: bool) -> Tensor:
        import torch

        outputs: list[Tensor] = []
        # After this norm comes one more dropout, which the published targets do not have.
        hook = self._encoder.final_layer_norm.register_forward_hook(lambda *call: outputs.append(call[2]))
        mask = torch.ones(embeddings.shape[:2], dtype=torch.long, device=embeddings.device)
        try:
            with self._drawing(self._encoder, seeds, dropout):
                self._encoder(inputs_embeds=embeddings, attention_mask=mask)
        finally:
            hook.remove()
        return outputs[0].float().mean(dim=1)

    def _tokens(self, text: str) -> Tensor:
        found: Tensor = self._tokenizer(text, return_tensors="pt", verbose=False).input_ids
        limit = self._tokenizer.model_max_length
        if found.shape[1] > limit:
            raise BenchError(
                f"an instruction of {found.shape[1]} tokens, and this teacher's tokenizer allows {limit}: {text[:80]!r} ...",
                "shorten the instruction",
            )
        return found.to(self._device)

    @contextmanager
    def _drawing(self, module: Any, seeds: Sequence[int], dropout: bool) -> Iterator[None]:
        from bench.models.draws import RowDropout

        module.train(dropout)
        with RowDropout(seeds, self._device) if dropout else nullcontext():
            yield
