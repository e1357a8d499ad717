"""A tower of OpenAI's CLIP as the image towers of BLIP-2: written again in EVA's layers, and as LAVIS keeps CLIP's.

EVA has no normalisation before its first block, heads of 88 dimensions instead of 64, and another width. Nothing of it
has to be learnt: a stream of mean zero with empty dimensions beside it is normalised as the narrow one is, but for a
factor; narrow heads fit into wide ones; and a first block whose attention is silent can do the normalisation, for
`gelu(x) - gelu(-x)` is `x`. What remains is the difference between GELU and CLIP's quick GELU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.models.adapters.lavis import HEAD_WIDTH

if TYPE_CHECKING:
    from torch import Tensor

# The tokens before the first normalisation, made so small that they vanish beside what it gives.
_FAINT = 0.01
_STEADY = 3.0


def visual(clip: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The image tower of an OpenAI state dict in float32, under LAVIS' names for CLIP's tower."""
    names = {key.removeprefix("visual."): tensor.float() for key, tensor in clip.items() if key.startswith("visual.")}
    return {key: tensor for key, tensor in names.items() if not key.startswith(("ln_post.", "proj"))}


def eva_width(width: int) -> int:
    """How wide EVA's tower is for a CLIP of that width: as many heads, each of EVA's size."""
    return width // HEAD_WIDTH["clip"] * HEAD_WIDTH["eva"]


def eva_of(tower: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same network under EVA's names, one block longer; its outputs are centred and followed by zeros.

    Args:
        tower: what `visual` gives.
    """
    import torch

    narrow = len(tower["class_embedding"])
    wide = eva_width(narrow)
    centred = torch.eye(narrow) - 1 / narrow
    shrink = (narrow / wide) ** 0.5

    def out(matrix: Tensor) -> Tensor:
        """Of a map into the stream, `[narrow, ...]` to `[wide, ...]`."""
        flat = centred @ matrix.reshape(narrow, -1)
        return torch.cat([flat, torch.zeros(wide - narrow, flat.shape[1])]).reshape(wide, *matrix.shape[1:])

    def into(matrix: Tensor) -> Tensor:
        """Of a map from the stream, `[N, narrow]` to `[N, wide]`."""
        return torch.cat([matrix, torch.zeros(len(matrix), wide - narrow)], dim=1)

    def scales(weight: Tensor) -> Tensor:
        return torch.cat([weight * shrink, torch.zeros(wide - narrow)])

    def padded(bias: Tensor) -> Tensor:
        return torch.cat([bias, torch.zeros(wide - narrow)])

    heads = narrow // HEAD_WIDTH["clip"]

    def heads_of(rows: Tensor) -> Tensor:
        """Of rows that belong to heads, `[narrow, ...]` to `[wide, ...]`."""
        apart = rows.reshape(heads, HEAD_WIDTH["clip"], *rows.shape[1:])
        empty = torch.zeros(heads, HEAD_WIDTH["eva"] - HEAD_WIDTH["clip"], *rows.shape[1:])
        return torch.cat([apart, empty], dim=1).reshape(wide, *rows.shape[1:])

    positions = tower["positional_embedding"]
    start = tower["class_embedding"] + positions[0]
    start = start / start.std() * _STEADY  # a constant, so that any size will do
    inner = len(tower["transformer.resblocks.0.mlp.c_fc.bias"])
    one, gain = torch.eye(narrow), torch.diag(tower["ln_pre.weight"])
    both, rest = torch.cat([one, -one]), inner - 2 * narrow
    state = {
        "cls_token": torch.zeros(1, 1, wide),
        "pos_embed": out(_FAINT * torch.cat([start[None], positions[1:]]).T).T[None].contiguous(),
        "patch_embed.proj.weight": out(_FAINT * tower["conv1.weight"]),
        "patch_embed.proj.bias": torch.zeros(wide),
        **_silent_attention("blocks.0", wide),
        "blocks.0.norm2.weight": scales(torch.ones(narrow)),
        "blocks.0.norm2.bias": torch.zeros(wide),
        "blocks.0.mlp.fc1.weight": into(torch.cat([both, torch.zeros(rest, narrow)])),
        "blocks.0.mlp.fc1.bias": torch.zeros(inner),
        "blocks.0.mlp.fc2.weight": out(torch.cat([gain @ both.T, torch.zeros(narrow, rest)], dim=1)),
        "blocks.0.mlp.fc2.bias": out(tower["ln_pre.bias"]),
    }
    for number in range(sum(key.endswith(".ln_1.weight") for key in tower)):
        old, new = f"transformer.resblocks.{number}", f"blocks.{number + 1}"
        weights = tower[f"{old}.attn.in_proj_weight"].chunk(3)
        biases = tower[f"{old}.attn.in_proj_bias"].chunk(3)
        sharpen = (HEAD_WIDTH["eva"] / HEAD_WIDTH["clip"]) ** 0.5  # the wider heads' scale divides by more
        query, key, value = (heads_of(into(weight)) for weight in weights)
        state |= {
            f"{new}.attn.qkv.weight": torch.cat([query * sharpen, key, value]),
            # A bias of the keys adds the same to all of a query's products, which no softmax sees.
            f"{new}.attn.q_bias": heads_of(biases[0]) * sharpen,
            f"{new}.attn.v_bias": heads_of(biases[2]),
            f"{new}.attn.proj.weight": out(heads_of(tower[f"{old}.attn.out_proj.weight"].T).T.contiguous()),
            f"{new}.attn.proj.bias": out(tower[f"{old}.attn.out_proj.bias"]),
            f"{new}.mlp.fc1.weight": into(tower[f"{old}.mlp.c_fc.weight"]),
            f"{new}.mlp.fc1.bias": tower[f"{old}.mlp.c_fc.bias"],
            f"{new}.mlp.fc2.weight": out(tower[f"{old}.mlp.c_proj.weight"]),
            f"{new}.mlp.fc2.bias": out(tower[f"{old}.mlp.c_proj.bias"]),
        }
        for theirs, ours in (("ln_1", "norm1"), ("ln_2", "norm2")):
            state[f"{new}.{ours}.weight"] = scales(tower[f"{old}.{theirs}.weight"])
            state[f"{new}.{ours}.bias"] = padded(tower[f"{old}.{theirs}.bias"])
    return state


def eva_reader(trained: Mapping[str, Tensor], width: int) -> dict[str, Tensor]:
    """What reads a CLIP tower's outputs (`ln_vision`, cross-attention), made to read those of `eva_of`."""
    import torch

    wide = eva_width(width)
    state = dict(trained)
    for key, tensor in trained.items():
        if ".crossattention.self.key.weight" in key or ".crossattention.self.value.weight" in key:
            state[key] = torch.cat([tensor, torch.zeros(len(tensor), wide - width)], dim=1)
        elif key.startswith("ln_vision."):
            scale = (width / wide) ** 0.5 if key.endswith("weight") else 1.0
            state[key] = torch.cat([tensor * scale, torch.zeros(wide - width)])
    return state


def _silent_attention(block: str, width: int) -> dict[str, Tensor]:
    import torch

    return {
        f"{block}.norm1.weight": torch.ones(width),
        f"{block}.norm1.bias": torch.zeros(width),
        f"{block}.attn.qkv.weight": torch.zeros(3 * width, width),
        f"{block}.attn.q_bias": torch.zeros(width),
        f"{block}.attn.v_bias": torch.zeros(width),
        f"{block}.attn.proj.weight": torch.zeros(width, width),
        f"{block}.attn.proj.bias": torch.zeros(width),
    }
