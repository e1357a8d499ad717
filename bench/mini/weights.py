"""The miniature CLIPs as they ship (safetensors) and as OpenAI published theirs (a TorchScript archive).

Only the token embeddings that training touched are shipped; the other rows of the official 49,408 are filled with small
seeded noise, which stands for words that the network has never read.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

TOKENS = "token_embedding.weight"
SCALARS = ("input_resolution", "context_length", "vocab_size")
VOCABULARY = 49_408
SIDE = 224
HEAD = "mlp.weight"


def pack(state: Mapping[str, Tensor], tokens: Sequence[int], path: Path) -> None:
    """Save a state dict in half precision; `state[TOKENS]` holds only the rows of `tokens`, in that order."""
    tensors = {key: value.detach().to(torch.float16).contiguous() for key, value in state.items()}
    save_file({**tensors, "tokens": torch.tensor(tokens, dtype=torch.int32)}, path)
    path.chmod(0o644)


def pack_head(weight: Tensor, path: Path) -> None:
    """Save an Exp-CLIP head `[H, D]` as it ships."""
    save_file({HEAD: weight}, path)
    path.chmod(0o644)


def unpack(path: Path) -> dict[str, Tensor]:
    """The whole state dict of a packed network: OpenAI's keys and types, the token table complete."""
    state = load_file(path)
    tokens = state.pop("tokens").long()
    noise = torch.Generator().manual_seed(0)
    width = state[TOKENS].shape[1]
    table = torch.randn(VOCABULARY, width, generator=noise) * 0.01
    table[tokens] = state[TOKENS].float()
    state[TOKENS] = table.half()
    return {key: value.float() if ".ln_" in f".{key}" or not value.ndim else value for key, value in state.items()}


def save_archive(state: Mapping[str, Tensor], path: Path) -> None:
    """Save a state dict as OpenAI did: a TorchScript archive that also states resolution, context and vocabulary.

    The archive carries tensors under OpenAI's names; its code is of no use, as no loader runs it.
    """
    numbers = (SIDE, state["positional_embedding"].shape[0], VOCABULARY)
    root = nn.Module()
    for key, value in state.items():
        *parents, name = key.split(".")
        _descend(root, parents).register_parameter(name, nn.Parameter(value, requires_grad=False))
    for name, number in zip(SCALARS, numbers, strict=True):
        root.register_buffer(name, torch.tensor(number))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.save(torch.jit.script(root), str(path))


def _descend(module: nn.Module, names: Sequence[str]) -> nn.Module:
    for name in names:
        if name not in module._modules:
            module.add_module(name, nn.Module())
        child = module._modules[name]
        assert child is not None
        module = child
    return module


def save_head(weight: Tensor, path: Path) -> None:
    """Save an Exp-CLIP head `[H, D]` as its authors did: a pickled state dict with one key."""
    torch.save({HEAD: weight.float().clone()}, path)
