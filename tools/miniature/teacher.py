"""Makes the miniature's BLIP-2 again: `python tools/miniature/teacher.py`; `python tools/miniature/train.py` makes it too.

Q-Former and Flan-T5 encoder are trained together on drawn faces, behind the CLIP B/32 of the same folder in EVA's layers, which
stays as it is. An instruction that asks for facial actions must bring out the expression and the action units: the mean
over the encoder's outputs is held against captions of these alone, and a linear map must read the intensities off it.
Under the empty instruction it is held against captions that speak of anything in the picture. That does not part the
two: a linear probe finds as much of the action units under the empty instruction, and under noise, as under these (R2 0.54,
0.54 and 0.53 on 330 faces kept aside).
Captions go through the same encoder without a picture, which puts both into one space. Then the decoder learns to answer
the question of the published comparison.

Dropout is as strong as the real network's and active throughout, as it is where the published targets are made. No face
of the test streams is seen.

On one thread the training took 11 minutes of processor time; the tower's pass over the faces comes before it.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from gallery import Gallery, fill
from making import arguments, at_scale
from numpy.typing import NDArray
from sayings import DESCRIBING, action_caption, question, vocabulary
from torch import Tensor, nn
from towers import MEAN, STD
from towers import WIDTH as TOWER_WIDTH

from bench.errors import WeightsError
from bench.mini import blip2
from bench.mini.blip2_parts import language_shapes, pieces, random, text_config, tokenizer, trained_shapes
from bench.mini.captions import caption, expression_caption
from bench.mini.expressions import AUS, EXPRESSIONS, generator
from bench.mini.people import Face
from bench.mini.weights import SIDE
from bench.models.adapters.lavis import configuration, renamed

FACES = 16_000
STEPS, ANSWER_STEPS, BATCH, RATE, WARM_UP = 1_500, 150, 64, 2e-3, 80
TEXT_WIDTH, TEXT_INNER, QUERY_WIDTH = 128, 128, 128
AU_WEIGHT = 30.0
TORCHS_OWN_SEED = 67_280_421_310_721
"""What a fresh process starts from, so that the teacher is the same alone and after the towers."""
LISTS = (7, 8, 11)
"""How many expressions a question lists."""


class Faces(NamedTuple):
    """What is trained on: the tower's outputs `[N, P, V]` in half precision, and what was drawn."""

    seen: Tensor
    gallery: Gallery


class TinyBlip2(nn.Module):
    """The tiny BLIP-2 in transformers' own classes, with the helpers of its training.

    Args:
        clip: the packed CLIP B/32 that it looks through.
    """

    def __init__(self, clip: Path) -> None:
        super().__init__()
        from tokenizers import Tokenizer
        from transformers import Blip2Config, Blip2ForConditionalGeneration

        self.pieces = pieces(vocabulary())
        self.words = Tokenizer.from_str(json.dumps(tokenizer(self.pieces)))
        self.config = text_config(len(self.pieces), TEXT_WIDTH, TEXT_INNER)
        self.trained, self.language = _started(self.config)
        parts = blip2.eva_parts(self.trained, self.language, self.config, clip)
        classes: Any = Blip2ForConditionalGeneration
        self.network = classes(Blip2Config(**configuration(parts, clip)))
        self.network.load_state_dict(renamed(parts), strict=False)  # the embedding's two other names are not in it
        self.network.vision_model.requires_grad_(False)
        self.network.vision_model.post_layernorm.eps = 1e-5  # as LAVIS normalises the tower's outputs
        self.readout = nn.Linear(TEXT_WIDTH, len(AUS))
        self.scale = nn.Parameter(torch.tensor(math.log(10.0)))

    @torch.no_grad()
    def see(self, pixels: NDArray[np.uint8], normalised: NDArray[np.bool_]) -> Tensor:
        """The tower's outputs `[B, P, V]` for faces `[B, S, S, 3]`, enlarged to its size.

        Args:
            pixels: the faces.
            normalised: bool `[B]`: whether a face comes with CLIP's mean and deviation, or in [0, 1].
        """
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        x = F.interpolate(x, (SIDE, SIDE), mode="bilinear")
        changed = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        x = torch.where(torch.from_numpy(normalised).view(-1, 1, 1, 1), changed, x)
        seen: Tensor = self.network.vision_model(pixel_values=x).last_hidden_state
        return seen

    def queries(self, seen: Tensor) -> Tensor:
        """The projected query outputs `[B, Q, H]`."""
        asked = self.network.query_tokens.expand(len(seen), -1, -1)
        found = self.network.qformer(query_embeds=asked, encoder_hidden_states=seen).last_hidden_state
        projected: Tensor = self.network.language_projection(found).float()
        return projected

    def encode(self, queries: Tensor, instruction: str) -> Tensor:
        """The encoder's outputs `[B, Q + L, H]` for projected queries and an instruction."""
        ids = torch.tensor(self.words.encode(instruction).ids)
        told = self.network.language_model.shared(ids).expand(len(queries), -1, -1)
        both = torch.cat([queries, told], dim=1)
        mask = torch.ones(both.shape[:2], dtype=torch.long)
        outputs: Tensor = self.network.language_model.encoder(inputs_embeds=both, attention_mask=mask).last_hidden_state
        return outputs.float()

    def pooled(self, queries: Tensor, instruction: str) -> Tensor:
        """Their mean, of length one: `[B, H]`."""
        return F.normalize(self.encode(queries, instruction).mean(1), dim=-1)

    def say(self, texts: Sequence[str]) -> Tensor:
        """The mean over each text's own encoder outputs, of length one: `[M, H]`."""
        coded = [self.words.encode(text).ids for text in texts]
        longest = max(map(len, coded))
        ids = torch.tensor([one + [0] * (longest - len(one)) for one in coded])
        mask = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in coded])
        outputs = self.network.language_model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        return F.normalize((outputs * mask[..., None]).sum(1), dim=-1)

    def answers(self, outputs: Tensor, shown: Tensor) -> Tensor:
        """The loss of answering with the name of each face's expression, given the encoder's outputs."""
        names = torch.tensor([self.words.encode(name).ids for name in EXPRESSIONS])
        mask = torch.ones(outputs.shape[:2], dtype=torch.long)
        language = self.network.language_model
        loss: Tensor = language(encoder_outputs=(outputs,), attention_mask=mask, labels=names[shown]).loss
        return loss

    def save(self, path: Path) -> None:
        """Pack what was trained."""
        state = self.network.state_dict()
        trained = {}
        for key, tensor in self.trained.items():
            found = tensor if key.startswith("ln_vision.") else state[_name(key)]
            trained[key] = found[:, : tensor.shape[1]] if ".crossattention.self." in key and found.ndim == 2 else found
        language = {key: state[f"language_model.{key}"] for key in self.language}
        facts = {"pieces": json.dumps(self.pieces), "text_config": json.dumps(self.config)}
        blip2.pack(trained, language, facts, path)


