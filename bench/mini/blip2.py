"""A BLIP-2 of toy size with random weights, in the containers that the real one is published in.

Its language model answers with one word of the vocabulary and stops: the rows of the output matrix are laid so that the
first token is a class word or another word, and the second the closing one. Which word it is depends on the picture
through the whole network, and on nothing that was learnt.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.models.lavis import BLOCKS_LEFT_OUT, Parts, configuration, renamed

if TYPE_CHECKING:
    from torch import Tensor

SEED = 20
HUB_FOLDERS = ("Salesforce/blip2-flan-t5-xl", "Salesforce/blip2-flan-t5-xxl")

_GRID, _PATCH, _QUERIES, _LAYERS = 16, 14, 32, 2
_WIDTH: Mapping[str, int] = {"eva": 88, "clip": 64}
_QUERY_WIDTH = 64
_ANSWERS = (
    "happiness sadness neutral anger surprise disgust fear contempt anxiety helplessness disappointment "
    "happy sad angry surprised disgusted afraid anxious helpless unclear"
)
_OTHERS = (
    "Question: Play the role of a facial expression classification expert and select one category with highest "
    "similarity to input image. Here are optional categories: Answer:"
)
_WORDS = tuple(f"▁{word}" for word in (*_ANSWERS.split(), *_OTHERS.split()))
_SPECIAL = ("<pad>", "</s>", "<unk>")
_PIECES = (
    *_SPECIAL,
    "▁",
    *(chr(code) for code in range(33, 127)),
    *_WORDS,
    "<image>",
)
_FORMAT = {"format": "pt"}
_BLIP2 = {"model_type": "blip-2", "architectures": ["Blip2ForConditionalGeneration"]}
_TEXT: Mapping[str, Any] = {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "vocab_size": len(_PIECES),
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 96,
    "num_heads": 4,
    "num_layers": _LAYERS,
    "num_decoder_layers": _LAYERS,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
    "is_encoder_decoder": True,
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "eos_token_id": 1,
}


def write(folder: Path) -> None:
    """Write every file that the BLIP-2 cards name into a weights folder.

    The hub folders hold transformers' layout; the `.pth` files LAVIS': the trained parts under `model`, the image towers
    by themselves with the blocks that LAVIS leaves out, Flan-T5 in a hub folder of its own.
    """
    import torch
    from safetensors.torch import save_file

    language = _drawn(_language_shapes())
    _lay_answers(language)
    # LAVIS rounds Flan-T5 so before it is used, and a converted folder holds what was rounded.
    language = {key: tensor.bfloat16().float() for key, tensor in language.items()}
    for text in ("google/flan-t5-xl", "google/flan-t5-xxl"):
        _hub_folder(folder / text, _TEXT)
        save_file(language, folder / text / "model.safetensors", _FORMAT)
    for tower, models, vision, hub in (
        ("eva", ("blip2_pretrained_flant5xl.pth", "blip2_pretrained_flant5xxl.pth"), "eva_vit_g.pth", HUB_FOLDERS),
        ("clip", ("blip2_pretrained_flant5xl_vitL.pth",), "clip_vit_L.pth", ()),
    ):
        seen = _drawn(_vision_shapes(tower, _LAYERS))
        trained = _drawn(_trained_shapes(_WIDTH[tower]))
        for key in trained:  # else all pictures look alike to so small a network
            trained[key] *= 3 if ".crossattention.self." in key else 6 if key == "t5_proj.weight" else 1
        parts = Parts("eva" if tower == "eva" else "clip", seen, language, trained, _TEXT)
        for name in hub:
            _hub_folder(folder / name, {**_BLIP2, **configuration(parts, folder / name)})
            save_file(_separate(renamed(parts)), folder / name / "model.safetensors", _FORMAT)
        whole = _drawn(_vision_shapes(tower, _LAYERS + BLOCKS_LEFT_OUT[tower]))
        torch.save(whole, folder / vision)
        for name in models:
            torch.save({"model": trained}, folder / name)


def _hub_folder(folder: Path, config: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Mapping[str, Any]] = {
        "config.json": config,
        "tokenizer.json": _tokenizer(),
        "tokenizer_config.json": {
            "tokenizer_class": "T5Tokenizer",
            "pad_token": "<pad>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "extra_ids": 0,
            "additional_special_tokens": [],
        },
    }
    for name, facts in files.items():
        (folder / name).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _tokenizer() -> dict[str, Any]:
    """A unigram tokenizer in the form of Flan-T5's file: whole words where it knows them, else single characters."""
    space = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
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
        "model": {"type": "Unigram", "unk_id": 2, "vocab": [[piece, _score(piece)] for piece in _PIECES]},
    }


def _score(piece: str) -> float:
    return 0.0 if piece in _SPECIAL else -1.0 if len(piece) > 1 else -4.0


def _drawn(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Random tensors, each from a stream of its own: normal, with standard deviation 1 / sqrt(fan-in)."""
    import torch

    state = {}
    for key, shape in shapes.items():
        draw = np.random.default_rng([SEED, zlib.crc32(key.encode())]).standard_normal(shape)
        if len(shape) == 1:
            norm = "norm" in key.lower() or "ln_" in key
            values = draw * 0.1 + (1 if norm and key.endswith("weight") else 0)
        else:
            values = draw / np.sqrt(np.prod(shape[1:]))
        state[key] = torch.from_numpy(values.astype(np.float32))
    return state


def _lay_answers(state: dict[str, Tensor]) -> None:
    """Make the decoder say one word of `_ANSWERS`, then stop.

    Two directions of the stream carry it: the start token has the first one, and the answers' output rows look for it;
    every answer has the second, and the closing token's row looks for that.
    """
    words = [_PIECES.index(f"▁{word}") for word in _ANSWERS.split()]
    embedding, output = state["shared.weight"], state["lm_head.weight"]
    embedding[:, :2] = 0
    output[:, :2] = 0
    embedding[0, 0] = embedding[words, 1] = 8.0
    output[words, 0] = 2.0
    output[1, 1] = 4.0


def _separate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without shared memory, which safetensors refuses."""
    return {key: tensor.clone().contiguous() for key, tensor in state.items()}


def _dense(name: str, out: int, into: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _vision_shapes(tower: str, blocks: int) -> dict[str, tuple[int, ...]]:
    width, tokens = _WIDTH[tower], _GRID**2 + 1
    if tower == "eva":
        shapes: dict[str, tuple[int, ...]] = {
            "cls_token": (1, 1, width),
            "pos_embed": (1, tokens, width),
            "patch_embed.proj.weight": (width, 3, _PATCH, _PATCH),
            "patch_embed.proj.bias": (width,),
        }
        for number in range(blocks):
            block = f"blocks.{number}"
            shapes |= _norm(f"{block}.norm1", width) | _norm(f"{block}.norm2", width)
            shapes |= {f"{block}.attn.{name}_bias": (width,) for name in "qv"}
            shapes |= {f"{block}.attn.qkv.weight": (3 * width, width)}
            shapes |= _dense(f"{block}.attn.proj", width, width)
            shapes |= _dense(f"{block}.mlp.fc1", 2 * width, width) | _dense(f"{block}.mlp.fc2", width, 2 * width)
        return shapes
    shapes = {
        "class_embedding": (width,),
        "positional_embedding": (tokens, width),
        "conv1.weight": (width, 3, _PATCH, _PATCH),
        **_norm("ln_pre", width),
    }
    for number in range(blocks):
        block = f"transformer.resblocks.{number}"
        shapes |= _norm(f"{block}.ln_1", width) | _norm(f"{block}.ln_2", width)
        shapes |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
        shapes |= _dense(f"{block}.attn.out_proj", width, width)
        shapes |= _dense(f"{block}.mlp.c_fc", 4 * width, width) | _dense(f"{block}.mlp.c_proj", width, 4 * width)
    return shapes


def _trained_shapes(vision_width: int) -> dict[str, tuple[int, ...]]:
    width = _QUERY_WIDTH
    shapes: dict[str, tuple[int, ...]] = {
        "query_tokens": (1, _QUERIES, width),
        **_norm("ln_vision", vision_width),
        **_dense("t5_proj", _TEXT["d_model"], width),
        **_norm("Qformer.bert.embeddings.LayerNorm", width),
    }
    for number in range(_LAYERS):
        layer = f"Qformer.bert.encoder.layer.{number}"
        for attention, seen in (("attention", width), ("crossattention", vision_width)):
            if attention == "attention" or number % 2 == 0:
                shapes |= _dense(f"{layer}.{attention}.self.query", width, width)
                shapes |= _dense(f"{layer}.{attention}.self.key", width, seen)
                shapes |= _dense(f"{layer}.{attention}.self.value", width, seen)
                shapes |= _dense(f"{layer}.{attention}.output.dense", width, width)
                shapes |= _norm(f"{layer}.{attention}.output.LayerNorm", width)
        shapes |= _dense(f"{layer}.intermediate_query.dense", 2 * width, width)
        shapes |= _dense(f"{layer}.output_query.dense", width, 2 * width)
        shapes |= _norm(f"{layer}.output_query.LayerNorm", width)
    return shapes


def _language_shapes() -> dict[str, tuple[int, ...]]:
    width, inner, wide = _TEXT["d_model"], _TEXT["num_heads"] * _TEXT["d_kv"], _TEXT["d_ff"]
    shapes: dict[str, tuple[int, ...]] = {
        "shared.weight": (len(_PIECES), width),
        "lm_head.weight": (len(_PIECES), width),
    }
    for stack, attentions in (("encoder", ("SelfAttention",)), ("decoder", ("SelfAttention", "EncDecAttention"))):
        for number in range(_LAYERS):
            for place, attention in enumerate(attentions):
                layer = f"{stack}.block.{number}.layer.{place}"
                shapes |= {f"{layer}.{attention}.{name}.weight": (inner, width) for name in "qkv"}
                shapes |= {f"{layer}.{attention}.o.weight": (width, inner), f"{layer}.layer_norm.weight": (width,)}
            if number == 0:
                name = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
                shapes[name] = (32, _TEXT["num_heads"])
            layer = f"{stack}.block.{number}.layer.{len(attentions)}"
            shapes |= {f"{layer}.DenseReluDense.wi_{gate}.weight": (wide, width) for gate in (0, 1)}
            shapes |= {f"{layer}.DenseReluDense.wo.weight": (width, wide), f"{layer}.layer_norm.weight": (width,)}
        shapes[f"{stack}.final_layer_norm.weight"] = (width,)
    return shapes
