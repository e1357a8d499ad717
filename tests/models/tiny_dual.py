"""Tiny dual encoders with random weights, saved as hub folders by the libraries that define these layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tiny_vlm
import torch
from safetensors.torch import save_file

TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def clip(folder: Path, size: int = 28, edge: int = 31) -> Path:
    """OpenAI's network, as transformers keeps it; its processor resizes to another side than it crops."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    words = tiny_vlm.tokenizer()
    text = {**TOWER, "vocab_size": len(words), "max_position_embeddings": 77, "eos_token_id": 1, "bos_token_id": 0}
    vision = {**TOWER, "image_size": size, "patch_size": 14}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)
    pictures: Any = CLIPImageProcessor
    pictures(size={"shortest_edge": edge}, crop_size={"height": size, "width": size}).save_pretrained(folder)
    words.model_max_length = 77
    words.save_pretrained(folder)
    return folder


def siglip(folder: Path) -> Path:
    """SigLIP, and those of SigLIP 2 that take pictures of one size."""
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    words = tiny_vlm.tokenizer()
    words.model_max_length, words.model_input_names = 64, ["input_ids"]
    text = {**TOWER, "vocab_size": len(words), "max_position_embeddings": 64, "projection_size": 32}
    vision = {**TOWER, "image_size": 28, "patch_size": 14}
    torch.manual_seed(1)
    SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    pictures: Any = SiglipImageProcessor
    pictures(size={"height": 28, "width": 28}).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def siglip2(folder: Path) -> Path:
    """SigLIP 2 for pictures of any shape."""
    from transformers import Siglip2Config, Siglip2ImageProcessor, Siglip2Model, Siglip2Tokenizer

    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *"abcdefghijklmnopqrstuvwxyz."]
    whole: Any = Siglip2Tokenizer
    words = whole(vocab={name: number for number, name in enumerate(names)}, padding_side="right")
    words.model_max_length, words.model_input_names = 64, ["input_ids"]
    text = {**TOWER, "vocab_size": len(words), "max_position_embeddings": 64, "projection_size": 32}
    vision = {**TOWER, "num_patches": 16, "patch_size": 8}
    torch.manual_seed(2)
    Siglip2Model(Siglip2Config(text_config=text, vision_config=vision)).save_pretrained(folder)
    pictures: Any = Siglip2ImageProcessor
    pictures(patch_size=8, max_num_patches=16).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def align(folder: Path) -> Path:
    """ALIGN: EfficientNet and BERT, a temperature, and values from -1 to 1."""
    from transformers import AlignConfig, AlignModel, EfficientNetImageProcessor

    words = tiny_vlm.tokenizer()
    words.model_max_length = 64
    text = {**TOWER, "vocab_size": len(words), "max_position_embeddings": 64}
    vision = {
        "image_size": 32,
        "kernel_sizes": [3],
        "in_channels": [32],
        "out_channels": [8],
        "depthwise_padding": [],
        "strides": [1],
        "num_block_repeats": [1],
        "expand_ratios": [1],
        "hidden_dim": 16,
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
    }
    torch.manual_seed(3)
    AlignModel(
        AlignConfig(text_config=text, vision_config=vision, projection_dim=16, temperature_init_value=0.5)
    ).save_pretrained(folder)
    pictures: Any = EfficientNetImageProcessor
    pictures(
        size={"height": 40, "width": 40},
        crop_size={"height": 32, "width": 32},
        do_center_crop=True,
        do_normalize=False,
        rescale_factor=1 / 127.5,
        rescale_offset=True,
        include_top=False,
        resample=2,
    ).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def open_clip(folder: Path) -> Path:
    """open_clip's layout, with the plain tokenizer."""
    import open_clip as library

    model_cfg = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 28, "layers": 2, "width": 64, "patch_size": 14},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    }
    preprocess = {
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.3, 0.4],
        "interpolation": "bicubic",
        "resize_mode": "squash",
    }
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"model_cfg": model_cfg, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(facts))
    torch.manual_seed(4)
    model: Any = library.CLIP(**model_cfg)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder
