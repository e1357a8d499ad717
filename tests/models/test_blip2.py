"""BLIP-2 in both official containers answers and ranks as LAVIS and transformers themselves do.

The numbers in `expected_blip2.json` were made by salesforce-lavis 1.0.2 on the miniature's random weights; a slow test
makes them again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import seeded
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.cards import catalog, variant
from bench.cards.head_training import Instruction
from bench.cards.method_schema import EncoderFacts
from bench.errors import BenchError, WeightsError
from bench.heads.teacher import Teacher
from bench.mini import blip2 as mini
from bench.models import contract
from bench.models.adapters.blip2 import Blip2
from bench.models.contract import TeacherModel
from bench.models.isolated.adapters import lavis_blip2
from bench.models.network import Network

CLASSES = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear", "contempt")
EXPECTED = json.loads(Path(__file__).with_name("expected_blip2.json").read_text())
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
XXL = "Salesforce/blip2-flan-t5-xxl"


def question() -> str:
    card = variant.resolve(catalog.load().method("blip2"), {}).card
    assert card.question is not None
    return card.question.about(CLASSES)


def pixels() -> Tensor:
    """Eight pictures `[8, 3, 224, 224]`, normalised as LAVIS does."""
    pictures = [torch.from_numpy(seeded.picture(seed, 224, 224)).permute(2, 0, 1) / 255 for seed in range(8)]
    brightness = torch.linspace(0.2, 1, 8)[:, None, None, None]
    return (torch.stack(pictures) * brightness - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    mini.write_drawn(folder)
    return folder


@pytest.fixture
def weights(shared: Path, tmp_path: Path) -> Path:
    """A copy of the weights that a test may break."""
    return Path(shutil.copytree(shared, tmp_path / "weights"))


def roles(folder: Path, method: str, model: str) -> dict[str, Path]:
    """The files of a card's variant."""
    card = variant.resolve(catalog.load().method(method), {"model": model}).card
    return {role: folder / name for role, name in card.encoder.weights.items()}


def lavis_xxl(folder: Path) -> Blip2:
    return Blip2(roles(folder, "blip2-lavis", "flant5xxl"))


LOADERS: dict[str, tuple[str, Callable[[Path], Blip2]]] = {
    "hub folder": ("eva", lambda folder: Blip2(roles(folder, "blip2", "flant5xxl"))),
    "LAVIS' files, ViT-g": ("eva", lavis_xxl),
    "LAVIS' files, ViT-L": ("clip", lambda folder: Blip2(roles(folder, "blip2", "flant5xl-vitL"))),
}


@pytest.mark.parametrize("container", LOADERS)
def test_answers_and_likelihoods_are_those_of_lavis(shared: Path, container: str) -> None:
    tower, load = LOADERS[container]
    model = load(shared)
    assert isinstance(model, contract.Generator)
    assert model.answer(pixels(), question()) == EXPECTED[tower]["answers"]
    assert len(set(EXPECTED[tower]["answers"])) > 1
    found = model.loglikelihood(pixels(), question(), CLASSES)
    expected = torch.tensor(EXPECTED[tower]["loglikelihood"])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-5)
    assert torch.equal(found.argsort(1), expected.argsort(1))


def test_the_question_is_the_papers_letter_for_letter() -> None:
    assert question() == (
        "Question: Play the role of a facial expression classification expert and select one category with the highest "
        "similarity to the input image. Here are the optional categories: 'contempt', 'fear', 'disgust', 'surprise', "
        "'anger', 'neutral', 'sadness', 'happiness'. Answer:"
    )


def test_answers_and_likelihoods_are_those_of_transformers_own_generate(shared: Path) -> None:
    from transformers import AutoTokenizer, Blip2ForConditionalGeneration

    theirs: Any = Blip2ForConditionalGeneration.from_pretrained(str(shared / XXL)).eval()
    theirs.vision_model.post_layernorm.eps = 1e-5
    tokenizer: Any = AutoTokenizer.from_pretrained(str(shared / XXL))
    asked = tokenizer(question(), return_tensors="pt").input_ids
    image = torch.full((1, theirs.config.num_query_tokens), theirs.config.image_token_index)
    prompt = torch.cat([image, asked], dim=1)
    settings = {"num_beams": 5, "max_new_tokens": 30, "min_length": 1, "do_sample": False}
    ours = Blip2({"model": shared / XXL})
    tokens = theirs.generate(pixels(), prompt.repeat(8, 1), **settings)
    assert ours.answer(pixels(), question()) == tokenizer.batch_decode(tokens, skip_special_tokens=True)
    labels = tokenizer("anger", return_tensors="pt").input_ids
    with torch.inference_mode():
        loss = theirs(pixels()[:1], prompt, labels=labels).loss
    found = ours.loglikelihood(pixels()[:1], question(), ["anger"])
    torch.testing.assert_close(found[0, 0], -loss * labels.shape[1])


