"""fer-bench: one runner, one metric, every table of a zero-shot facial expression recognition paper.

The names below are loaded when they are touched, so that `import bench` costs nothing.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import (
        Plan,
        Record,
        Session,
        Table,
        check_method,
        evaluate,
        load_catalog,
        open_record,
        open_session,
        score,
    )

__version__ = "0.1.0"
__all__ = [
    "Plan",
    "Record",
    "Session",
    "Table",
    "__version__",
    "check_method",
    "evaluate",
    "load_catalog",
    "open_record",
    "open_session",
    "score",
]

# Whoever uses this as a library hears nothing unless they configure logging; the command line does (bench/cli/messages.py).
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("bench.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
