"""An adapter's results are those of its code: of its own file, and of what it imports from beside its card."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from plain_method import ADAPTER, write_method
from small_world import World

from bench.models.resolve import adapter_class
from bench.models.source import sources

HELPED = ADAPTER.replace("import torch\n", "import torch\n{how}\n", 1).replace("10.0", "SCALE")
WAYS = {
    "at the top": "from .helper import SCALE",
    "as a module": "from . import helper\nSCALE = helper.SCALE",
    "by a path": "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\nfrom helper import SCALE",
    "by its name": "import importlib\nSCALE = importlib.import_module('.helper', __name__).SCALE",
    "through another": "from .between import SCALE",
    "from a package": "from .package.inner import SCALE",
}


def encoded(world: World) -> bool:
    answer = world.run("--methods", "plain", "--datasets", "tiny-faces", "--device", "cpu")
    assert answer.code == 0, answer.err
    return "nothing to encode" not in answer.err


@pytest.mark.parametrize("how", WAYS)
def test_a_change_in_what_an_adapter_imports_is_a_change_of_the_adapter(world: World, how: str) -> None:
    cards = world.root / "cards"
    write_method(cards, adapter=HELPED.replace("{how}", WAYS[how]))
    (cards / "package").mkdir()
    (cards / "package" / "__init__.py").touch()
    helper = cards / ("package/inner.py" if how == "from a package" else "helper.py")
    (cards / "between.py").write_text(
        "def late():\n    from .helper import SCALE\n    return SCALE\n\nSCALE = late()\n"
    )
    helper.write_text("SCALE = 10.0\n")
    (cards / "unrelated.py").write_text("A = 1\n")
    assert encoded(world) and not encoded(world)
    (cards / "unrelated.py").write_text("A = 2\n")
    assert not encoded(world)
    helper.write_text("SCALE = 20.0\n")
    assert encoded(world)


def test_code_of_the_same_length_and_second_is_not_taken_for_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file, helper = tmp_path / "adapter.py", tmp_path / "helper.py"
    for number in (1, 2):
        file.write_text(f"from .helper import VALUE\n\n\nclass Adapter:\n    own, helped = {number}, VALUE\n")
        helper.write_text(f"VALUE = {number}\n")
        for each in (file, helper):
            os.utime(each, (1_700_000_000, 1_700_000_000))
        cls = adapter_class(f"{file}:Adapter")
        assert (cls.own, cls.helped) == (number, number)


def test_what_cannot_be_parsed_and_what_is_not_there_are_left_to_whoever_imports_it(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import numpy, gone\nfrom .b import x\nfrom .a import y\n")
    (tmp_path / "b.py").write_text("def (")
    assert [path.name for path in sources(tmp_path / "a.py")] == ["a.py", "b.py"]
