"""Tiny image-text-to-text models with random weights, saved as hub folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}:{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}


def tokenizer(*special: str) -> Any:
    """One token a byte, and the special ones; it writes the opening token before every text, as LLaMA's does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = ["<s>", "</s>", "<pad>", *special]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {name: number for number, name in enumerate([*names, *alphabet])}
    fast = Tokenizer(models.BPE(vocabulary, []))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    whole: Any = PreTrainedTokenizerFast
    return whole(
        tokenizer_object=fast,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=list(special),
    )


def llava(folder: Path, template: bool = True) -> Path:
    """LLaVA: CLIP's tower and LLaMA."""
    from transformers import CLIPImageProcessor, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    words = tokenizer("<image>")
    vision = {
        "model_type": "clip_vision_model",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 28,
        "patch_size": 14,
    }
    text = {"model_type": "llama", "vocab_size": len(words), **TEXT}
    image = words.convert_tokens_to_ids("<image>")
    torch.manual_seed(0)
    _louder(
        LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text, image_token_index=image))
    ).save_pretrained(folder)
    pictures: Any = CLIPImageProcessor
    sized = pictures(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    LlavaProcessor(
        image_processor=sized,
        tokenizer=words,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("IMAGE", "<image>") if template else None,
    ).save_pretrained(folder)
    return folder


def qwen(folder: Path) -> Path:
    """Qwen2-VL: its own tower with as many tokens as the picture is large, and positions in three directions."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLImageProcessor, Qwen2VLProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    names = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    words = tokenizer(*names)
    image, video, start, end = (words.convert_tokens_to_ids(name) for name in names)
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2, "patch_size": 14}
    text = {"vocab_size": len(words), **TEXT, "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]}}
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    torch.manual_seed(0)
    _louder(Qwen2VLForConditionalGeneration(config)).save_pretrained(folder)
    pictures: Any = Qwen2VLImageProcessor
    processor: Any = Qwen2VLProcessor
    processor(
        image_processor=pictures(min_pixels=28 * 28, max_pixels=56 * 56),
        tokenizer=words,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=TEMPLATE.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    ).save_pretrained(folder)
    return folder


def idefics3(folder: Path) -> Path:
    """Idefics3: SigLIP's tower and LLaMA; its processor takes pictures of any size and cuts them into pieces."""
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
    )

    grid = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    names = ("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *grid)
    words = tokenizer(*names)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 28,
        "patch_size": 14,
    }
    text = {"model_type": "llama", "vocab_size": len(words), **TEXT}
    config = Idefics3Config(
        vision_config=vision,
        text_config=text,
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=2,
    )
    torch.manual_seed(0)
    _louder(Idefics3ForConditionalGeneration(config)).save_pretrained(folder)
    pictures: Any = Idefics3ImageProcessor
    sized = pictures(size={"longest_edge": 56}, max_image_size={"longest_edge": 28})
    processor: Any = Idefics3Processor
    processor(
        image_processor=sized, tokenizer=words, image_seq_len=1, chat_template=TEMPLATE.replace("IMAGE", "<image>")
    ).save_pretrained(folder)
    return folder


def _louder(model: Any) -> Any:
    """Random weights large enough for the picture to be heard in the answer."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.5 * parameter[0].numel() ** -0.5)
    return model
