"""FLAVA and VideoCLIP at toy size: the two systems with BERT's word pieces. Their weights are random."""

from __future__ import annotations

import json
import string
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.mini.drawn import dense, drawn, norm, shapes_of

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WORDS = (
    "a an of in with within the is person face photo expression radiating exuding showing someone immersed capturing "
    "individual displaying embodying good cropped emphasizing expressing clean showcasing state what looks "
    "happiness sadness neutral anger surprise disgust fear contempt anxiety helplessness disappointment "
    "happy sad angry surprised disgusted fearful contemptuous anxious helpless disappointed"
)
_SIGNS = string.ascii_lowercase + string.digits
VOCABULARY = (*_SPECIAL, *string.punctuation, *_SIGNS, *(f"##{sign}" for sign in _SIGNS), *_WORDS.split())

_WIDTH, _INNER, _LAYERS, _PLACES = 64, 128, 2, 128
_TOWER = {
    "hidden_size": _WIDTH,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": 1,
    "intermediate_size": _INNER,
}
_SIZE, _PATCH, _PROJECTED = 224, 32, 48
_FLAVA: Mapping[str, Any] = {
    "model_type": "flava",
    "architectures": ["FlavaForPreTraining"],
    "hidden_size": _WIDTH,
    "projection_dim": _PROJECTED,
    "text_config": {**_TOWER, "vocab_size": len(VOCABULARY), "max_position_embeddings": _PLACES},
    "image_config": {**_TOWER, "image_size": _SIZE, "patch_size": _PATCH},
    "multimodal_config": _TOWER,
    "image_codebook_config": {"hidden_size": 8, "vocab_size": 16},
}
_S3D_STEM, _S3D_BRANCH, _S3D_OUTPUT = (4, 4, 8), 4, 32


