"""Any image-text-to-text model that transformers knows (LLaVA, Qwen-VL, InternVL, Gemma and later ones), from a card alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, WeightsError
from bench.models.adapters.prompt_cache import PromptCache
from bench.models.adapters.transformers_folder import check_report
from bench.models.tensors import torch_dtype

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

QUESTION = "{question}"
# How near log-likelihoods from a cache are to those of one pass, by bytes a number: rounding apart, a wrong one is off by whole nats.
CLOSE = {4: 1e-3, 2: 5e-2}

log = logging.getLogger(__name__)


class ImageTextToText:
    """A generator (`bench.models.contract.Generator`).

    The model's own processor prepares the picture: the card states a protocol that does not normalise, and the 8-bit
    picture is rebuilt from its pixels exactly. The question goes through the processor's chat template, or through
    `prompt` where the card gives one. A likelihood counts the closing token too: it is that of the option as the whole
    answer.

    Args:
        weights: `model` -> hub folder with config.json, safetensors, the processor's and the tokenizer's files.
        device: torch's name.
        dtype: precision of the whole model.
        num_beams: beams of the search; 1 takes the likeliest token at each step.
        max_new_tokens: longest answer, in tokens.
        prompt: the text before the answer, with the model's own image token and `{question}`, instead of a template.
        option_prefix: put before each option whose likelihood is asked for: a space, where the tokenizer has another
            token for a word at the start of a line.

    Raises:
        WeightsError: the folder holds no model that this transformers can build without code from the folder, or its
            weights do not fit.
        BenchError: there is neither a chat template nor a prompt.
    """

    version = "1"

    def __init__(
        self,
        weights: Mapping[str, Path],
        device: str = "cpu",
        dtype: str = "float32",
        *,
        num_beams: int = 1,
        max_new_tokens: int = 30,
        prompt: str = "",
        option_prefix: str = "",
    ) -> None:
        folder = weights["model"]
        self._device, self._dtype = device, torch_dtype(dtype)
        self._processor = opened(folder)
        self._tokenizer = self._processor.tokenizer
        self._tokenizer.padding_side = "left"
        if not prompt and not getattr(self._processor, "chat_template", None):
            raise BenchError(
                f"the processor in {folder} has no chat template",
                "state `prompt` in the card's [encoder.options], with the model's image token and {question}",
            )
        if prompt and QUESTION not in prompt:
            raise BenchError(f"prompt = {prompt!r} has no {QUESTION}", "write {question} where the question goes")
        self._prompt, self._option_prefix = prompt, option_prefix
        self._model = _loaded(folder, self._dtype).to(device).requires_grad_(False).eval()
        self._settings = {
            "num_beams": num_beams,
            "max_new_tokens": max_new_tokens,
            "do_sample": False,
            "use_cache": True,
        }
        self._cached: bool | None = None
        self._sequence_to_sequence = bool(
            self._model.config.is_encoder_decoder or self._model.config.get_text_config().is_encoder_decoder
        )

    def answer(self, pixels: Tensor, question: str) -> list[str]:
        """Answer `question` for each of `[B, 3, H, W]` in [0, 1]; the raw text, unparsed."""
        import torch

        inputs = self._inputs(pixels, question)
        with torch.inference_mode():
            tokens = self._model.generate(**inputs, **self._settings)
        if not self._sequence_to_sequence:
            tokens = tokens[:, inputs["input_ids"].shape[1] :]
        texts: list[str] = self._processor.batch_decode(tokens, skip_special_tokens=True)
        return texts

    def loglikelihood(self, pixels: Tensor, question: str, options: Sequence[str]) -> Tensor:
        """Log-likelihood `[B, M]` of each option as the answer, in nats, summed over its tokens and the closing one."""
        import torch

        inputs = self._inputs(pixels, question)
        tokens = [self._option(text).repeat(len(pixels), 1) for text in options]
        with torch.inference_mode():
            if self._sequence_to_sequence or not self._goes_on_from_a_cache(inputs, tokens[0]):
                return torch.stack([self._likelihood(inputs, rows) for rows in tokens], dim=1)
            prompts = PromptCache(self._model, inputs)
            return torch.stack([prompts.likelihood(rows) for rows in tokens], dim=1)

    def cache_bytes(self, pixels: Tensor, question: str) -> int:
        """Bytes of keys and values that each of `[B, 3, H, W]` takes, from its picture's tokens to the end of the longest answer."""
        config = self._model.config.get_text_config(decoder=True)
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        tokens = self._inputs(pixels[:1], question)["input_ids"].shape[1] + int(self._settings["max_new_tokens"])
        each = 2 * config.num_hidden_layers * heads * width * self._dtype.itemsize
        return int(tokens * each * self._settings["num_beams"])

    def _goes_on_from_a_cache(self, inputs: Mapping[str, Tensor], rows: Tensor) -> bool:
        """Whether the model gives from a cache what it gives in one pass; tried once, with one option of the first batch.

        Not every architecture does: some keep a part of the past only, or put other tokens in the place of the picture's.
        """
        if self._cached is None:
            try:
                found = PromptCache(self._model, inputs).likelihood(rows)
            except Exception:  # whatever it fails with, the way without a cache is always there
                self._cached = False
            else:
                whole = self._likelihood(inputs, rows)
                bound = CLOSE[self._dtype.itemsize] * (1 + whole.abs())
                self._cached = bool(((found - whole).abs() <= bound).all())
            if not self._cached:
                log.info(
                    "%s: every option is a pass of its own, since it cannot go on from a cache",
                    type(self._model).__name__,
                )
        return self._cached

    def _likelihood(self, inputs: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """`[B]`: the sum of the log-probabilities of one option's tokens `[B, L]` after the inputs, in a pass of its own."""
        import torch

        if self._sequence_to_sequence:
            logits = self._model(**inputs, labels=rows).logits
        else:
            logits = self._model(**_lengthened(inputs, rows)).logits[:, -rows.shape[1] - 1 : -1]
        chosen = logits.float().log_softmax(-1).gather(-1, rows[..., None])
        return torch.sum(chosen[..., 0], dim=-1)

    def _option(self, text: str) -> Tensor:
        """One option's tokens with the closing one, `[L]`."""
        import torch

        ids = self._tokenizer(self._option_prefix + text, add_special_tokens=False).input_ids
        closing = self._model.generation_config.eos_token_id
        if closing is None:
            closing = self._tokenizer.eos_token_id
        end = closing[0] if isinstance(closing, list) else closing
        return torch.tensor([*ids, end], device=self._device)

    def _inputs(self, pixels: Tensor, question: str) -> dict[str, Tensor]:
        """What the model takes, for a batch of pictures and one question."""
        from PIL import Image

        images = [Image.fromarray(picture) for picture in eight_bit(pixels)]
        text = self._text(question)
        begins = self._tokenizer.bos_token
        batch = self._processor(
            images=[[image] for image in images],
            text=[text] * len(images),
            return_tensors="pt",
            padding=True,
            # A template that writes the opening token itself must not get a second one.
            add_special_tokens=not (begins and text.startswith(begins)),
        )
        moved = {key: value.to(self._device) for key, value in batch.items()}
        return {key: value.to(self._dtype) if value.is_floating_point() else value for key, value in moved.items()}

    def _text(self, question: str) -> str:
        if self._prompt:
            return self._prompt.replace(QUESTION, question)
        content = [{"type": "image"}, {"type": "text", "text": question}]
        text: str = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return text


def eight_bit(pixels: Tensor) -> np.ndarray[Any, Any]:
    """The 8-bit pictures `[B, H, W, 3]` that pixels `[B, 3, H, W]` in [0, 1] were made of, exactly.

    Raises:
        BenchError: they were not made of 8-bit pictures by division by 255: the protocol normalises.
    """
    import torch

    levels = pixels.detach().to("cpu", torch.float32) * 255
    whole = levels.round()
    if not (
        levels.isfinite().all() and whole.ge(0).all() and whole.le(255).all() and (levels - whole).abs().max() < 1e-2
    ):
        raise BenchError(
            "this model's own processor normalises, and was given pixels that are not those of an 8-bit picture divided by 255",
            "state a protocol without mean and std in the card's [native.pixels]",
        )
    return whole.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def _lengthened(inputs: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """Inputs whose sequence goes on with these tokens: attended to, and text in any other token-wise table."""
    import torch

    shape = inputs["input_ids"].shape
    longer = dict(inputs)
    for key, value in inputs.items():
        if value.shape[:2] == shape and value.ndim == 2:
            added = rows if key == "input_ids" else torch.full_like(rows, 1 if key == "attention_mask" else 0)
            longer[key] = torch.cat([value, added.to(value.dtype)], dim=1)
    return longer


def opened(folder: Path) -> Any:
    """A hub folder's processor; raises `WeightsError` where it holds none that can be loaded without code from it."""
    from transformers import AutoProcessor

    processors: Any = AutoProcessor
    try:
        return processors.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise WeightsError(
            f"{folder} holds no processor that can be loaded: {type(error).__name__}: {error}",
            "give the whole hub folder; a model that needs code from its folder is not run",
        ) from error


def _loaded(folder: Path, dtype: Any) -> Any:
    from transformers import AutoModelForImageTextToText

    models: Any = AutoModelForImageTextToText
    try:
        model, report = models.from_pretrained(
            str(folder), dtype=dtype, local_files_only=True, trust_remote_code=False, output_loading_info=True
        )
    except Exception as error:
        raise WeightsError(
            f"{folder} holds no image-text-to-text model that can be loaded: {type(error).__name__}: {error}",
            "give a hub folder of a model that this version of transformers knows; code from the folder is not run",
        ) from error
    check_report(report, model, folder)
    return model
