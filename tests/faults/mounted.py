"""Steps in a mount namespace of its own: shell lines, and runs of the command that begin with the libraries loaded.

Called as `unshare --mount --map-root-user python mounted.py STEPS`; `STEPS` is a JSON list of `["sh", LINE]` and
`["run", NAME, ARGUMENTS]`. What a run said lies in `NAME.out`, its exit code in `NAME.code`.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

from forked import LOADED, begin


def main(steps: list[list]) -> None:
    for name in LOADED:
        importlib.import_module(name)
    for kind, *what in steps:
        if kind == "sh":
            subprocess.run(["sh", "-ec", what[0]], check=True)
            continue
        name, arguments = what
        child = os.fork()
        if not child:
            begin(arguments, f"{name}.out")
        _, status = os.waitpid(child, 0)
        Path(f"{name}.code").write_text(str(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
