from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms as tv
from torchvision.transforms import InterpolationMode

from bench.cards.input_protocol import Pixels
from bench.data.decode import picture
from bench.data.samples import Blob
from bench.data.transforms import finish, prepare
from bench.errors import BenchError, DataError

SIZES = [(48, 48), (100, 100), (97, 131), (131, 97), (640, 361), (223, 225), (224, 224), (225, 224), (31, 517), (1, 3)]
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}
PAPER = Pixels()
CLIP = Pixels(resize="shortest", interpolation="bicubic", mean=CLIP_MEAN, std=CLIP_STD)
CROPPED = Pixels(resize="shortest", resize_to=256, interpolation="bicubic", mean=MEAN, std=STD)


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def photo(request, tmp_path) -> Image.Image:
    """A real JPEG with low and high frequencies in it."""
    width, height = request.param
    rng = np.random.default_rng(width * height)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    fine = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
    Image.blend(coarse, fine, 0.2).save(tmp_path / "photo.jpg", quality=92)
    return picture(Blob(str(tmp_path / "photo.jpg")))


def test_the_papers_pixels_are_those_of_its_authors_transform(photo):
    expected = tv.Compose([tv.Resize((224, 224)), tv.ToTensor()])(photo).numpy()
    assert np.array_equal(finish(prepare(photo, PAPER, 224), PAPER), expected)


@pytest.mark.parametrize("pixels", [CLIP, CROPPED], ids=["clip", "resize-256-crop-224"])
def test_a_native_transform_is_torchvisions_bit_for_bit(photo, pixels):
    short = pixels.resize_to or 224
    authors = [
        tv.Resize(short, MODES[pixels.interpolation]), tv.CenterCrop(224), tv.ToTensor(),
        tv.Normalize(pixels.mean, pixels.std),
    ]  # fmt: skip
    assert np.array_equal(finish(prepare(photo, pixels, 224), pixels), tv.Compose(authors)(photo).numpy())


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("resize", ["squash", "shortest"])
def test_the_tensor_stage_normalises_first_and_resizes_without_antialiasing(photo, resize, interpolation):
    pixels = Pixels(resize=resize, interpolation=interpolation, mean=CLIP_MEAN, std=CLIP_STD, stage="tensor")
    size = (224, 224) if resize == "squash" else 224
    authors = tv.Compose([
        tv.ToTensor(), tv.Normalize(CLIP_MEAN, CLIP_STD),
        tv.Resize(size, MODES[interpolation], antialias=False), tv.CenterCrop(224),
    ])  # fmt: skip
    ours = prepare(photo, pixels, 224)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(finish(ours, pixels), authors(photo).numpy(), rtol=0, atol=5e-5)  # 1/300 of a grey level


def test_the_output_is_contiguous_uint8_channels_first(photo):
    for pixels in (PAPER, CLIP):
        ours = prepare(photo, pixels, 224)
        assert (ours.shape, ours.dtype, ours.flags.c_contiguous) == ((3, 224, 224), np.uint8, True)


def test_finishing_a_batch_is_finishing_each_picture_and_what_torch_does_on_a_device(photo):
    batch = np.stack([prepare(photo, CLIP, 224), prepare(photo.transpose(Image.Transpose.ROTATE_180), CLIP, 224)])
    done = finish(batch, CLIP)
    assert np.array_equal(done[1], finish(batch[1], CLIP))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    assert np.array_equal(done, torch.from_numpy(batch).float().div(255).sub(mean).div(std).numpy())


def test_a_protocol_that_crops_more_than_it_resizes_to_is_an_error():
    pixels = Pixels(resize="shortest", resize_to=200)
    with pytest.raises(BenchError, match=r"shortest side to 200 and then crops 224 x 224"):
        prepare(Image.new("RGB", (300, 300)), pixels, 224)


def test_a_picture_of_one_pixels_width_is_not_blown_up_without_end():
    with pytest.raises(DataError, match="1 x 4000 would become 896000 pixels long"):
        prepare(Image.new("RGB", (1, 4000)), CLIP, 224)
