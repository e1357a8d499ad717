"""VideoCLIP's adapter against the authors' own code (`expected.json`: fairseq examples/MMPT at 3d262bb, CPU, fp32)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import seeded
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from bench.errors import BenchError, WeightsError
from bench.models.adapters.s3d import S3D, BlockWidths, S3DWidths
from bench.models.adapters.videoclip import VideoClip
from bench.models.contract import ClipEncoder

SPECIAL = ["[PAD]", *(f"[unused{i}]" for i in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["a", "photo", "of", "face", "with", "happiness", "fear", "."]
FULL = S3DWidths(
    (64, 64, 192),
    (
        BlockWidths(64, 96, 128, 16, 32, 32),
        BlockWidths(128, 128, 192, 32, 96, 64),
        BlockWidths(192, 96, 208, 16, 48, 64),
        BlockWidths(160, 112, 224, 24, 64, 64),
        BlockWidths(128, 128, 256, 24, 64, 64),
        BlockWidths(112, 144, 288, 32, 64, 64),
        BlockWidths(256, 160, 320, 32, 128, 128),
        BlockWidths(256, 160, 320, 32, 128, 128),
        BlockWidths(384, 192, 384, 48, 128, 128),
    ),
    512,
)
SMALL = S3DWidths((4, 4, 4), (BlockWidths(2, 2, 2, 2, 2, 2),) * 9, 8)


def write(folder: Path, s3d: S3DWidths, bert: dict[str, int], video_layers: int) -> dict[str, Path]:
    """The three files in the authors' containers, with what else lies in them."""
    with torch.device("meta"):
        shapes = {
            key: tensor.shape
            for key, tensor in S3D(s3d).state_dict().items()
            if not key.endswith("num_batches_tracked")
        }
        text = seeded.shapes(BertModel(BertConfig(**bert)))
        video = seeded.shapes(BertModel(BertConfig(**{**bert, "num_hidden_layers": video_layers})))
    features = seeded.fill(shapes, 7)
    for key in list(features):
        if key.endswith("running_var"):
            features[key] = features[key].abs() + 0.5
            features[key.replace("running_var", "num_batches_tracked")] = torch.tensor(9)
    features["text_module.fc1.weight"] = torch.ones(2, 2)
    torch.save(features, folder / "s3d.pth")
    width = bert["hidden_size"]
    wanted = {f"text_encoder.{key}": shape for key, shape in text.items()}
    wanted |= {f"video_encoder.bert.{key}": shape for key, shape in video.items()}
    wanted["video_encoder.videomlp.linear1.weight"] = torch.Size([width, s3d.output])
    wanted["video_encoder.videomlp.linear2.weight"] = torch.Size([width, width])
    for name in ("linear1.bias", "linear2.bias", "LayerNorm.weight", "LayerNorm.bias"):
        wanted[f"video_encoder.videomlp.{name}"] = torch.Size([width])
    state: dict[str, Tensor] = seeded.fill(wanted, 7)
    for side in ("text_encoder", "video_encoder.bert"):
        state[f"{side}.embeddings.position_ids"] = torch.arange(512)[None]
    fairseq = {"args": argparse.Namespace(arch="mmpt"), "model": {f"mmmodel.{k}": v for k, v in state.items()}}
    torch.save(fairseq, folder / "checkpoint_best.pt")
    filler = [f"[x{i}]" for i in range(bert["vocab_size"] - len(SPECIAL) - len(WORDS))]
    (folder / "vocab").mkdir()
    (folder / "vocab" / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS, *filler]) + "\n")
    return {"model": folder / "checkpoint_best.pt", "s3d": folder / "s3d.pth", "tokenizer": folder / "vocab"}


def small(folder: Path) -> dict[str, Path]:
    bert = {"vocab_size": 120, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1}
    return write(folder, SMALL, {**bert, "intermediate_size": 64}, 1)


def clips(frames: int) -> Tensor:
    generator = torch.Generator().manual_seed(frames)
    coarse = torch.rand(2, frames, 3, 14, 14, generator=generator)
    return coarse.repeat_interleave(16, 3).repeat_interleave(16, 4)


def test_it_is_a_clip_encoder_without_a_temperature(tmp_path: Path) -> None:
    model = VideoClip(small(tmp_path))
    assert isinstance(model, ClipEncoder)
    assert model.logit_scale == 1


def test_the_last_second_is_filled_up_with_black(tmp_path: Path) -> None:
    model, pixels = VideoClip(small(tmp_path)), clips(40)[:1]
    black = torch.cat([pixels, torch.zeros(1, 20, 3, 224, 224)], 1)
    assert torch.equal(model.encode_clips(pixels), model.encode_clips(black))
    assert (model.encode_clips(pixels[:, :30]) - model.encode_clips(pixels)).abs().max() > 1e-3


def test_features_as_they_are_give_another_embedding_than_unit_features(tmp_path: Path) -> None:
    files = small(tmp_path)
    unit, raw = (VideoClip(files, unit_features=value).encode_clips(clips(30)) for value in (True, False))
    assert (unit - raw).abs().max() > 1e-3


def test_a_text_longer_than_61_word_pieces_is_cut_and_padding_has_no_say(tmp_path: Path) -> None:
    model = VideoClip(small(tmp_path))
    assert torch.equal(model.encode_texts(["fear " * 61]), model.encode_texts(["fear " * 70]))
    assert (model.encode_texts(["fear " * 60]) - model.encode_texts(["fear " * 61])).abs().max() > 1e-4


def test_a_clip_of_more_than_32_seconds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="961 frames gives 33 vectors"):
        VideoClip(small(tmp_path)).encode_clips(torch.zeros(1, 1, 3, 224, 224).expand(1, 961, 3, 224, 224))


def test_files_that_took_each_others_place_are_named(tmp_path: Path) -> None:
    files = small(tmp_path)
    with pytest.raises(WeightsError, match=r"s3d\.pth"):
        VideoClip({**files, "model": files["s3d"]})
    with pytest.raises(WeightsError, match=r"checkpoint_best\.pt"):
        VideoClip({**files, "s3d": files["model"]})


@pytest.mark.slow
def test_a_full_size_network_gives_the_authors_numbers(tmp_path: Path) -> None:
    expected = json.loads((Path(__file__).parent / "expected.json").read_text())["videoclip"]
    bert = {"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
    files = write(tmp_path, FULL, {**bert, "intermediate_size": 3072}, 6)
    model = VideoClip(files)
    pixels = clips(40)[:1]
    seeded.assert_close(model.encode_clips(pixels), expected["unit"])
    seeded.assert_close(model.encode_texts(["a photo of a face with happiness.", "fear"]), expected["text"])
