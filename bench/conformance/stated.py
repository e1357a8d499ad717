"""Checks that need no network built: what the card says, and whether the class is what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from bench.conformance.subject import Subject, fail, warn
from bench.models.network import CONTRACTS
from bench.models.resolve import adapter_class

HEAVY = ("torch", "transformers", "open_clip", "tensorflow", "jax")
IMPORT_SECONDS = 120


def card(subject: Subject) -> str:
    """What the card refers to exists, and its weights can be got by others."""
    card, catalog = subject.variant.card, subject.catalog
    catalog.prompt_set(catalog.prompts_of(card))
    for name in card.trained_on:
        catalog.dataset(name)
    if subject.kind != "dual-encoder" and card.head is not None:
        fail(f"it states a [head], and a {subject.kind} has no embeddings to project")
    pixels = card.native.pixels
    if (pixels.mean is None) != (pixels.std is None):
        fail("[native.pixels] states one of `mean` and `std`; give both or neither")
    files = [*card.encoder.weights.values(), *([card.head.file] if card.head else [])]
    sources = {file: card.weights.get(file) for file in files}
    lost = [file for file, facts in sources.items() if facts is None or not (facts.url or facts.hub or facts.manual)]
    if lost:
        warn(f"nobody else can get {', '.join(lost)}: give each a [weights] entry with `url`, `hub` or `manual`")
    return "its prompt set, protocol and datasets exist, and its weights can be got"


def cheap(subject: Subject) -> str:
    """Importing the adapter's module is quick, since planning does it too."""
    if subject.isolated:
        return "its module is imported in an environment of its own"
    adapter_class(subject.network.facts.adapter)
    code = (
        "import sys\nfrom bench.models.resolve import adapter_class\nadapter_class(sys.argv[1])\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, subject.network.facts.adapter],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=IMPORT_SECONDS,
        check=False,
    )
    if done.returncode:
        fail(f"its module cannot be imported by a process of its own: {done.stderr.strip()[-500:]}")
    heavy = done.stdout.split()
    if heavy:
        warn(f"its module imports {', '.join(heavy)}, so listing and planning wait for it: import inside __init__")
    return "importing its module is quick"


def protocol(subject: Subject) -> str:
    """The class has the methods that go with the card's `model` and `sees`."""
    facts = subject.network.facts
    contract = CONTRACTS[facts.model, facts.sees]
    if subject.isolated:
        return "its class is looked at when it is built, in an environment of its own"
    cls = adapter_class(facts.adapter)
    missing = [name for name in _methods(contract) if not callable(getattr(cls, name, None))]
    if not missing:
        return f"it has the methods of {contract.__name__}: {', '.join(_methods(contract))}"
    fitting = [
        f'model = "{model}", sees = "{sees}"'
        for (model, sees), other in CONTRACTS.items()
        if all(callable(getattr(cls, name, None)) for name in _methods(other))
    ]
    hint = f"; what it has would fit {fitting[0]}" if fitting else ""
    return fail(
        f'the card says model = "{facts.model}", sees = "{facts.sees}", so it must have the methods of {contract.__name__}, '
        f"but it has no {', '.join(missing)}{hint}"
    )


def _methods(contract: type[Any]) -> list[str]:
    found = [name for name in dir(contract) if not name.startswith("_") and callable(getattr(contract, name))]
    return sorted(found)


def version(subject: Subject) -> str:
    """What stands for the code in the key of stored results."""
    stated = str(subject.network.identity.get("version", ""))
    if not stated or stated.startswith("source-"):
        return "it is known by its source or its environment: any change there makes it run again"
    return f"it states version {stated!r}: bump it whenever an output changes"
