"""`bench check-plugin`: a good method passes every check, and each broken promise is found by the check that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.conformance import behaviour
from bench.conformance.suite import CHECKS

CARD = """
kind = "method"
name = "tried"
{more}
[encoder]
adapter = "adapter.py:Adapter"
size = 32
{encoder}
"""
ADAPTER = """
class Adapter:
    logit_scale = 10.0
    def __init__(self, weights, device, dtype):
        import torch
        generator = torch.Generator().manual_seed(0)
        self.projection = torch.randn(12, 8, generator=generator)
        self.letters = torch.randn(256, 8, generator=generator)
        self.count = torch.zeros(1)
    def images(self, pixels):
        from torch.nn.functional import adaptive_avg_pool2d
        return adaptive_avg_pool2d(pixels, 2).flatten(-3) @ self.projection
    def texts(self, texts):
        import torch
        return torch.stack([self.letters[list(text.encode())].mean(0) for text in texts])
"""
DUAL = """
    def encode_images(self, pixels): return self.images(pixels)
    def encode_texts(self, texts): return self.texts(texts)
"""
JOINT = """
    def score(self, pixels, texts): return self.images(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2]).mean(1) @ self.texts(texts).T
"""
GENERATOR = """
    def loglikelihood(self, pixels, question, options): return self.images(pixels) @ self.texts(options).T
    def answer(self, pixels, question):
        rows = self.loglikelihood(pixels, question, ["happiness", "fear"])
        return ["happiness" if row[0] > row[1] else "fear" for row in rows]
"""
QUESTION = '[question]\ntemplate = "Which of {classes}?"\n'


class Report(NamedTuple):
    code: int
    states: dict[str, str]
    says: dict[str, str]


def examined(world: Any, adapter: str, more: str = "", encoder: str = "") -> Report:
    folder: Path = world.root / "cards" / "tried"
    folder.mkdir()
    (folder / "tried.toml").write_text(CARD.format(more=more, encoder=encoder))
    (folder / "adapter.py").write_text(adapter)
    answer = world.call("check-plugin", "tried", "--json", *world.flags)
    assert answer.out, answer.err
    found = json.loads(answer.out)
    return Report(
        answer.code, {one["check"]: one["state"] for one in found}, {one["check"]: one["says"] for one in found}
    )


def changed(**methods: str) -> str:
    """The good dual encoder with the body of some methods replaced."""
    arguments = {"encode_images": "pixels", "encode_texts": "texts", "__init__": "weights, device, dtype"}
    bodies = {"encode_images": "return self.images(pixels)", "encode_texts": "return self.texts(texts)", **methods}
    text = ADAPTER.replace("def __init__", "def prepare") if "__init__" in methods else ADAPTER
    for name, body in bodies.items():
        lines = "\n".join(f"        {line}" for line in ("import torch", *body.splitlines()))
        text += f"    def {name}(self, {arguments[name]}):\n{lines}\n"
    return text


@pytest.mark.parametrize(
    ("adapter", "encoder"),
    [
        (ADAPTER + DUAL, ""),
        (ADAPTER + JOINT, 'sees = "clips"\nmodel = "joint-scorer"'),
        (ADAPTER + GENERATOR, f'model = "generator"\n{QUESTION}'),
        (ADAPTER + GENERATOR, f'model = "generator"\n{QUESTION}mode = "likelihood"'),
    ],
    ids=["dual encoder", "joint scorer", "answers", "likelihoods"],
)
def test_a_good_method_of_any_kind_passes(world: Any, adapter: str, encoder: str) -> None:
    report = examined(world, adapter, encoder=encoder)
    assert report.code == 0
    assert set(report.states) == {check.name for check in CHECKS}
    assert set(report.states.values()) <= {"passed", "skipped"}, report.says


def test_what_bench_new_writes_passes_without_a_warning(world: Any) -> None:
    world.call("new", "mine", "--to", str(world.root / "cards" / "mine"))
    answer = world.call("check-plugin", "mine", *world.flags)
    assert answer.code == 0, answer.out
    assert f"{len(CHECKS)} passed" in answer.out.splitlines()[-1]


def test_a_built_in_method_is_examined_with_the_weights_at_hand(world: Any) -> None:
    answer = world.call("check-plugin", "clip:backbone=B32", *world.flags)
    assert answer.code == 0, answer.out
    assert "failed" not in answer.out and "[4, 3, 224, 224]" in answer.out


FAULTS: dict[str, tuple[str, dict[str, str], str]] = {
    "a prompt set that is none": ("card", {"more": 'prompts = "P-33"'}, "did you mean"),
    "trained on a set that is none": ("card", {"more": 'trained_on = ["rafdb"]'}, "did you mean 'raf-db'"),
    "a module that cannot be imported": ("import", {"adapter": "import a_package_that_is_not_there"}, "not_there"),
    "the methods of another kind": (
        "protocol",
        {"adapter": ADAPTER + DUAL.replace("encode_images", "encode_clips")},
        'has no encode_images; what it has would fit model = "dual-encoder", sees = "clips"',
    ),
    "a crop larger than the picture": ("pixels", {"more": '[native.pixels]\nresize = "shortest"\nresize_to = 8'}, "8"),
    "an error while it is built": ("build", {"adapter": changed(__init__="raise ValueError('no idea')")}, "no idea"),
    "a logit scale of nothing": (
        "build",
        {"adapter": changed(__init__="self.prepare(weights, device, dtype)\nself.logit_scale = 0.0")},
        "logit_scale is 0.0",
    ),
    "half precision": ("shapes", {"adapter": changed(encode_images="return self.images(pixels).half()")}, ".float()"),
    "a row too few": ("shapes", {"adapter": changed(encode_images="return self.images(pixels)[1:]")}, "[3, 8]"),
    "one vector for all texts": (
        "shapes",
        {"adapter": changed(encode_texts="return self.texts(texts).mean(0)")},
        "encode_texts gives [8]; it must be [4, D]",
    ),
    "a division by nothing": ("finite", {"adapter": changed(encode_images="return self.images(pixels) / 0")}, "NaN"),
    "dropout left on": (
        "repeatable",
        {"adapter": changed(encode_images="return torch.nn.functional.dropout(self.images(pixels))")},
        "dropout",
    ),
    "a mean over the batch": (
        "batch size",
        {"adapter": changed(encode_images="rows = self.images(pixels)\nreturn rows - rows.mean(0)")},
        "alone gives another row",
    ),
    "rows that know their place": (
        "order",
        {"adapter": changed(encode_images="return self.images(pixels) + torch.arange(len(pixels))[:, None]")},
        "in another order",
    ),
    "texts of another width": (
        "one space",
        {"adapter": changed(encode_texts="return self.texts(texts)[:, :5]")},
        "pictures become 8 numbers and texts 5",
    ),
    "a mean over the texts": (
        "texts",
        {"adapter": changed(encode_texts="rows = self.texts(texts)\nreturn rows - 0.5 * rows.mean(0)")},
        "among others",
    ),
    "something kept between calls": (
        "calls",
        {
            "adapter": changed(
                encode_images="before = getattr(self, 'last', len(pixels))\nself.last = len(pixels)\n"
                "return self.images(pixels) + (before != len(pixels))"
            )
        },
        "kept between calls",
    ),
    "random weights without a seed": (
        "instances",
        {"adapter": changed(__init__="self.prepare(weights, device, dtype)\nself.projection = torch.randn(12, 8)")},
        "without a seed",
    ),
    "something shared by the class": (
        "instances",
        {
            "adapter": changed(
                __init__="self.prepare(weights, device, dtype)\nself.first = not hasattr(Adapter, 'shift')\n"
                "Adapter.shift = 0",
                encode_images="rows = self.images(pixels)\nif self.first: return rows + Adapter.shift\n"
                "Adapter.shift = 1\nreturn rows",
            )
        },
        "changes the first",
    ),
    "fewer rows than odd pictures": (
        "odd input",
        {"adapter": changed(encode_images="return torch.zeros(1, 8) if pixels.shape[1] == 1 else self.images(pixels)")},
        "one channel: it gives [1, 8] where [4] rows are due",
    ),
    "an endless wait for texts": (
        "odd input",
        {"adapter": changed(encode_texts="import time\nif not texts: time.sleep(5)\nreturn self.texts(texts)")},
        "no text: it has not come back after 0.5 s",
    ),
    "a call that writes into the model": (
        "parameters",
        {"adapter": changed(encode_images="self.count += 1\nreturn self.images(pixels)")},
        "calls have changed count",
    ),
    "a download that is given up quietly": (
        "network",
        {
            "adapter": changed(
                __init__="self.prepare(weights, device, dtype)\nimport urllib.request\n"
                "try: urllib.request.urlopen('http://weights.example.org/w.bin')\nexcept OSError: pass"
            )
        },
        "weights.example.org:80",
    ),
    "scores that are a softmax over the texts": (
        "texts",
        {
            "adapter": ADAPTER + JOINT.replace(".T\n", ".T).softmax(1)\n").replace("return self", "return (self"),
            "encoder": 'sees = "clips"\nmodel = "joint-scorer"',
        },
        "alone",
    ),
    "likelihoods of one option only": (
        "shapes",
        {
            "adapter": ADAPTER + GENERATOR.replace("self.texts(options).T", "self.texts(options[:1]).T"),
            "encoder": f'model = "generator"\n{QUESTION}mode = "likelihood"',
        },
        "[4, 1]",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_promise_is_found_by_the_check_that_names_it(
    world: Any, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    check, facts, said = FAULTS[fault]
    monkeypatch.setattr(behaviour, "PATIENCE", 0.5)
    report = examined(world, **{"adapter": ADAPTER + DUAL, **facts})
    assert report.code == 1
    assert report.states[check] == "failed", report
    assert said in report.says[check]


@pytest.mark.parametrize(
    ("check", "facts", "said"),
    [
        ("import", {"adapter": "import torch\n" + ADAPTER + DUAL}, "imports torch"),
        ("card", {"encoder": 'weights = { model = "ViT-B-32.pt" }'}, "nobody else can get ViT-B-32.pt"),
        ("tells apart", {"adapter": changed(encode_images="return torch.ones(len(pixels), 8)")}, "look at its input"),
        ("tells apart", {"adapter": changed(encode_texts="return torch.ones(len(texts), 8)")}, "read them"),
        (
            "long text",
            {"adapter": changed(encode_texts="assert max(map(len, texts), default=0) < 99\nreturn self.texts(texts)")},
            "211 words is refused",
        ),
    ],
)
def test_what_only_looks_wrong_is_a_warning(world: Any, check: str, facts: dict[str, str], said: str) -> None:
    report = examined(world, **{"adapter": ADAPTER + DUAL, **facts})
    assert report.code == 0 and report.states[check] == "warned" and said in report.says[check]
    assert "failed" not in report.states.values()


def test_what_cannot_be_tried_is_skipped_and_says_because_of_what(world: Any) -> None:
    report = examined(world, "import a_package_that_is_not_there")
    assert report.states["build"] == report.states["texts"] == "skipped"
    assert report.says["protocol"] == "not tried, because of 'import'"
    assert report.states["card"] == "passed"


def test_a_card_that_cannot_be_read_is_failed_with_its_reason(world: Any) -> None:
    report = examined(world, ADAPTER + DUAL, more='protocoll = "paper"')
    assert (report.code, report.states) == (1, {"card": "failed"}) and "protocoll" in report.says["card"]


def test_a_name_that_is_none_gets_the_near_ones(world: Any) -> None:
    answer = world.call("check-plugin", "clipp:backbone=B32", *world.flags)
    assert answer.code == 2 and "did you mean 'clip'" in answer.err
