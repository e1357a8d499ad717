"""The teacher's targets are what transformers' own modules give, whatever the batch, the draw or an interruption."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.cards.head_training import Draw, Instruction
from bench.errors import BenchError
from bench.heads.keys import query_key, target_key
from bench.heads.targets import BLOCK, Faces, fill_queries, fill_targets
from bench.heads.teacher import Teacher
from bench.mini import blip2 as mini
from bench.models.draws import RowDropout, mixed, noise, row_seeds
from bench.store.artifacts import ArtifactKey, Store

HUB = "Salesforce/blip2-flan-t5-xxl"
DESCRIBER = Instruction(text="Question: Play the role of a facial expression classification expert.")
EMPTY = Instruction(text="")
SEEDS = [11, 12, 13, 14]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    mini.write(folder)
    return folder


@pytest.fixture(scope="module")
def teacher(weights: Path) -> Teacher:
    return Teacher({"model": weights / HUB})


@pytest.fixture(scope="module")
def theirs(weights: Path) -> Any:
    from transformers import Blip2ForConditionalGeneration

    model: Any = Blip2ForConditionalGeneration.from_pretrained(str(weights / HUB))
    model.requires_grad_(False).eval()
    model.vision_model.post_layernorm.eps = 1e-5  # as LAVIS normalises the tower's outputs
    return model


@pytest.fixture(scope="module")
def tokenizer(weights: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(weights / HUB))


def pixels(count: int = 4) -> Tensor:
    return torch.rand(count, 3, 224, 224, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def queries(teacher: Teacher) -> Tensor:
    return teacher.queries(teacher.see(pixels()), SEEDS)


def formula(theirs: Any, told: Tensor) -> Tensor:
    """Projected queries, then the instruction; mask of ones; the encoder; the mean over all positions."""
    tokens = theirs.get_image_features(pixels(), return_dict=True).pooler_output
    both = torch.cat([tokens, told], dim=1)
    mask = torch.ones(both.shape[:2], dtype=torch.long)
    encoded = theirs.language_model.get_encoder()(inputs_embeds=both, attention_mask=mask)
    mean: Tensor = encoded.last_hidden_state.mean(1)
    return mean


@pytest.mark.parametrize("instruction", [DESCRIBER, EMPTY])
def test_targets_are_the_formulas(
    instruction: Instruction, teacher: Teacher, theirs: Any, tokenizer: Any, queries: Tensor
) -> None:
    ids = tokenizer(instruction.text, return_tensors="pt").input_ids
    assert ids[0, -1] == tokenizer.eos_token_id and (instruction.text or ids.shape == (1, 1))
    with torch.inference_mode():
        expected = formula(theirs, theirs.get_input_embeddings()(ids).expand(4, -1, -1))
    found = teacher.targets(queries, instruction, SEEDS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_noise_stands_in_the_instructions_place_in_its_shape(
    teacher: Teacher, theirs: Any, tokenizer: Any, queries: Tensor
) -> None:
    first, second = (DESCRIBER.model_copy(update={"noise": seed}) for seed in (1, 2))
    length = tokenizer(DESCRIBER.text, return_tensors="pt").input_ids.shape[1]
    with torch.inference_mode():
        drawn = noise((length, theirs.config.text_config.d_model), [mixed(seed, 1) for seed in SEEDS])
        expected = formula(theirs, drawn)
    found = teacher.targets(queries, first, SEEDS)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, teacher.targets(queries, second, SEEDS), atol=1e-3)
    alone = teacher.targets(queries[2:3], first, SEEDS[2:3])
    torch.testing.assert_close(alone, found[2:3], rtol=1e-4, atol=1e-5)


def test_texts_are_the_mean_over_their_own_tokens(teacher: Teacher, theirs: Any, tokenizer: Any) -> None:
    texts = ["a face", "an expression of happiness, long enough to be padded"]
    with torch.inference_mode():
        batch = tokenizer(texts, return_tensors="pt", padding=True)
        encoded = theirs.language_model.get_encoder()(**batch).last_hidden_state
        mask = batch.attention_mask[..., None]
        expected = (encoded * mask).sum(1) / mask.sum(1)
    torch.testing.assert_close(teacher.encode_texts(texts), expected, rtol=1e-4, atol=1e-5)


def test_with_dropout_a_face_has_its_own_masks(teacher: Teacher, queries: Tensor) -> None:
    seen = teacher.see(pixels())
    drawn = teacher.queries(seen, SEEDS, dropout=True)
    assert not torch.allclose(drawn, queries, atol=1e-2)
    assert torch.equal(teacher.queries(seen, SEEDS, dropout=True), drawn)
    assert not torch.allclose(teacher.queries(seen, [seed + 1 for seed in SEEDS], dropout=True), drawn, atol=1e-2)
    order = [3, 1]
    torch.testing.assert_close(
        teacher.queries(seen[order], [SEEDS[row] for row in order], dropout=True), drawn[order], rtol=1e-4, atol=1e-5
    )
    told = teacher.targets(queries, DESCRIBER, SEEDS, dropout=True)
    assert not torch.allclose(told, teacher.targets(queries, DESCRIBER, SEEDS), atol=1e-2)
    one = teacher.targets(queries[1:2], DESCRIBER, SEEDS[1:2], dropout=True)
    torch.testing.assert_close(one, told[1:2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(teacher.queries(seen, SEEDS), queries, rtol=0, atol=0)  # and none is left on


def test_draws_are_spread_as_those_of_the_networks_own_dropout(
    teacher: Teacher, theirs: Any, tokenizer: Any, queries: Tensor
) -> None:
    many = 400
    ours = teacher.targets(queries[:1].repeat(many, 1, 1), DESCRIBER, range(many), dropout=True)
    encoder = theirs.language_model.get_encoder()
    outputs: list[Tensor] = []
    hook = encoder.final_layer_norm.register_forward_hook(lambda *call: outputs.append(call[2]))
    torch.manual_seed(0)
    encoder.train()
    try:
        with torch.inference_mode():
            words = theirs.get_input_embeddings()(tokenizer(DESCRIBER.text, return_tensors="pt").input_ids)
            both = torch.cat([theirs.language_projection(queries[:1]), words], dim=1)
            encoder(inputs_embeds=both.repeat(many, 1, 1))
    finally:
        encoder.eval()
        hook.remove()
    own = outputs[0].mean(1)
    error = (ours.var(0) + own.var(0)).div(many).sqrt()
    assert ((ours.mean(0) - own.mean(0)) / error).square().mean() < 2  # 1 is expected
    assert (ours.std(0) / own.std(0)).mean() == pytest.approx(1, abs=0.05)


def test_dropout_by_rows_keeps_the_share_and_the_mean() -> None:
    values = torch.ones(8, 40, 50)
    with RowDropout(range(8), "cpu"):
        dropped = torch.nn.functional.dropout(values, 0.1, True)
        assert torch.equal(torch.nn.functional.dropout(values, 0.1, False), values)
    assert sorted(set(dropped.flatten().tolist())) == pytest.approx([0, 1 / 0.9])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert len({tuple(row.flatten().tolist()) for row in dropped}) == 8


def test_half_precision_stays_near_and_comes_out_in_float32(weights: Path, teacher: Teacher, queries: Tensor) -> None:
    half = Teacher({"model": weights / HUB}, dtype="bfloat16")
    found = half.targets(half.queries(half.see(pixels()), SEEDS), DESCRIBER, SEEDS)
    assert found.dtype == torch.float32
    expected = teacher.targets(queries, DESCRIBER, SEEDS)
    assert torch.nn.functional.cosine_similarity(found, expected).min() > 0.99


def test_an_instruction_beyond_the_tokenizers_limit_is_refused(weights: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(weights / HUB, tmp_path / "hub"))
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": 8}))
    teacher = Teacher({"model": folder})
    assert teacher.targets(torch.zeros(1, *teacher.shape), EMPTY, [0]).shape == (1, 128)
    with pytest.raises(BenchError, match=r"an instruction of \d+ tokens, and this teacher's tokenizer allows 8: 'Q"):
        teacher.targets(torch.zeros(1, *teacher.shape), DESCRIBER, [0])


class Small:
    """A teacher of plain formulas that counts its work and can be interrupted."""

    shape = (2, 3)

    def __init__(self, fails_at: int = 0) -> None:
        self.seen = self.asked = self.told = 0
        self.fails_at = fails_at

    def see(self, pixels: Tensor) -> Tensor:
        self.seen += len(pixels)
        return pixels.flatten(1)[:, :6]

    def queries(self, seen: Tensor, seeds: Sequence[int], *, dropout: bool = False) -> Tensor:
        self.asked += len(seen)
        drawn = noise((6,), seeds) if dropout else torch.zeros(len(seen), 6)
        return (seen + drawn).reshape(-1, 2, 3)

    def targets(
        self, queries: Tensor, instruction: Instruction, seeds: Sequence[int], *, dropout: bool = False
    ) -> Tensor:
        self.told += len(queries)
        if self.fails_at and self.told >= self.fails_at:
            raise KeyboardInterrupt
        # Like a real network, not quite the same in a batch of another make-up.
        return (
            queries.flatten(1) * len(instruction.text) + queries.mean() * 1e-3 + (noise((6,), seeds) if dropout else 0)
        )


DIGESTS = [number.to_bytes(16, "big") for number in range(1, 101)]


def blocks(chosen: Sequence[bytes] = DIGESTS) -> list[Faces]:
    rows = {digest: torch.full((3, 2, 2), float(number)) for number, digest in enumerate(DIGESTS)}
    parts = [chosen[start : start + 16] for start in range(0, len(chosen), 16)]
    return [Faces(part, torch.stack([rows[digest] for digest in part])) for part in parts]


def keys(*draws: Draw | None) -> dict[Draw | None, ArtifactKey]:
    return {draw: query_key({"adapter": "small"}, {"resize": "stretch"}, 2, draw) for draw in draws}


def test_a_face_is_seen_once_for_all_draws_and_instructions(tmp_path: Path) -> None:
    store, teacher = Store(tmp_path), Small()
    draws = [Draw(1, epoch) for epoch in range(5)]
    for _ in range(2):  # the second time everything is there
        fill_queries(teacher, store, keys(*draws), blocks())
        for draw in draws:
            artifact = store.open(keys(draw)[draw])
            for instruction in (DESCRIBER, EMPTY):
                fill_targets(teacher, store, artifact, DIGESTS, instruction, draw)
        assert (teacher.seen, teacher.asked, teacher.told) == (100, 500, 1000)
    rows = [store.open(keys(draw)[draw]).rows(DIGESTS) for draw in draws]
    assert not any(np.allclose(a, b) for n, a in enumerate(rows) for b in rows[:n])


def test_what_changes_targets_changes_their_shelf() -> None:
    one, other = keys(None)[None], keys(Draw(1, 0))[Draw(1, 0)]
    noisy = DESCRIBER.model_copy(update={"noise": 1})
    found = {target_key(key, told).hash for key in (one, other) for told in (DESCRIBER, EMPTY, noisy)}
    assert len(found) == 6
    assert len({query_key({}, {}, 2, Draw(*draw)).hash for draw in ((1, 0), (1, 1), (2, 0))}) == 3


@pytest.mark.parametrize("draw", [None, Draw(1, 2)])
def test_an_interrupted_pass_ends_with_the_same_bits(draw: Draw | None, tmp_path: Path) -> None:
    def queries(store: Store) -> Any:
        fill_queries(Small(), store, keys(draw), blocks())
        return store.open(keys(draw)[draw])

    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    expected = fill_targets(Small(), whole, queries(whole), DIGESTS, DESCRIBER, draw).rows(DIGESTS)
    artifact = queries(broken)
    with pytest.raises(KeyboardInterrupt):
        fill_targets(Small(fails_at=2 * BLOCK + 1), broken, artifact, DIGESTS, DESCRIBER, draw)
    again = Small()
    found = fill_targets(again, broken, artifact, DIGESTS, DESCRIBER, draw).rows(DIGESTS)
    assert np.array_equal(found, expected)
    assert again.told == len(DIGESTS) - 2 * BLOCK


@pytest.mark.parametrize("draws", [(None,), (Draw(1, 0), Draw(1, 1))])
def test_an_interrupted_pass_through_the_tower_ends_with_the_same_bits(
    draws: tuple[Draw | None, ...], tmp_path: Path
) -> None:
    class Stopped(Small):
        def see(self, pixels: Tensor) -> Tensor:
            if self.seen >= 48:
                raise KeyboardInterrupt
            return super().see(pixels)

    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    fill_queries(Small(), whole, keys(*draws), blocks())
    with pytest.raises(KeyboardInterrupt):
        fill_queries(Stopped(), broken, keys(*draws), blocks())
    again = Small()
    fill_queries(again, broken, keys(*draws), blocks())
    assert again.seen == len(DIGESTS) - 48
    for key in keys(*draws).values():
        assert np.array_equal(broken.open(key).rows(DIGESTS), whole.open(key).rows(DIGESTS))


def test_a_block_of_which_another_set_has_some_rows_is_computed_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill_queries(Small(), store, keys(None), blocks())
    artifact = store.open(keys(None)[None])
    some = fill_targets(Small(), store, artifact, DIGESTS[40:50], DESCRIBER).rows(DIGESTS[40:50])
    teacher = Small()
    found = fill_targets(teacher, store, artifact, DIGESTS, DESCRIBER)
    assert teacher.told == len(DIGESTS)
    assert np.array_equal(found.rows(DIGESTS[40:50]), some)


def test_a_teacher_that_gives_nan_is_stopped_before_it_is_stored(tmp_path: Path) -> None:
    class Broken(Small):
        def targets(self, *arguments: Any, **options: Any) -> Tensor:
            return super().targets(*arguments, **options) * float("nan")

    store = Store(tmp_path)
    fill_queries(Small(), store, keys(None), blocks())
    artifact = store.open(keys(None)[None])
    with pytest.raises(BenchError, match="a row of targets is not finite"):
        fill_targets(Broken(), store, artifact, DIGESTS, DESCRIBER)
    assert len(store.open(target_key(artifact.key, DESCRIBER))) == 0


def test_seeds_belong_to_face_purpose_and_draw() -> None:
    seeds = [
        seed
        for purpose in ("queries", "targets")
        for draw in (None, Draw(1, 0), Draw(1, 1), Draw(2, 0))
        for seed in row_seeds(DIGESTS[:3], purpose, draw)
    ]
    assert len(set(seeds)) == 24
    assert row_seeds(DIGESTS[:3], "queries")[1:2] == row_seeds(DIGESTS[1:2], "queries")
