"""The parts of a BLIP-2 of toy size: its sizes, the tensors of each part, its tokenizer, and random weights."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bench.mini.drawn import Shapes, attention, dense, norm

if TYPE_CHECKING:
    from torch import Tensor

SEED = 20

_QUERIES, _QUERY_LAYERS = 32, 2
_ANSWERS = (
    "happiness sadness neutral anger surprise disgust fear contempt anxiety helplessness disappointment "
    "happy sad angry surprised disgusted afraid anxious helpless unclear"
)
_OTHERS = (
    "Question: Play the role of a facial expression classification expert and select one category with highest "
    "similarity to input image. Here are optional categories: Answer:"
)
_SPECIAL = ("<pad>", "</s>", "<unk>")
_SPACE = "▁"


@dataclass(frozen=True)
class Tower:
    """The sizes of an image tower: `eva` or `clip`, as LAVIS names their tensors."""

    kind: Literal["eva", "clip"]
    width: int
    inner: int
    blocks: int
    grid: int = 16
    patch: int = 14


def pieces(words: Sequence[str]) -> tuple[str, ...]:
    """A vocabulary: the special tokens, every printable character, whole words, and the image's own last."""
    return (
        *_SPECIAL,
        _SPACE,
        *(chr(code) for code in range(33, 127)),
        *(f"{_SPACE}{word}" for word in words),
        "<image>",
    )


DRAWN_PIECES = pieces((*_ANSWERS.split(), *_OTHERS.split()))


def text_config(vocabulary: int, width: int, inner: int) -> dict[str, Any]:
    """The config.json of a Flan-T5 of toy size."""
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": 16,
        "d_ff": inner,
        "num_heads": 4,
        "num_layers": 2,
        "num_decoder_layers": 2,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "is_encoder_decoder": True,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }


def tokenizer(vocabulary: Sequence[str]) -> dict[str, Any]:
    """A unigram tokenizer in the form of Flan-T5's file: whole words where it knows them, else single characters."""
    space = {"type": "Metaspace", "replacement": _SPACE, "add_prefix_space": True}
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": name, **special} for number, name in enumerate(_SPECIAL)],
        "normalizer": None,
        "pre_tokenizer": space,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, end, {"Sequence": {"id": "B", "type_id": 0}}, end],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
        },
        "decoder": space,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": [[piece, _score(piece)] for piece in vocabulary]},
    }


def _score(piece: str) -> float:
    return 0.0 if piece in _SPECIAL else -1.0 if len(piece) > 1 else -4.0


def random(shapes: Shapes) -> dict[str, Tensor]:
    """Random tensors, each from a stream of its own: normal, with standard deviation 1 / sqrt(fan-in)."""
    import torch

    state = {}
    for key, shape in shapes.items():
        draw = np.random.default_rng([SEED, zlib.crc32(key.encode())]).standard_normal(tuple(shape))
        if len(shape) == 1:
            scales = "norm" in key.lower() or "ln_" in key
            values = draw * 0.1 + (1 if scales and key.endswith("weight") else 0)
        else:
            values = draw / np.sqrt(np.prod(shape[1:]))
        state[key] = torch.from_numpy(values.astype(np.float32))
    return state


def lay_answers(state: dict[str, Tensor]) -> None:
    """Make the decoder of random weights in `DRAWN_PIECES` say one word of `_ANSWERS`, then stop.

    Two directions of the stream carry it: the start token has the first one, and the answers' output rows look for it;
    every answer has the second, and the closing token's row looks for that.
    """
    words = [DRAWN_PIECES.index(f"{_SPACE}{word}") for word in _ANSWERS.split()]
    embedding, output = state["shared.weight"], state["lm_head.weight"]
    embedding[:, :2] = 0
    output[:, :2] = 0
    embedding[0, 0] = embedding[words, 1] = 8.0
    output[words, 0] = 2.0
    output[1, 1] = 4.0


