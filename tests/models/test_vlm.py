"""Any image-text-to-text model of transformers answers and ranks from its hub folder alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import seeded
import tiny_vlm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.errors import BenchError, WeightsError
from bench.models import contract
from bench.models.adapters.prompt_cache import PromptCache
from bench.models.adapters.vlm import ImageTextToText, eight_bit

QUESTION = "Which emotion?"
OPTIONS = ("anger", "fear", "happiness")
MAKERS: dict[str, Callable[[Path], Path]] = {"llava": tiny_vlm.llava, "qwen2-vl": tiny_vlm.qwen}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=MAKERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MAKERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vlm.llava(tmp_path_factory.mktemp("llava"))


def pixels() -> Tensor:
    """Four pictures `[4, 3, 56, 56]` in [0, 1]."""
    return torch.stack([torch.from_numpy(seeded.picture(seed, 56, 56)).permute(2, 0, 1) / 255 for seed in range(4)])


def opened(folder: Path, **options: Any) -> ImageTextToText:
    return ImageTextToText({"model": folder}, max_new_tokens=6, **options)


def theirs(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    models: Any = AutoModelForImageTextToText
    processors: Any = AutoProcessor
    return models.from_pretrained(str(folder)).eval(), processors.from_pretrained(str(folder))


def conversation(picture: int) -> list[dict[str, Any]]:
    image = seeded.Image.fromarray(seeded.picture(picture, 56, 56))
    return [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": QUESTION}]}]


def test_answers_are_those_of_transformers_own_chat(folder: Path) -> None:
    model, processor = theirs(folder)
    answers = opened(folder).answer(pixels(), QUESTION)
    assert len(set(answers)) > 1
    for number, answer in enumerate(answers):
        inputs = processor.apply_chat_template(
            conversation(number), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        tokens = model.generate(**inputs, max_new_tokens=6, do_sample=False)
        assert answer == processor.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_a_likelihood_is_the_sum_over_the_options_tokens_and_the_closing_one(folder: Path) -> None:
    model, processor = theirs(folder)
    found = opened(folder).loglikelihood(pixels()[:1], QUESTION, OPTIONS)
    assert isinstance(opened(folder), contract.Generator)
    assert found.dtype == torch.float32
    text = processor.apply_chat_template(conversation(0), add_generation_prompt=True)
    image = seeded.Image.fromarray(seeded.picture(0, 56, 56))
    for column, option in enumerate(OPTIONS):
        inputs = processor(images=[image], text=[f"{text}{option}</s>"], return_tensors="pt", add_special_tokens=False)
        tokens = inputs["input_ids"][0, -len(option) - 1 :]
        with torch.inference_mode():
            logits = model(**inputs).logits[0, -len(option) - 2 : -1].log_softmax(-1)
        expected = logits.gather(-1, tokens[:, None]).sum()
        torch.testing.assert_close(found[0, column], expected, rtol=1e-4, atol=1e-4)


def test_a_row_depends_on_its_own_picture_and_not_on_the_batch(folder: Path) -> None:
    model = opened(folder)
    answers, ranked = model.answer(pixels(), QUESTION), model.loglikelihood(pixels(), QUESTION, OPTIONS)
    for row in (3, 1):
        assert model.answer(pixels()[row : row + 1], QUESTION) == [answers[row]]
        alone = model.loglikelihood(pixels()[row : row + 1], QUESTION, OPTIONS)
        torch.testing.assert_close(alone[0], ranked[row], rtol=1e-4, atol=1e-4)


def in_passes_of_their_own(folder: Path, dtype: str = "float32") -> Tensor:
    model = opened(folder, dtype=dtype)
    model._cached = False
    return model.loglikelihood(pixels(), QUESTION, (*OPTIONS, ""))


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-4), ("bfloat16", 0.3)])
def test_options_go_on_from_the_cache_of_one_pass(folder: Path, dtype: str, bound: float) -> None:
    model = opened(folder, dtype=dtype)
    found = model.loglikelihood(pixels(), QUESTION, (*OPTIONS, ""))
    assert model._cached
    torch.testing.assert_close(found, in_passes_of_their_own(folder, dtype), rtol=0, atol=bound)


def test_padded_prompts_are_read_once_too(llava: Path) -> None:
    model = opened(llava)
    images = [[seeded.Image.fromarray(seeded.picture(seed, 56, 56))] for seed in range(2)]
    texts = [model._text("Which?"), model._text("Which of them, and why?")]
    inputs = model._processor(images=images, text=texts, return_tensors="pt", padding=True, add_special_tokens=False)
    assert not inputs["attention_mask"].all()
    rows = model._option("fear").repeat(2, 1)
    with torch.inference_mode():
        torch.testing.assert_close(PromptCache(model._model, inputs).likelihood(rows), model._likelihood(inputs, rows))


def test_a_model_that_goes_on_from_a_cache_otherwise_takes_a_pass_for_each_option(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    wrong = PromptCache.likelihood
    monkeypatch.setattr(PromptCache, "likelihood", lambda self, rows: wrong(self, rows) - 0.5)
    found = opened(folder).loglikelihood(pixels(), QUESTION, (*OPTIONS, ""))
    torch.testing.assert_close(found, in_passes_of_their_own(folder), rtol=1e-5, atol=1e-5)
    assert "cannot go on from a cache" in caplog.text


def test_the_memory_of_an_answer_is_that_of_its_tokens(llava: Path) -> None:
    model = opened(llava)
    assert isinstance(model, contract.CacheBound)
    # Two layers of two heads, keys and values eight wide, in float32; seven bytes more of a question are seven tokens more.
    token = 2 * 2 * 2 * 8 * 4
    assert model.cache_bytes(pixels(), QUESTION + " really") - model.cache_bytes(pixels(), QUESTION) == 7 * token
    assert opened(llava, num_beams=3).cache_bytes(pixels(), QUESTION) == 3 * model.cache_bytes(pixels(), QUESTION)


def test_a_blip2_too_is_an_image_text_to_text_model(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, Blip2Processor, BlipImageProcessor

    from bench.mini import blip2 as mini
    from bench.models.adapters.blip2 import Blip2

    mini.write(tmp_path)
    folder = tmp_path / mini.HUB_FOLDERS[0]
    words: Any = AutoTokenizer.from_pretrained(str(folder))
    words.image_token = "<image>"
    Blip2Processor(BlipImageProcessor(size={"height": 224, "width": 224}), words, num_query_tokens=32).save_pretrained(
        folder
    )
    pictures = torch.stack([torch.from_numpy(seeded.picture(seed, 224, 224)).permute(2, 0, 1) / 255 for seed in (4, 6)])
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    own = Blip2({"model": folder})
    general = ImageTextToText({"model": folder}, prompt="{question}", num_beams=5)
    asked = "Question: Which emotion? Answer:"
    assert general.answer(pictures, asked) == own.answer((pictures - mean) / std, asked)
    torch.testing.assert_close(
        general.loglikelihood(pictures, asked, OPTIONS),
        own.loglikelihood((pictures - mean) / std, asked, OPTIONS),
        rtol=0,
        atol=1e-3,
    )


def test_a_prompt_of_the_card_takes_the_place_of_the_template(llava: Path) -> None:
    model = opened(llava, prompt="<image> Q: {question} A:")
    assert model.answer(pixels(), QUESTION) != opened(llava).answer(pixels(), QUESTION)
    spaced = opened(llava, option_prefix=" ").loglikelihood(pixels(), QUESTION, OPTIONS)
    torch.testing.assert_close(
        spaced, opened(llava).loglikelihood(pixels(), QUESTION, [f" {option}" for option in OPTIONS])
    )


def test_the_pictures_are_rebuilt_bit_by_bit() -> None:
    levels = torch.arange(256, dtype=torch.float32).reshape(1, 1, 16, 16).expand(2, 3, 16, 16)
    for divided in (levels / 255, levels * (1 / 255)):
        assert torch.equal(torch.from_numpy(eight_bit(divided)).permute(0, 3, 1, 2).float(), levels)


@pytest.mark.parametrize("wrong", [pixels() - 0.5, pixels() * 0.997, pixels() * 2, torch.full((1, 3, 4, 4), torch.nan)])
def test_normalised_pixels_are_refused(wrong: Tensor) -> None:
    with pytest.raises(BenchError, match=r"not those of an 8-bit picture divided by 255(?s:.*)without mean and std"):
        eight_bit(wrong)


def test_a_model_without_a_template_asks_for_a_prompt(tmp_path: Path) -> None:
    folder = tiny_vlm.llava(tmp_path, template=False)
    with pytest.raises(BenchError, match="no chat template"):
        opened(folder)
    with pytest.raises(BenchError, match=r"has no \{question\}"):
        opened(folder, prompt="<image>?")
    assert len(opened(folder, prompt="<image>{question}").answer(pixels(), QUESTION)) == 4


def test_code_in_the_folder_is_not_run(llava: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(llava, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "unheard-of",
        "auto_map": {"AutoModelForImageTextToText": "evil.Model", "AutoConfig": "evil.C"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(WeightsError, match=r"code from (its|the) folder is not run"):
        opened(folder)
    assert not (tmp_path / "ran").exists()


def test_weights_that_do_not_fit_are_named(llava: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(llava, tmp_path / "model"))
    state = load_file(folder / "model.safetensors")
    gone = next(key for key in state if "multi_modal_projector.linear_1.weight" in key)
    del state[gone]
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=r"1 missing: .*multi_modal_projector.linear_1.weight"):
        opened(folder)


def test_a_folder_without_a_processor_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no processor"):
        opened(tmp_path)
