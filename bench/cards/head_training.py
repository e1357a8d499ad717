"""What a card may state about a projection head: its shape, how it is trained, and where its targets come from."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Design(BaseModel):
    """The shape of a projection head; every head ends in one bias-free linear map. The default sizes are ours.

    Attributes:
        kind: what stands before the last map: nothing; `layers - 1` linear maps with a bias, each with a GELU behind it;
            or one transformer-encoder layer on the frame's embedding (normalised after each part, no dropout).
        layers: linear maps of an `mlp`, the last one included.
        hidden: width of an `mlp`'s hidden layers, and of the feed-forward part of a `transformer`.
        heads: attention heads of a `transformer`. Over a single embedding each attends to that alone, so their number
            changes nothing but must divide the embedding's width.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["linear", "mlp", "transformer"] = "linear"
    layers: int = Field(default=2, ge=2)
    hidden: int = Field(default=4096, ge=1)
    heads: int = Field(default=8, ge=1)


class Schedule(BaseModel):
    """How a head is trained: stochastic gradient descent with momentum (the rule of `torch.optim.SGD`).

    Attributes:
        epochs: passes over the pictures.
        batch: pictures per step; the last, incomplete batch of an epoch is dropped.
        rate: learning rate, constant.
        momentum: of the gradient.
        decay: weight decay, added to the gradient.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(ge=1)
    batch: int = Field(ge=2)
    rate: float = Field(gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    decay: float = Field(default=1e-4, ge=0)


class Instruction(BaseModel):
    """What the teacher is told about a face.

    Attributes:
        text: word for word; the empty text is its closing token alone.
        noise: a seed; Gaussian noise then stands in the place of the text's token embeddings, in their shape, drawn for
            each face.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    noise: int | None = None


class Draw(NamedTuple):
    """One pass of a teacher whose dropout is active.

    Attributes:
        seed: of the whole series.
        epoch: which pass of it.
    """

    seed: int
    epoch: int


Loss = Literal["symmetric-contrastive", "one-sided-contrastive", "squared-error"]


class HeadTraining(BaseModel):
    """How a head is trained.

    Attributes:
        dataset: the unlabelled pictures.
        protocol: how their pixels are prepared, for the encoder and for the teacher.
        teacher: the method, as `name:axis=value`, whose weights the teacher loads.
        adapter: the teacher's class.
        dropout: whether dropout is active in the teacher, drawn anew for each epoch: one pass per epoch instead of one.
        instruction: what the teacher is told.
        design: the head's shape.
        loss: what is minimised.
        schedule: how.
        seeds: a head each; numbers are averaged over them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    protocol: str
    teacher: str
    adapter: str
    dropout: bool = False
    instruction: Instruction
    design: Design = Design()
    loss: Loss = "symmetric-contrastive"
    schedule: Schedule
    seeds: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1)