def test_a_row_depends_on_its_own_picture_and_not_on_the_batch(shared: Path) -> None:
    model = lavis_xxl(shared)
    order = torch.tensor([5, 2, 7])
    every, ranked = model.answer(pixels(), question()), model.loglikelihood(pixels(), question(), CLASSES)
    assert model.answer(pixels()[order], question()) == [every[row] for row in order]
    alone = torch.cat([model.loglikelihood(pixels()[row : row + 1], question(), CLASSES) for row in order])
    torch.testing.assert_close(alone, ranked[order], rtol=0, atol=1e-5)


def test_a_likelihood_depends_on_the_question_and_follows_its_option(shared: Path) -> None:
    model = lavis_xxl(shared)
    ranked = model.loglikelihood(pixels(), question(), ["fear", "a longer option", "anger"])
    torch.testing.assert_close(
        model.loglikelihood(pixels(), question(), ["anger", "fear"]), ranked[:, [2, 0]], rtol=0, atol=1e-5
    )
    assert not torch.allclose(model.loglikelihood(pixels(), "Answer:", ["fear"]), ranked[:, :1], atol=1e-3)
    assert ranked.max() < 0


def test_the_generation_settings_are_the_cards(shared: Path) -> None:
    asked = question()
    longest = Blip2(roles(shared, "blip2", "flant5xxl"), max_new_tokens=1).answer(pixels(), asked)
    assert all(len(text.split()) <= 1 for text in longest)
    greedy = Blip2(roles(shared, "blip2", "flant5xxl"), num_beams=1)
    assert greedy.answer(pixels(), asked) != longest or greedy.answer(pixels(), asked) == EXPECTED["eva"]["answers"]


def test_blocks_of_the_image_towers_file_that_lavis_leaves_out_change_nothing(weights: Path) -> None:
    for method, model in (("blip2-lavis", "flant5xxl"), ("blip2", "flant5xl-vitL")):
        files = roles(weights, method, model)
        before = Blip2(files).loglikelihood(pixels()[:2], question(), CLASSES)
        state = torch.load(files["vision"])
        blocks = sorted({int(key.split("blocks.")[1].split(".")[0]) for key in state if "blocks." in key})
        used = blocks[: -lavis_blip2._BLOCKS_LEFT_OUT["clip" if "class_embedding" in state else "eva"]]
        for number, same in ((used[-1] + 1, True), (used[-1], False)):
            broken = {key: tensor * (1 + (f"blocks.{number}." in key)) for key, tensor in state.items()}
            torch.save(broken, files["vision"])
            after = Blip2(files).loglikelihood(pixels()[:2], question(), CLASSES)
            assert torch.allclose(after, before, atol=1e-6) is same


def test_a_file_that_holds_its_image_tower_is_loaded_with_all_its_blocks(weights: Path) -> None:
    files = roles(weights, "blip2", "flant5xl-vitL")
    expected = Blip2(files).loglikelihood(pixels(), question(), CLASSES)
    state = torch.load(files["model"])["model"]
    tower = {key: tensor for key, tensor in torch.load(files["vision"]).items() if "blocks.2" not in key}
    tower = {key: tensor for key, tensor in tower.items() if "blocks.3" not in key}
    torch.save({"model": {**state, **{f"visual_encoder.{key}": value for key, value in tower.items()}}}, files["model"])
    del files["vision"]
    torch.testing.assert_close(Blip2(files).loglikelihood(pixels(), question(), CLASSES), expected)


def test_half_precision_keeps_flan_t5_in_bfloat16_and_the_q_former_in_float32(shared: Path) -> None:
    half = Blip2(roles(shared, "blip2", "flant5xxl"), dtype="bfloat16")
    # `_model` here and below: no output of the adapter shows in which precision a part of it computed.
    kinds = {name.split(".")[0]: value.dtype for name, value in half._model.named_parameters()}
    assert kinds["vision_model"] == kinds["language_model"] == torch.bfloat16
    assert kinds["qformer"] == kinds["query_tokens"] == kinds["language_projection"] == torch.float32
    whole = Blip2(roles(shared, "blip2", "flant5xxl")).loglikelihood(pixels(), question(), CLASSES)
    found = half.loglikelihood(pixels(), question(), CLASSES)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, whole, rtol=0, atol=0.5)
    float16 = Blip2(roles(shared, "blip2", "flant5xxl"), dtype="float16")
    assert float16._model.language_model.lm_head.weight.dtype == torch.bfloat16


