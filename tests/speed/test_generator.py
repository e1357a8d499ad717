"""A generator's answers and likelihoods against `transformers`' own pipeline, in one run: tokens and answers per second.

A LLaVA with random weights: BENCH_SPEED_GENERATOR is its width, number of layers, and the pictures at a time: 1024,8,8 by default,
which has 0.2 billion parameters. On a GPU, with 3 billion:

    BENCH_SPEED_DEVICE=cuda BENCH_SPEED_DTYPE=bfloat16 BENCH_SPEED_GENERATOR=2560,32,64 make bench
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_vlm
import torch
from PIL import Image
from workload import DEVICE, DTYPE

from bench.models.adapters.vlm import ImageTextToText

WIDTH, LAYERS, PICTURES = map(int, os.environ.get("BENCH_SPEED_GENERATOR", "1024,8,8").split(","))
TOKENS = 24
QUESTION = "Which of 'happiness', 'sadness', 'anger', 'fear', 'disgust', 'surprise' and 'neutral' does this face show?"
OPTIONS = ("happiness", "sadness", "anger", "fear", "disgust", "surprise", "neutral")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLIP's L/14 at 224 px, so 256 tokens a picture, and LLaMA of the stated size; it never ends an answer early."""
    from transformers import AutoConfig, LlavaForConditionalGeneration

    made = tiny_vlm.llava(tmp_path_factory.mktemp("generator"))
    config: Any = AutoConfig.from_pretrained(str(made))
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = WIDTH, 11 * WIDTH // 4, LAYERS
    text.num_attention_heads, text.num_key_value_heads, text.head_dim = WIDTH // 128, WIDTH // 128, 128
    text.max_position_embeddings = 2048
    vision.hidden_size, vision.intermediate_size, vision.num_hidden_layers = 1024, 4096, 24 if DEVICE != "cpu" else 4
    vision.num_attention_heads, vision.image_size, vision.patch_size = 16, 224, 14
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config).to(getattr(torch, DTYPE))
    model.generation_config.eos_token_id = None
    model.save_pretrained(made)
    from transformers import AutoProcessor

    processors: Any = AutoProcessor
    processor = processors.from_pretrained(str(made))
    processor.image_processor.size = {"shortest_edge": 224}
    processor.image_processor.crop_size = {"height": 224, "width": 224}
    processor.save_pretrained(made)
    return made


def timed(call: Callable[[], Any]) -> float:
    if DEVICE != "cpu":
        torch.cuda.synchronize()
    begun = time.perf_counter()
    call()
    if DEVICE != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def test_tokens_and_likelihoods_per_second_against_the_pipeline(folder: Path, benchmark: Any) -> None:
    from transformers import pipeline

    faces = np.random.default_rng(0).integers(0, 256, (PICTURES, 224, 224, 3), dtype=np.uint8)
    pixels = torch.from_numpy(faces).permute(0, 3, 1, 2).to(DEVICE, torch.float32) / 255
    ours = ImageTextToText({"model": folder}, DEVICE, DTYPE, max_new_tokens=TOKENS)
    pipes: Any = pipeline
    theirs = pipes("image-text-to-text", model=str(folder), device=DEVICE, dtype=getattr(torch, DTYPE))
    theirs.model.generation_config.eos_token_id = None
    ours._model.generation_config.eos_token_id = None
    asked = [
        [
            {
                "role": "user",
                "content": [{"type": "image", "image": Image.fromarray(face)}, {"type": "text", "text": QUESTION}],
            }
        ]
        for face in faces
    ]

    def answer() -> list[str]:
        return ours.answer(pixels, QUESTION)

    def piped() -> Any:
        return theirs(text=asked, batch_size=PICTURES, max_new_tokens=TOKENS, do_sample=False, return_full_text=False)

    answer(), piped()
    rounds = [(timed(answer), timed(piped)) for _ in range(3)]
    mine, other = (min(times) for times in zip(*rounds, strict=True))
    print(f"\n{sum(p.numel() for p in ours._model.parameters()) / 1e9:.2f} billion parameters in {DTYPE} on {DEVICE}:")
    print(f"{PICTURES * TOKENS / mine:,.1f} tokens/s; the pipeline {PICTURES * TOKENS / other:,.1f}")
    ours._cached = None
    cached = min(timed(lambda: ours.loglikelihood(pixels, QUESTION, OPTIONS)) for _ in range(2))
    assert ours._cached
    ours._cached = False
    alone = timed(lambda: ours.loglikelihood(pixels, QUESTION, OPTIONS))
    print(
        f"{PICTURES / cached:,.2f} pictures/s ranked from one pass; {PICTURES / alone:,.2f} with a pass for each of {len(OPTIONS)} options"
    )
    benchmark.extra_info["of the pipeline"] = round(other / mine, 2)
    benchmark.pedantic(answer, rounds=1)
    assert other / mine > 0.9 and alone / cached > 2
