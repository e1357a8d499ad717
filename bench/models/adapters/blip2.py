"""BLIP-2 with Flan-T5 on transformers, from a converted hub folder or from LAVIS' own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import WeightsError
from bench.models import checkpoint
from bench.models.adapters import lavis
from bench.models.tensors import check_images, torch_dtype

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# LAVIS normalises the image features with torch's own eps; a converted folder has one eps for the whole tower.
_LN_VISION_EPS = 1e-5
# Old T5 files carry a table that no version of the network uses.
_UNUSED = ("language_model.decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.",)
_TOKENIZER_FILES = ("tokenizer.json", "spiece.model")
_EMBEDDING = "language_model.shared.weight"
_TIED = ("language_model.encoder.embed_tokens.weight", "language_model.decoder.embed_tokens.weight")


class Blip2:
    """A generator (`bench.models.contract.Generator`).

    The 32 projected query outputs are put before the question's token embeddings, as in LAVIS' `Blip2T5.generate`,
    whose defaults the generation settings are. Generation is a beam search without sampling, so an answer depends on
    its picture alone. A likelihood counts the closing token too: it is that of the option as the whole answer.

    Args:
        weights: `model` -> hub folder (config.json, weights, tokenizer); or LAVIS' `.pth`, and then `language` -> the hub
            folder of its Flan-T5, and `vision` -> the image tower's file where the first holds none.
        device: torch's name.
        dtype: of the image tower. In half precision Flan-T5 runs in bfloat16 (float16 overflows in it) and the Q-Former
            in float32, as published. Flan-T5's weights are rounded to bfloat16 in any case, as LAVIS does.
        num_beams: beams of the search.
        max_new_tokens: longest answer, in tokens.
        min_length: shortest answer, in tokens.

    Raises:
        WeightsError: a file is missing or cannot be read, or does not fit the network.
    """

    version = "1"

    def __init__(
        self,
        weights: Mapping[str, Path],
        device: str = "cpu",
        dtype: str = "float32",
        *,
        num_beams: int = 5,
        max_new_tokens: int = 30,
        min_length: int = 1,
    ) -> None:
        source = weights["model"]
        self._device, self._dtype = device, torch_dtype(dtype)
        if source.is_dir():
            model, state = _from_hub(source)
            words = source
        else:
            words = _role(weights, "language", source)
            model, state = _from_lavis(source, weights.get("vision"), words)
        _fill(model, state, source=source, device=device, dtype=self._dtype)
        model.vision_model.post_layernorm.eps = _LN_VISION_EPS
        self._model = model.requires_grad_(False).eval()
        self._size: int = model.config.vision_config.image_size
        self._tokenizer = _tokenizer(words)
        self._generation = _generation(model.config.text_config, num_beams, max_new_tokens, min_length)

    def answer(self, pixels: Tensor, question: str) -> list[str]:
        """Answer `question` for each of `[B, 3, S, S]`; the raw text, unparsed."""
        import torch

        with torch.inference_mode():
            embeddings, mask = self._prompt(pixels, question)
            tokens = self._model.language_model.generate(
                inputs_embeds=embeddings, attention_mask=mask, generation_config=self._generation
            )
        texts: list[str] = self._tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return texts

    def loglikelihood(self, pixels: Tensor, question: str, options: Sequence[str]) -> Tensor:
        """Log-likelihood `[B, M]` of each option as the answer, in nats, summed over its tokens and the closing one."""
        import torch

        language = self._model.language_model
        with torch.inference_mode():
            embeddings, mask = self._prompt(pixels, question)
            encoded = language.get_encoder()(inputs_embeds=embeddings, attention_mask=mask, return_dict=True)
            columns = []
            for option in options:
                labels = self._tokens(option).repeat(len(pixels), 1)
                logits = language(encoder_outputs=encoded, attention_mask=mask, labels=labels).logits.float()
                chosen = logits.log_softmax(-1).gather(-1, labels[..., None])
                columns.append(chosen[..., 0].sum(-1))
            return torch.stack(columns, dim=1)

    def _tokens(self, text: str) -> Tensor:
        """The tokens of one text with the closing one, `[1, L]`."""
        tokens: Tensor = self._tokenizer(text, return_tensors="pt").input_ids
        return tokens.to(self._device)

    def _prompt(self, pixels: Tensor, question: str) -> tuple[Tensor, Tensor]:
        """What the language model's encoder reads: query outputs, then the question; and the mask, all ones."""
        import torch

        check_images(pixels, self._size)
        model = self._model
        seen = model.vision_model(pixel_values=pixels.to(self._device, self._dtype)).last_hidden_state.float()
        queries = model.query_tokens.expand(len(pixels), -1, -1)
        found = model.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
        asked = model.language_model.get_input_embeddings()(self._tokens(question)).expand(len(pixels), -1, -1)
        embeddings = torch.cat([model.language_projection(found).to(asked.dtype), asked], dim=1)
        return embeddings, torch.ones(embeddings.shape[:2], dtype=torch.long, device=embeddings.device)


