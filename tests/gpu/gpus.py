"""Which GPUs are here."""

from __future__ import annotations

import pytest
import torch

HERE = torch.cuda.is_available()
WHY = "there is no GPU here" if torch.version.cuda else "torch was built without CUDA"
SEVERAL = torch.cuda.device_count() if HERE else 0

gpu_only = pytest.mark.skipif(not HERE, reason=WHY)
