"""BLIP-2 with Flan-T5 through salesforce-lavis itself, for the isolated environment that its old libraries need.

It builds LAVIS' own classes without the downloads of their constructors: the same modules, in the sizes of the files at
hand, filled from LAVIS' own checkpoint files. Only the standard library is imported when this module is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What `create_eva_vit_g` and `create_clip_vit_L` build of the blocks in their files: all but one, and all but two.
_BLOCKS_LEFT_OUT = {"eva": 1, "clip": 2}
_HEAD_WIDTH = {"eva": 88, "clip": 64, "qformer": 64}
_BLOCK = re.compile(r"(?:transformer\.resblocks|blocks)\.(\d+)\.")
_VISION, _LANGUAGE = "visual_encoder.", "t5_model."


class LavisBlip2:
    """A generator (`bench.models.contract.Generator`), run by LAVIS' `Blip2T5.generate`.

    Args:
        weights: `model` -> `blip2_pretrained_*.pth`; `vision` -> `eva_vit_g.pth` or `clip_vit_L.pth`; `language` -> the
            hub folder of Flan-T5.
        device: torch's name.
        dtype: `float32`, or `float16` for LAVIS' own mixture on a GPU: the image tower in float16, the Q-Former in
            float32, Flan-T5 in bfloat16.
        num_beams: beams of the search.
        max_new_tokens: longest answer, in tokens.
        min_length: shortest answer, in tokens.
    """

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
        if dtype not in ("float32", "float16"):
            raise ValueError(f"LAVIS runs in float32 or in its own float16 mixture, not in {dtype!r}")
        self._half = dtype == "float16"
        self._settings = {"num_beams": num_beams, "max_length": max_new_tokens, "min_length": min_length}
        self._model = _build(weights, "fp16" if self._half else "fp32")
        if not self._half:
            # LAVIS mixes precisions wherever it is not on the CPU; in float32 nothing is to be mixed.
            self._model.float()
            self._model.maybe_autocast = _nothing
        self._model.to(device).eval()

    def answer(self, pixels: Any, question: str) -> list[str]:
        """Answer `question` for each of `[B, 3, S, S]`; the raw text, unparsed."""
        answers: list[str] = self._model.generate({"image": pixels, "prompt": question}, **self._settings)
        return answers

    def loglikelihood(self, pixels: Any, question: str, options: Sequence[str]) -> Any:
        """Log-likelihood `[B, M]` of each option as the answer, in nats, summed over its tokens and the closing one."""
        import torch

        model = self._model
        with torch.no_grad():
            prompt, mask = self._prompt(pixels, question)
            with model.maybe_autocast(dtype=torch.bfloat16):
                encoded = model.t5_model.encoder(inputs_embeds=prompt, attention_mask=mask, return_dict=True)
                columns = []
                for option in options:
                    labels = model.t5_tokenizer(option, return_tensors="pt").input_ids.to(prompt.device)
                    labels = labels.repeat(len(pixels), 1)
                    logits = model.t5_model(encoder_outputs=encoded, attention_mask=mask, labels=labels).logits
                    chosen = logits.float().log_softmax(-1).gather(-1, labels[..., None])
                    columns.append(chosen[..., 0].sum(-1))
        return torch.stack(columns, dim=1)

    def _prompt(self, pixels: Any, question: str) -> tuple[Any, Any]:
        """What Flan-T5's encoder reads, put together as `Blip2T5.generate` does."""
        import torch

        model = self._model
        with model.maybe_autocast():
            seen = model.ln_vision(model.visual_encoder(pixels))
        found = self._asked(seen.float())
        tokens = model.t5_tokenizer(question, return_tensors="pt").input_ids.to(seen.device)
        asked = model.t5_model.encoder.embed_tokens(tokens).expand(len(pixels), -1, -1)
        prompt = torch.cat([model.t5_proj(found).to(asked.dtype), asked], dim=1)
        return prompt, torch.ones(prompt.shape[:2], dtype=torch.long, device=prompt.device)

    def _asked(self, seen: Any) -> Any:
        """The Q-Former's outputs `[B, Q, W]` for the image tower's `[B, P, V]`."""
        import torch

        model = self._model
        return model.Qformer.bert(
            query_embeds=model.query_tokens.expand(len(seen), -1, -1),
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=seen.device),
            return_dict=True,
        ).last_hidden_state