def write_flava(folder: Path) -> None:
    """FLAVA's hub folder: configuration, weights of the whole pre-training model, vocabulary."""
    import torch

    target = folder / "facebook" / "flava-full"
    write_word_pieces(target)
    (target / "config.json").write_text(json.dumps(_FLAVA, indent=1), encoding="utf-8")
    flava: dict[str, Sequence[int]] = {
        "logit_scale": (),
        "image_model.embeddings.cls_token": (1, 1, _WIDTH),
        "image_model.embeddings.mask_token": (1, 1, _WIDTH),
        "image_model.embeddings.position_embeddings": (1, (_SIZE // _PATCH) ** 2 + 1, _WIDTH),
        "image_model.embeddings.patch_embeddings.projection.weight": (_WIDTH, 3, _PATCH, _PATCH),
        "image_model.embeddings.patch_embeddings.projection.bias": (_WIDTH,),
        "multimodal_model.cls_token": (1, 1, _WIDTH),
        **_embeddings("text_model.embeddings"),
        **dense("image_projection", _PROJECTED, _WIDTH),
        **dense("text_projection", _PROJECTED, _WIDTH),
        **dense("image_to_mm_projection", _WIDTH, _WIDTH),
        **dense("text_to_mm_projection", _WIDTH, _WIDTH),
    }
    for model in ("image_model", "text_model", "multimodal_model"):
        flava |= norm(f"{model}.layernorm", _WIDTH) | dense(f"{model}.pooler.dense", _WIDTH, _WIDTH)
        for number in range(_LAYERS):
            layer = f"{model}.encoder.layer.{number}"
            flava |= _layer(layer, "attention.attention")
            flava |= norm(f"{layer}.layernorm_before", _WIDTH) | norm(f"{layer}.layernorm_after", _WIDTH)
    whole: dict[str, Sequence[int]] = {
        **{f"flava.{key}": shape for key, shape in flava.items()},
        "image_codebook.blocks.input.weight": (8, 3, 7, 7),
        "mlm_head.bias": (len(VOCABULARY),),
        **dense("itm_head.seq_relationship", 2, _WIDTH),
    }
    state = drawn(whole, 70)
    state["flava.logit_scale"].fill_(4.6052)
    torch.save(state, target / "pytorch_model.bin")


def write_videoclip(folder: Path) -> None:
    """VideoCLIP's three parts: fairseq's checkpoint, S3D's weights, the vocabulary of its text side."""
    import torch

    write_word_pieces(folder / "google-bert" / "bert-base-uncased")
    torch.save(_s3d(), folder / "s3d_howto100m.pth")
    state = {f"mmmodel.{key}": tensor for key, tensor in _fusion().items()}
    (folder / "videoclip").mkdir(parents=True, exist_ok=True)
    fairseq = {"args": Namespace(arch="mmarch"), "model": state, "optimizer_history": []}
    torch.save(fairseq, folder / "videoclip" / "checkpoint_best.pt")


def write_word_pieces(folder: Path) -> None:
    """The files of a BERT tokenizer that knows the words of the prompt sets, and spells any other word."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    roles = {f"{name[1:-1].lower()}_token": name for name in _SPECIAL}
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    for name, facts in (("special_tokens_map.json", roles), ("tokenizer_config.json", settings)):
        (folder / name).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _s3d() -> dict[str, Any]:
    import torch

    from bench.models.adapters.s3d import BLOCKS, S3D, BlockWidths, S3DWidths

    branches = BlockWidths(*[_S3D_BRANCH] * len(BlockWidths._fields))
    with torch.device("meta"):
        shapes = shapes_of(S3D(S3DWidths(_S3D_STEM, (branches,) * len(BLOCKS), _S3D_OUTPUT)))
    # A gain of 2 makes up for the gates, which halve what they let through.
    state = drawn(shapes, 80, gain=2.0)
    for key in [key for key in state if key.endswith("running_var")]:
        state[key.replace("running_var", "num_batches_tracked")] = torch.tensor(1)
    return {**state, **drawn({"text_module.word_embd.weight": (16, 8)}, 80)}


def _fusion() -> dict[str, Any]:
    import torch

    wanted: dict[str, Sequence[int]] = {
        **_bert("video_encoder.bert"),
        **dense("video_encoder.videomlp.linear1", _WIDTH, _S3D_OUTPUT),
        **norm("video_encoder.videomlp.LayerNorm", _WIDTH),
        **dense("video_encoder.videomlp.linear2", _WIDTH, _WIDTH),
        **_bert("text_encoder"),
    }
    state = drawn(wanted, 80)
    for side in ("video_encoder.bert", "text_encoder"):
        state[f"{side}.embeddings.position_ids"] = torch.arange(_PLACES)[None]
    return state


def _bert(name: str) -> dict[str, Sequence[int]]:
    shapes = {**_embeddings(f"{name}.embeddings"), **dense(f"{name}.pooler.dense", _WIDTH, _WIDTH)}
    for number in range(_LAYERS):
        layer = f"{name}.encoder.layer.{number}"
        shapes |= _layer(layer, "attention.self")
        shapes |= norm(f"{layer}.attention.output.LayerNorm", _WIDTH) | norm(f"{layer}.output.LayerNorm", _WIDTH)
    return shapes


def _embeddings(name: str) -> dict[str, Sequence[int]]:
    rows = {"word": len(VOCABULARY), "position": _PLACES, "token_type": 2}
    tables: dict[str, Sequence[int]] = {
        f"{name}.{kind}_embeddings.weight": (count, _WIDTH) for kind, count in rows.items()
    }
    return {**tables, **norm(f"{name}.LayerNorm", _WIDTH)}


def _layer(name: str, attention: str) -> dict[str, Sequence[int]]:
    """The matrices that BERT and FLAVA name alike."""
    shapes: dict[str, Sequence[int]] = {}
    for part in ("query", "key", "value"):
        shapes |= dense(f"{name}.{attention}.{part}", _WIDTH, _WIDTH)
    return {
        **shapes,
        **dense(f"{name}.attention.output.dense", _WIDTH, _WIDTH),
        **dense(f"{name}.intermediate.dense", _INNER, _WIDTH),
        **dense(f"{name}.output.dense", _WIDTH, _INNER),
    }
