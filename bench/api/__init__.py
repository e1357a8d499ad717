"""The Python door, `import bench`: a few names over the rooms; nothing is computed here."""

from bench.api.doors import check_method, evaluate, load_catalog, open_record, open_session, score
from bench.api.record import Record, Table
from bench.api.session import Plan, Session

__all__ = [
    "Plan",
    "Record",
    "Session",
    "Table",
    "check_method",
    "evaluate",
    "load_catalog",
    "open_record",
    "open_session",
    "score",
]