class LavisTeacher(LavisBlip2):
    """A teacher (`bench.models.contract.TeacherModel`), cut where `bench.heads.teacher.Teacher` is.

    With dropout each row is put through by itself, after torch's generator has been set to that row's seed.

    Args:
        weights: as `LavisBlip2`; likewise `device` and `dtype`.
        instruction: `text`: with it the teacher is a dual encoder too.
    """

    logit_scale = 1.0

    def __init__(
        self,
        weights: Mapping[str, Path],
        device: str = "cpu",
        dtype: str = "float32",
        *,
        instruction: Mapping[str, Any] | None = None,
    ) -> None:
        if instruction is not None and instruction["noise"] is not None:
            raise ValueError("an instruction of noise cannot stand on a side")
        super().__init__(weights, device, dtype)
        self._told = "" if instruction is None else str(instruction["text"])

    def encode_images(self, pixels: Any) -> Any:
        """The pooled encoder outputs `[B, H]` for pictures `[B, 3, S, S]` and the instruction it was built with."""
        nobody = [0] * len(pixels)
        return self.targets(self.queries(self.see(pixels), nobody, False), self._told, nobody, None, False)

    @property
    def shape(self) -> tuple[int, int]:
        """How many query outputs a face has, and how wide each is."""
        return int(self._model.query_tokens.shape[1]), int(self._model.query_tokens.shape[2])

    def see(self, pixels: Any) -> Any:
        """The image tower's outputs `[B, P, V]` for pictures `[B, 3, S, S]`."""
        with self._model.maybe_autocast():
            return self._model.ln_vision(self._model.visual_encoder(pixels)).float()

    def queries(self, seen: Any, seeds: Sequence[int], dropout: bool) -> Any:
        """These to query outputs `[B, Q, W]`."""
        return self._drawn(self._model.Qformer, self._asked, seen, seeds, dropout)

    def targets(self, queries: Any, text: str, seeds: Sequence[int], noise: Sequence[int] | None, dropout: bool) -> Any:
        """These and an instruction to targets `[B, H]`.

        Args:
            queries: `[B, Q, W]`.
            text: the instruction.
            seeds: one per row, for dropout.
            noise: one per row: Gaussian noise then stands in the place of the instruction's token embeddings.
            dropout: whether it is active.
        """
        import torch

        model = self._model
        words = self._words(text).expand(len(queries), -1, -1)
        if noise is not None:
            drawn = [
                torch.randn(tuple(words.shape[1:]), generator=torch.Generator().manual_seed(seed)) for seed in noise
            ]
            words = torch.stack(drawn).to(words)
        prompt = torch.cat([model.t5_proj(queries).to(words.dtype), words], dim=1)
        return self._drawn(model.t5_model.encoder, self._pooled, prompt, seeds, dropout)

    def encode_texts(self, texts: Sequence[str]) -> Any:
        """The mean over each text's own encoder outputs, `[M, H]`."""
        import torch

        return torch.cat([self._pooled(self._words(text)) for text in texts])

    def _words(self, text: str) -> Any:
        tokenizer = self._model.t5_tokenizer
        tokens = tokenizer(text, return_tensors="pt").input_ids.to(self._model.query_tokens.device)
        if tokens.shape[1] > tokenizer.model_max_length:
            raise ValueError(
                f"{tokens.shape[1]} tokens, and the tokenizer allows {tokenizer.model_max_length}: {text:.80}"
            )
        return self._model.t5_model.encoder.embed_tokens(tokens)

    def _pooled(self, prompt: Any) -> Any:
        import torch

        encoder = self._model.t5_model.encoder
        outputs: list[Any] = []
        # After this norm comes one more dropout, which the published targets do not have.
        hook = encoder.final_layer_norm.register_forward_hook(lambda *call: outputs.append(call[2]))
        try:
            with self._model.maybe_autocast(dtype=torch.bfloat16):
                encoder(inputs_embeds=prompt, attention_mask=torch.ones(prompt.shape[:2], device=prompt.device))
        finally:
            hook.remove()
        return outputs[0].float().mean(dim=1)

    def _drawn(self, module: Any, call: Any, given: Any, seeds: Sequence[int], dropout: bool) -> Any:
        import torch

        if not dropout:
            return call(given)
        module.train()
        try:
            rows = []
            for row, seed in zip(given, seeds, strict=True):
                torch.manual_seed(seed)
                rows.append(call(row[None]))
            return torch.cat(rows)
        finally:
            module.eval()


def _nothing(dtype: Any = None) -> Any:
    import contextlib

    return contextlib.nullcontext()