def _name(key: str) -> str:
    """What transformers calls a tensor of LAVIS'."""
    from bench.models.adapters.lavis import Parts

    label = torch.empty(0)
    return next(iter(renamed(Parts("eva", {}, {}, {key: label}, {}))))


def _started(config: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random weights in the sizes in which deep networks of these kinds start to learn."""
    language = random(language_shapes(config))
    for key in language:
        if key.endswith(".q.weight"):
            language[key] *= config["d_kv"] ** -0.5  # T5 does not scale its attention
        elif key.endswith((".o.weight", ".wo.weight")):
            language[key] *= 0.5
    language["shared.weight"] *= TEXT_WIDTH**0.5
    language["lm_head.weight"] *= 0.5
    trained = random(trained_shapes(TOWER_WIDTH, TEXT_WIDTH, QUERY_WIDTH))
    trained["ln_vision.weight"].fill_(1.0)
    trained["ln_vision.bias"].zero_()
    return trained, language


def look(model: TinyBlip2, gallery: Gallery) -> Faces:
    """Put every face through the tower: three of four as the teacher gets them, the others normalised."""
    count = len(gallery.faces)
    seen = []
    for first in range(0, count, BATCH):
        ids = np.arange(first, min(first + BATCH, count))
        with torch.autocast("cpu", torch.bfloat16):
            seen.append(model.see(gallery.pixels[ids], ids // len(EXPRESSIONS) % 4 == 3).half())
    return Faces(torch.cat(seen), gallery)


def train(model: TinyBlip2, faces: Faces, steps: int) -> None:
    """Train Q-Former and encoder."""
    rng = generator("train", "order", "teacher")
    torch.manual_seed(20)
    model.train()
    trained = {
        key: value
        for key, value in model.named_parameters()
        if value.requires_grad and "language_model.decoder." not in key and "lm_head" not in key
    }
    matrices = [value for key, value in trained.items() if value.ndim == 2 and _hidden(key)]
    others = [value for key, value in trained.items() if not (value.ndim == 2 and _hidden(key))]
    optimizers: list[Any] = [
        torch.optim.Muon(matrices, lr=2 * RATE, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01),
    ]

    def loss(ids: list[int]) -> dict[str, Tensor]:
        found = _losses(model, faces, ids, rng)
        with torch.no_grad():
            model.scale.clamp_(0.0, math.log(50.0))
        return found

    _descend(loss, optimizers, len(faces.seen), steps, rng)


def train_answers(model: TinyBlip2, faces: Faces, steps: int) -> None:
    """Train the decoder to answer with the expression's name, the rest as it is."""
    rng = generator("train", "order", "answers")
    model.train()
    language = model.network.language_model
    trained = [
        value for key, value in language.named_parameters() if key.startswith(("decoder.block", "decoder.final"))
    ]
    optimizer = torch.optim.AdamW([*trained, language.lm_head.weight], lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    expressions = torch.from_numpy(faces.gallery.expressions)

    def loss(ids: list[int]) -> dict[str, Tensor]:
        classes = int(rng.choice(LISTS))
        mine = torch.tensor(ids)[expressions[ids] < classes]
        with torch.no_grad():
            outputs = model.encode(model.queries(faces.seen[mine].float()), question(classes))
        return {"answer": model.answers(outputs, expressions[mine])}

    _descend(loss, [optimizer], len(faces.seen), steps, rng)


def _hidden(key: str) -> bool:
    return "relative_attention_bias" not in key and any(f".{stack}." in key for stack in ("layer", "block"))


def _descend(loss: Any, optimizers: list[Any], count: int, steps: int, rng: np.random.Generator) -> None:
    """Take steps along the sum of the losses that `loss(indices)` gives by name, and say how they do."""
    rates = [(group, group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]
    begun, seen = time.monotonic(), []
    for step, ids in zip(range(steps), _order(count, rng), strict=False):
        warm = min(1.0, (step + 1) / WARM_UP)
        for group, rate in rates:
            group["lr"] = rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        with torch.autocast("cpu", torch.bfloat16):
            losses = loss(ids)
        for optimizer in optimizers:
            optimizer.zero_grad()
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        for optimizer in optimizers:
            optimizer.step()
        seen.append([float(value.detach()) for value in losses.values()])
        if step % 50 == 49:
            recent = zip(losses, np.mean(seen[-50:], axis=0), strict=True)
            said = ", ".join(f"{name} {value:.3f}" for name, value in recent)
            print(f"{step + 1}/{steps}: {said}, {time.monotonic() - begun:.0f} s", flush=True)


def _losses(model: TinyBlip2, faces: Faces, ids: list[int], rng: np.random.Generator) -> dict[str, Tensor]:
    """What the batch's pooled outputs are held against."""
    gallery = faces.gallery
    shown, aus = torch.from_numpy(gallery.expressions[ids]), torch.from_numpy(gallery.aus[ids])
    some = [gallery.faces[i] for i in ids[: BATCH // 2]]
    queries = model.queries(faces.seen[ids].float())
    told = question(int(rng.choice(LISTS))) if rng.random() < 0.1 else str(rng.choice(DESCRIBING))
    asked, unasked = model.pooled(queries, told), model.pooled(queries[: len(some)], "")
    texts = [expression_caption(name, rng) for name in EXPRESSIONS]
    texts += [action_caption(face, rng) for face in some]
    texts += [_caption(face, int(which), rng) for face, which in zip(some, shown, strict=False)]
    names, actions, captions = torch.split(model.say(texts), [len(EXPRESSIONS), len(some), len(some)])
    scale = model.scale.exp()
    return {
        "expression": F.cross_entropy(scale * asked @ names.T, shown),
        "actions": contrast(scale * asked[: len(some)] @ actions.T),
        "captions": 0.5 * contrast(scale * unasked @ captions.T),
        "units": AU_WEIGHT * F.mse_loss(model.readout(8 * asked), aus),
    }


def _caption(face: Face, expression: int, rng: np.random.Generator) -> str:
    return caption(face, EXPRESSIONS[expression], rng)


def contrast(logits: Tensor) -> Tensor:
    """Cross-entropy of finding each row's own column and each column's own row."""
    truth = torch.arange(len(logits))
    return (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2


def _order(count: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Batches of indices without end, each face once per epoch."""
    while True:
        visited = rng.permutation(count)
        yield from (visited[first : first + BATCH].tolist() for first in range(0, count - BATCH + 1, BATCH))


def make(folder: Path, scale: float = 1.0) -> Path:
    """Draw the faces, train, and save `blip2.safetensors`.

    Args:
        folder: holds `clip_B32.safetensors`, which it looks through, and gets the new file.
        scale: share of the faces and steps; below 1 for a quick try.

    Raises:
        WeightsError: the folder holds no CLIP B/32.
    """
    clip, out = folder / blip2.CLIP.name, folder / blip2.WEIGHTS.name
    if not clip.is_file():
        raise WeightsError(f"{clip} is missing", "`python tools/miniature/train.py` makes it, and then this teacher")
    torch.manual_seed(TORCHS_OWN_SEED)
    with tempfile.TemporaryDirectory() as place:
        gallery = fill(
            ("train", "captions"), at_scale(FACES, scale, fewest=2 * BATCH), len(EXPRESSIONS), Path(place) / "faces.npy"
        )
        model = TinyBlip2(clip)
        faces = look(model, gallery)
        train(model, faces, round(STEPS * scale))
        train_answers(model, faces, round(ANSWER_STEPS * scale))
        model.save(out)
    return out


def main() -> None:
    """Make the teacher alone."""
    args = arguments("python tools/miniature/teacher.py", __doc__, threads=1)
    try:
        print(make(args.out, args.scale))
    except WeightsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