def _role(weights: Mapping[str, Path], role: str, source: Path) -> Path:
    if role not in weights:
        raise WeightsError(
            f"{source} is a LAVIS file, which holds no tokenizer and, as published, no language model",
            f"name the hub folder of its Flan-T5 as `{role}` in the card's [encoder.weights]",
        )
    return weights[role]


def _from_hub(folder: Path) -> tuple[Any, checkpoint.StateDict]:
    from transformers import Blip2Config

    if not (folder / "config.json").is_file():
        raise WeightsError(f"{folder} holds no config.json", "give the whole hub folder as the weights")
    config: Any = Blip2Config.from_pretrained(str(folder))
    if config.use_decoder_only_language_model:
        raise WeightsError(
            f"{folder} is a BLIP-2 with {config.text_config.model_type!r}, not with a T5",
            "use bench.models.adapters.vlm:ImageTextToText for it",
        )
    return _network(config), checkpoint.state_dict(folder)


def _from_lavis(source: Path, vision: Path | None, language: Path) -> tuple[Any, checkpoint.StateDict]:
    from transformers import Blip2Config

    parts = lavis.read(source, vision, language)
    config = Blip2Config(**lavis.configuration(parts, source))
    model = _network(config)
    if parts.tower == "clip":
        model.vision_model = _clip_tower(config.vision_config)
    return model, lavis.renamed(parts)


def _network(config: Any) -> Any:
    from transformers import Blip2ForConditionalGeneration

    with checkpoint.uninitialized():
        return Blip2ForConditionalGeneration(config)


def _clip_tower(facts: Any) -> Any:
    """CLIP's image tower under the interface of BLIP-2's: the tokens after its last block, then `ln_vision`."""
    from torch import nn
    from transformers import CLIPVisionConfig, CLIPVisionModel
    from transformers.modeling_outputs import BaseModelOutput

    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")
    config = CLIPVisionConfig(**{name: getattr(facts, name) for name in names}, hidden_act="quick_gelu")

    class Tower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            tower = CLIPVisionModel(config)
            self.clip = getattr(tower, "vision_model", tower)
            self.clip.post_layernorm = nn.Identity()
            self.post_layernorm = nn.LayerNorm(config.hidden_size)

        def forward(self, pixel_values: Tensor) -> Any:
            seen = self.clip(pixel_values=pixel_values).last_hidden_state
            return BaseModelOutput(last_hidden_state=self.post_layernorm(seen))

    with checkpoint.uninitialized():
        return Tower()


def _fill(model: Any, state: checkpoint.StateDict, *, source: Path, device: str, dtype: torch.dtype) -> None:
    """Put every tensor in its place, on its device and in its part's precision, one at a time.

    The network's own memory is never written to: of a file of 50 GB nothing is held twice.
    """
    import torch

    state = {key: tensor for key, tensor in state.items() if not key.startswith(_UNUSED)}
    embedding = next((state[key] for key in (_EMBEDDING, *_TIED) if key in state), None)
    if embedding is not None:
        state = {**dict.fromkeys((_EMBEDDING, *_TIED), embedding), **state}
        text = model.config.text_config
        # Later transformers say True for every T5, and keep what the file's configuration said under the other name.
        if getattr(text, "scale_decoder_outputs", text.tie_word_embeddings):
            state.setdefault("language_model.lm_head.weight", embedding)
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    checkpoint.require(state, shapes, source=source, network=type(model).__name__)
    placed: dict[int, Tensor] = {}
    for key, tensor in state.items():
        part = key.partition(".")[0]
        if id(tensor) not in placed:
            if part == "language_model":
                rounded = tensor.to(device, torch.bfloat16)
                placed[id(tensor)] = rounded.float() if dtype == torch.float32 else rounded
            else:
                placed[id(tensor)] = tensor.to(device, dtype if part == "vision_model" else torch.float32)
        owner, _, name = key.rpartition(".")
        module = model.get_submodule(owner)
        own = getattr(module, name)
        value = placed[id(tensor)]
        setattr(module, name, torch.nn.Parameter(value, False) if isinstance(own, torch.nn.Parameter) else value)
    model.to(device)  # buffers that no file holds


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):  # transformers would make up an empty one
        raise WeightsError(
            f"{folder} holds no tokenizer: none of {', '.join(_TOKENIZER_FILES)}", "give the whole hub folder"
        )
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise WeightsError(
            f"{folder} holds no tokenizer that can be loaded: {type(error).__name__}: {error}",
            "download its tokenizer's files again",
        ) from error


def _generation(config: Any, num_beams: int, max_new_tokens: int, min_length: int) -> Any:
    from transformers import GenerationConfig

    settings: Any = GenerationConfig
    return settings(
        num_beams=num_beams,
        max_new_tokens=max_new_tokens,
        min_length=min_length,
        do_sample=False,
        length_penalty=1.0,
        early_stopping=False,
        decoder_start_token_id=config.decoder_start_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
    )