def _build(weights: Mapping[str, Path], precision: str) -> Any:
    from lavis.models.blip2_models import blip2
    from lavis.models.blip2_models.blip2_t5 import Blip2T5

    trained = _load(weights["model"])["model"]
    vision = {key[len(_VISION) :]: value for key, value in trained.items() if key.startswith(_VISION)}
    if not vision:
        vision = _used(_load(weights["vision"]))

    class Offline(Blip2T5):  # type: ignore[misc]
        """LAVIS' model, with the parts that its constructor would download built in the files' sizes instead."""

        @classmethod
        def init_tokenizer(cls) -> None:
            """BLIP-2 with a T5 never uses BERT's vocabulary."""

        @classmethod
        def init_vision_encoder(cls, *_: Any) -> tuple[Any, Any]:
            tower = _tower(vision)
            return tower, blip2.LayerNorm(tower.num_features)

        @classmethod
        def init_Qformer(cls, num_query_token: int, vision_width: int, *_: Any) -> tuple[Any, Any]:  # noqa: N802
            return _qformer(trained, num_query_token, vision_width)

    model = Offline(num_query_token=trained["query_tokens"].shape[1], t5_model=str(weights["language"]))
    state = {**trained, **{_VISION + key: value for key, value in vision.items()}}
    _fill(model, state, str(weights["model"]))
    if precision == "fp16":
        from lavis.models.eva_vit import convert_weights_to_fp16

        convert_weights_to_fp16(model.visual_encoder)
    return model


def _load(path: Path) -> Any:
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def _used(state: Mapping[str, Any]) -> dict[str, Any]:
    left_out = _BLOCKS_LEFT_OUT["clip" if "class_embedding" in state else "eva"]
    count = _blocks(state) - left_out
    return {
        key: value for key, value in state.items() if not (found := _BLOCK.match(key)) or int(found.group(1)) < count
    }


def _blocks(state: Mapping[str, Any]) -> int:
    return len({found.group(1) for key in state if (found := _BLOCK.match(key))})


def _tower(state: Mapping[str, Any]) -> Any:
    """LAVIS' image tower, as its factory functions build it, in the file's sizes."""
    from functools import partial

    from lavis.models import clip_vit, eva_vit
    from torch import nn

    if "class_embedding" in state:
        width, _, patch, _ = state["conv1.weight"].shape
        grid = round((state["positional_embedding"].shape[0] - 1) ** 0.5)
        return clip_vit.VisionTransformer(
            input_resolution=grid * patch,
            patch_size=patch,
            width=width,
            layers=_blocks(state) + 1,  # its own rule: one block fewer than it is told
            heads=width // _HEAD_WIDTH["clip"],
            use_grad_checkpointing=False,
        )
    width, _, patch, _ = state["patch_embed.proj.weight"].shape
    grid = round((state["pos_embed"].shape[1] - 1) ** 0.5)
    return eva_vit.VisionTransformer(
        img_size=grid * patch,
        patch_size=patch,
        use_mean_pooling=False,
        embed_dim=width,
        depth=_blocks(state),
        num_heads=width // _HEAD_WIDTH["eva"],
        mlp_ratio=state["blocks.0.mlp.fc1.weight"].shape[0] / width,
        qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
    )


def _qformer(trained: Mapping[str, Any], queries: int, vision_width: int) -> tuple[Any, Any]:
    import torch
    from lavis.models.blip2_models.Qformer import BertConfig, BertLMHeadModel

    width = trained["query_tokens"].shape[-1]
    config = BertConfig(
        hidden_size=width,
        num_hidden_layers=1 + max(int(key.split(".")[4]) for key in trained if ".encoder.layer." in key),
        num_attention_heads=width // _HEAD_WIDTH["qformer"],
        intermediate_size=trained["Qformer.bert.encoder.layer.0.intermediate_query.dense.weight"].shape[0],
    )
    config.encoder_width = vision_width
    config.add_cross_attention = True
    config.cross_attention_freq = 2
    config.query_length = queries
    return BertLMHeadModel(config), torch.nn.Parameter(torch.zeros(1, queries, width))


def _fill(model: Any, state: Mapping[str, Any], source: str) -> None:
    """Load what the files hold; only Flan-T5, which came with its folder, may be missing from them."""
    found = model.load_state_dict(dict(state), strict=False)
    missing = [key for key in found.missing_keys if not key.startswith(_LANGUAGE) and "position_ids" not in key]
    extra = [key for key in found.unexpected_keys if not key.startswith(_VISION)]
    if missing or extra:
        raise ValueError(
            f"{source} does not fit LAVIS' network: {len(missing)} missing {missing[:8]}, "
            f"{len(extra)} unexpected {extra[:8]}"
        )
