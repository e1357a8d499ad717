"""Exp-CLIP heads for the miniature, trained as the paper trains its own, with a stand-in for the language model.

The paper's target for a face is what a large model says about its facial actions. Here it is a fixed random feature
vector of the action units that the face was drawn from: like the real one it speaks of the face's actions alone, in a
space of its own. Labels are not used, and neither are test faces.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.mini.expressions import AUS, generator

WIDTH = 128
# On faces kept aside ten passes keep CLIP's accuracy, and forty or more cost up to a point: these towers have learnt the
# action units already, so that a head has little to add.
EPOCHS, BATCH, RATE, MOMENTUM, DECAY = 10, 512, 1e-3, 0.9, 1e-4


def teacher(aus: NDArray[np.float32]) -> Tensor:
    """What the stand-in says about faces with AU intensities `[N, len(AUS)]`: `[N, WIDTH]`."""
    rng = generator("train", "teacher")
    weight = rng.normal(0.0, 1.0, (len(AUS), WIDTH))
    phase = rng.uniform(0.0, 2.0 * np.pi, WIDTH)
    return torch.from_numpy(np.cos(1.5 * aus @ weight + phase).astype(np.float32))


def train_head(features: Tensor, targets: Tensor, scale: float, *, rate: float = RATE, epochs: int = EPOCHS) -> Tensor:
    """Train a bias-free linear head with the paper's symmetric contrastive loss.

    Args:
        features: image embeddings `[N, D]` of unlabelled faces.
        targets: the teacher's embeddings `[N, WIDTH]` of the same faces.
        scale: the factor on the similarities, CLIP's own.
        rate: learning rate of SGD.
        epochs: passes over the faces; the last, incomplete batch of each is dropped.

    Returns:
        The head `[WIDTH, D]`.
    """
    torch.manual_seed(1)
    head = nn.Linear(features.shape[1], WIDTH, bias=False)
    # A head that starts as a rotation keeps what the network knows; few faces would not teach it that again.
    nn.init.orthogonal_(head.weight)
    optimizer = torch.optim.SGD(head.parameters(), lr=rate, momentum=MOMENTUM, weight_decay=DECAY)
    targets = F.normalize(targets, dim=-1)
    truth = torch.arange(BATCH)
    for _ in range(epochs):
        for ids in torch.split(torch.randperm(len(features)), BATCH):
            if len(ids) < BATCH:
                continue
            logits = scale * F.normalize(head(features[ids]), dim=-1) @ targets[ids].T
            loss = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return head.weight.detach()
