"""Reads damaged files of one kind, one after another, and says of each how it went; run by `test_damaged_files.py`.

A line is printed before and after every attempt, so that whoever reads them knows on which one the process died or hung.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

from corpus import KINDS
from mutations import mutated

from bench.errors import BenchError


def main(kind: str, first: int, count: int) -> None:
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("TMPDIR")))
    seeds = dict(sorted(KINDS[kind].seeds(folder).items()))
    for name, data in seeds.items():  # whole files are read, or the corpus tests nothing
        (folder / name).write_bytes(data)
        KINDS[kind].attempt(folder / name)
        (folder / name).unlink()
    say(ready=len(seeds))
    for number in range(first, first + count):
        draw = random.Random(f"{kind} {number}")
        name = draw.choice(list(seeds))
        path = folder / name
        path.write_bytes(mutated(seeds[name], draw))
        say(begin=number, name=name)
        begun, fault = time.process_time(), ""
        try:
            KINDS[kind].attempt(path)
            outcome = "read"
        except BenchError:
            outcome = "refused"
        except BaseException:
            outcome, fault = "raised", traceback.format_exc()
        say(end=number, outcome=outcome, fault=fault, seconds=round(time.process_time() - begun, 2))
        path.unlink(missing_ok=True)


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
