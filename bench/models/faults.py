"""Whose fault an error is: a device's, so that another one may do the same work, or that of what ran on it."""

from __future__ import annotations

# How libraries say it that ask the driver themselves.
SAID = ("CUDA error", "cuDNN error")


def of_device(error: BaseException) -> bool:
    """Whether an error says that the device failed, or that its memory does not suffice."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, torch.AcceleratorError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SAID)