def test_the_output_matrix_of_flan_t5_is_its_own_and_not_the_embedding(weights: Path) -> None:
    file = weights / XXL / "model.safetensors"
    state = load_file(file)
    state["language_model.lm_head.weight"] *= 0
    save_file(state, file, {"format": "pt"})
    found = Blip2({"model": weights / XXL}).loglikelihood(pixels()[:1], question(), ["anger"])
    size = len(state["language_model.lm_head.weight"])
    tokens = 2
    torch.testing.assert_close(found[0, 0], -tokens * torch.tensor(float(size)).log())


def test_missing_and_unexpected_tensors_are_named(weights: Path) -> None:
    files = roles(weights, "blip2-lavis", "flant5xxl")
    state = torch.load(files["model"])["model"]
    del state["Qformer.bert.encoder.layer.1.output_query.dense.bias"]
    torch.save({"model": {**state, "itm_head.weight": torch.zeros(2)}}, files["model"])
    with pytest.raises(
        WeightsError, match=r"1 missing: qformer.encoder.layer.1.output_query.dense.bias; 1 unexpected: itm_head"
    ):
        Blip2(files)


@pytest.mark.parametrize(
    ("drop", "message"),
    [("vision", "holds no image tower.*eva_vit_g.pth or clip_vit_L.pth"), ("language", "a LAVIS file.*Flan-T5")],
)
def test_a_lavis_file_without_what_belongs_to_it_says_what_is_wanted(shared: Path, drop: str, message: str) -> None:
    files = roles(shared, "blip2-lavis", "flant5xxl")
    del files[drop]
    with pytest.raises(WeightsError, match=f"(?s){message}"):
        Blip2(files)


@pytest.mark.parametrize(
    ("file", "message"),
    [("config.json", "holds no config.json"), ("tokenizer.json", "holds no tokenizer: none of tokenizer.json")],
)
def test_a_hub_folder_that_lacks_a_file_is_named(weights: Path, file: str, message: str) -> None:
    (weights / XXL / file).unlink()
    with pytest.raises(WeightsError, match=message):
        Blip2({"model": weights / XXL})


def test_a_blip2_with_another_language_model_is_sent_to_the_general_adapter(weights: Path) -> None:
    file = weights / XXL / "config.json"
    config = json.loads(file.read_text())
    config["text_config"] = {"model_type": "opt", "vocab_size": 10, "hidden_size": 8, "num_attention_heads": 1}
    file.write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="with 'opt', not with a T5"):
        Blip2({"model": weights / XXL})


def test_pictures_of_another_size_are_refused(shared: Path) -> None:
    with pytest.raises(BenchError, match=r"\[B, 3, 224, 224\]"):
        lavis_xxl(shared).answer(pixels()[:, :, :196, :196], question())


@pytest.mark.slow
@pytest.mark.parametrize(("tower", "model"), [("eva", "flant5xxl"), ("clip", "flant5xl-vitL")])
def test_lavis_itself_in_its_own_environment_gives_the_stored_numbers(shared: Path, tower: str, model: str) -> None:
    chosen = variant.resolve(catalog.load().method("blip2-lavis"), {"model": model}).card
    files = roles(shared, "blip2-lavis", model)
    network = Network("blip2-lavis", chosen.encoder, files, {}, environment=chosen.environment)
    lavis = network.load("cpu")
    assert lavis.answer(pixels(), question()) == EXPECTED[tower]["answers"]
    found = lavis.loglikelihood(pixels(), question(), CLASSES)
    torch.testing.assert_close(found, torch.tensor(EXPECTED[tower]["loglikelihood"]), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_lavis_teaches_as_transformers_does(shared: Path) -> None:
    """The two teachers on the same weights: query outputs, targets, texts, and noise in an instruction's place."""
    card = variant.resolve(catalog.load().method("blip2-lavis"), {"model": "flant5xxl"}).card
    files = roles(shared, "blip2-lavis", "flant5xxl")
    facts = EncoderFacts(
        adapter="bench.models.isolated.adapters.lavis_blip2:LavisTeacher", weights=card.encoder.weights
    )
    lavis = Network("blip2-lavis", facts, files, {}, environment=card.environment).load("cpu", TeacherModel)
    ours = Teacher(files)
    seeds = list(range(len(pixels())))
    assert lavis.shape == ours.shape
    queries = ours.queries(ours.see(pixels()), seeds)
    torch.testing.assert_close(lavis.queries(lavis.see(pixels()), seeds), queries, rtol=0, atol=1e-4)
    for told in (Instruction(text="Describe the mouth."), Instruction(text=""), Instruction(text="a", noise=3)):
        expected = ours.targets(queries, told, seeds)
        torch.testing.assert_close(lavis.targets(queries, told, seeds), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(lavis.encode_texts(["fear."]), ours.encode_texts(["fear."]), rtol=0, atol=1e-4)
    drawn = lavis.targets(queries, Instruction(text="Describe."), seeds, dropout=True)
    again = lavis.targets(queries, Instruction(text="Describe."), seeds, dropout=True)
    assert torch.equal(drawn, again)