def vision_shapes(tower: Tower) -> dict[str, Sequence[int]]:
    """Keys and shapes of an image tower, as LAVIS names them."""
    width, tokens = tower.width, tower.grid**2 + 1
    if tower.kind == "eva":
        shapes: dict[str, Sequence[int]] = {
            "cls_token": (1, 1, width),
            "pos_embed": (1, tokens, width),
            "patch_embed.proj.weight": (width, 3, tower.patch, tower.patch),
            "patch_embed.proj.bias": (width,),
        }
        for number in range(tower.blocks):
            block = f"blocks.{number}"
            shapes |= norm(f"{block}.norm1", width) | norm(f"{block}.norm2", width)
            shapes |= {f"{block}.attn.{name}_bias": (width,) for name in "qv"}
            shapes |= {f"{block}.attn.qkv.weight": (3 * width, width)}
            shapes |= dense(f"{block}.attn.proj", width, width)
            shapes |= dense(f"{block}.mlp.fc1", tower.inner, width) | dense(f"{block}.mlp.fc2", width, tower.inner)
        return shapes
    shapes = {
        "class_embedding": (width,),
        "positional_embedding": (tokens, width),
        "conv1.weight": (width, 3, tower.patch, tower.patch),
        **norm("ln_pre", width),
    }
    for number in range(tower.blocks):
        block = f"transformer.resblocks.{number}"
        shapes |= norm(f"{block}.ln_1", width) | norm(f"{block}.ln_2", width) | attention(f"{block}.attn", width)
        shapes |= dense(f"{block}.mlp.c_fc", tower.inner, width) | dense(f"{block}.mlp.c_proj", width, tower.inner)
    return shapes


def trained_shapes(vision_width: int, text_width: int, width: int = 64) -> dict[str, Sequence[int]]:
    """Keys and shapes of what BLIP-2's own training changes: queries, a Q-Former of some width, the maps around it."""
    shapes: dict[str, Sequence[int]] = {
        "query_tokens": (1, _QUERIES, width),
        **norm("ln_vision", vision_width),
        **dense("t5_proj", text_width, width),
        **norm("Qformer.bert.embeddings.LayerNorm", width),
    }
    for number in range(_QUERY_LAYERS):
        layer = f"Qformer.bert.encoder.layer.{number}"
        for name, seen in (("attention", width), ("crossattention", vision_width)):
            if name == "attention" or number % 2 == 0:
                shapes |= dense(f"{layer}.{name}.self.query", width, width)
                shapes |= dense(f"{layer}.{name}.self.key", width, seen)
                shapes |= dense(f"{layer}.{name}.self.value", width, seen)
                shapes |= dense(f"{layer}.{name}.output.dense", width, width)
                shapes |= norm(f"{layer}.{name}.output.LayerNorm", width)
        shapes |= dense(f"{layer}.intermediate_query.dense", 2 * width, width)
        shapes |= dense(f"{layer}.output_query.dense", width, 2 * width)
        shapes |= norm(f"{layer}.output_query.LayerNorm", width)
    return shapes


def language_shapes(config: Mapping[str, Any]) -> dict[str, Sequence[int]]:
    """Keys and shapes of a Flan-T5, as transformers names them."""
    width, inner, wide = config["d_model"], config["num_heads"] * config["d_kv"], config["d_ff"]
    shapes: dict[str, Sequence[int]] = {
        "shared.weight": (config["vocab_size"], width),
        "lm_head.weight": (config["vocab_size"], width),
    }
    for stack, count, attentions in (
        ("encoder", config["num_layers"], ("SelfAttention",)),
        ("decoder", config["num_decoder_layers"], ("SelfAttention", "EncDecAttention")),
    ):
        for number in range(count):
            for place, name in enumerate(attentions):
                layer = f"{stack}.block.{number}.layer.{place}"
                shapes |= {f"{layer}.{name}.{part}.weight": (inner, width) for part in "qkv"}
                shapes |= {f"{layer}.{name}.o.weight": (width, inner), f"{layer}.layer_norm.weight": (width,)}
            if number == 0:
                key = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
                shapes[key] = (32, config["num_heads"])
            layer = f"{stack}.block.{number}.layer.{len(attentions)}"
            shapes |= {f"{layer}.DenseReluDense.wi_{gate}.weight": (wide, width) for gate in (0, 1)}
            shapes |= {f"{layer}.DenseReluDense.wo.weight": (width, wide), f"{layer}.layer_norm.weight": (width,)}
        shapes[f"{stack}.final_layer_norm.weight"] = (width,)
    return shapes
