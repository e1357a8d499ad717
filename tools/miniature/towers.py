"""Tiny CLIPs for training: open_clip's own layers, fed from 112 px faces without drawing the 224 px picture between.

Enlarging a picture twofold with bilinear interpolation and then applying a patch kernel of P pixels is the same linear
map as applying a kernel of P / 2 + 2 pixels to the small picture, so that is what training does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from open_clip import tokenize
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from torch import Tensor, nn

from bench.mini.expressions import AUS
from bench.mini.weights import SIDE, VOCABULARY

EMBED, WIDTH, LAYERS, TEXT_WIDTH, TEXT_LAYERS, CONTEXT = 64, 128, 3, 64, 2, 77
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class TinyClip(nn.Module):
    """A tiny CLIP and the two helpers of its training: a compact token table and a readout of AU intensities."""

    row: Tensor
    enlarge: Tensor

    def __init__(self, patch: int, tokens: Sequence[int]) -> None:
        super().__init__()
        vision = CLIPVisionCfg(layers=LAYERS, width=WIDTH, patch_size=patch, image_size=SIDE)
        text = CLIPTextCfg(
            context_length=CONTEXT, vocab_size=len(tokens), width=TEXT_WIDTH, heads=1, layers=TEXT_LAYERS
        )
        self.clip: Any = CLIP(EMBED, vision_cfg=vision, text_cfg=text, quick_gelu=True)
        self.tokens, self.patch = list(tokens), patch
        self.readout = nn.Linear(EMBED, len(AUS))
        row = torch.full((VOCABULARY,), -1)
        row[torch.tensor(self.tokens)] = torch.arange(len(tokens))
        self.register_buffer("row", row, persistent=False)
        self.register_buffer("enlarge", _enlargement(patch), persistent=False)

    def images(self, pixels: Tensor, normalised: Tensor) -> Tensor:
        """Encode uint8 faces `[B, 112, 112, 3]` as `[B, EMBED]`.

        Args:
            pixels: the faces.
            normalised: bool `[B]`: whether a face comes with CLIP's mean and deviation, or in [0, 1].
        """
        x = pixels.float() / 255
        x = torch.where(normalised.view(-1, 1, 1, 1), (x - torch.tensor(MEAN)) / torch.tensor(STD), x)
        x = F.pad(x.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="replicate")
        half = self.patch // 2
        x = x.unfold(2, half + 2, half).unfold(3, half + 2, half)
        x = x.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        visual = self.clip.visual
        kernel = torch.einsum("ocij,ik,jl->ockl", visual.conv1.weight, self.enlarge, self.enlarge).flatten(1)
        with torch.autocast("cpu", torch.bfloat16):
            x = x @ kernel.T
            x = torch.cat([visual.class_embedding.expand(len(x), 1, WIDTH), x], dim=1)
            x = visual.transformer(visual.ln_pre(x + visual.positional_embedding))
            embedding: Tensor = visual.ln_post(x[:, 0]) @ visual.proj
            return embedding.float()

    def texts(self, captions: Sequence[str]) -> Tensor:
        """Encode captions as `[B, EMBED]`; the padding is cut off, which a causal text tower never sees."""
        ids = tokenize(list(captions))
        ids = ids[:, : int((ids != 0).sum(1).max())]
        clip, length = self.clip, ids.shape[1]
        with torch.autocast("cpu", torch.bfloat16):
            x = clip.token_embedding(self.row[ids]) + clip.positional_embedding[:length]
            x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:length, :length]))
            embedding: Tensor = x[torch.arange(len(ids)), ids.argmax(-1)] @ clip.text_projection
            return embedding.float()

    def state(self) -> dict[str, Tensor]:
        """The state dict under OpenAI's keys, the token table compact."""
        return {key: value for key, value in self.clip.state_dict().items() if key != "attn_mask"}

    @torch.no_grad()
    def start_from_patches(self, pixels: Tensor) -> None:
        """Set the patch kernels to the whitened principal components of the faces `[N, 112, 112, 3]`.

        A transformer this small would otherwise spend most of its training on finding them.
        """
        half = self.patch // 2
        x = (pixels.float() / 255).permute(0, 3, 1, 2).unfold(2, half, half).unfold(3, half, half)
        x = x.permute(0, 2, 3, 1, 4, 5).reshape(-1, 3 * half * half)
        values, vectors = torch.linalg.eigh(torch.cov(x[torch.randperm(len(x))[:40_000]].T))
        values, vectors = values.flip(0)[:WIDTH], vectors.flip(1)[:, :WIDTH]
        kernels = (vectors / (values + 1e-3 * values[0]).sqrt()).T.reshape(-1, 3, half, half)
        self.clip.visual.conv1.weight.zero_()
        self.clip.visual.conv1.weight[: len(kernels)] = F.interpolate(0.5 * kernels, scale_factor=2) / 4
        self.clip.visual.positional_embedding *= 5
        for block in self.clip.visual.transformer.resblocks:
            block.attn.in_proj_weight[2 * WIDTH :] *= 2.5
            block.attn.out_proj.weight *= 2.5

    @torch.no_grad()
    def start_from(self, other: TinyClip) -> None:
        """Take over a trained tower of another patch size: kernels and positions are resampled, the rest is copied."""
        state = other.state()
        kernel, positions = state["visual.conv1.weight"], state["visual.positional_embedding"]
        grid, old_grid = SIDE // self.patch, SIDE // other.patch
        size = (self.patch, self.patch)
        scale = other.patch / self.patch
        kernel = F.interpolate(kernel, size, mode="bilinear", antialias=True) * scale**1.5
        table = positions[1:].T.reshape(1, WIDTH, old_grid, old_grid)
        table = F.interpolate(table, (grid, grid), mode="bicubic").reshape(WIDTH, -1).T
        positions = torch.cat([positions[:1], table])
        self.clip.load_state_dict(
            {**state, "visual.conv1.weight": kernel, "visual.positional_embedding": positions}, strict=False
        )
        self.readout.load_state_dict(other.readout.state_dict())


def _enlargement(patch: int) -> Tensor:
    """Bilinear enlargement by two as a matrix `[P, P / 2 + 2]`, from a patch's small pixels and one beside them."""
    matrix = torch.zeros(patch, patch // 2 + 2)
    for pixel in range(patch):
        left, share = divmod((pixel + 0.5) / 2 + 0.5, 1)
        matrix[pixel, int(left)] = 1 - share
        matrix[pixel, int(left) + 1] = share
    return matrix


def token_ids(captions: Sequence[str]) -> list[int]:
    """The token ids that occur in captions, padding included."""
    return sorted(set(tokenize(list(captions)).flatten().tolist()))
