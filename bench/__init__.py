"""fer-bench: one runner, one metric, every table of a zero-shot facial expression recognition paper."""

import logging

__version__ = "0.1.0"

# Whoever uses this as a library hears nothing unless they configure logging; the command line does (bench/cli/messages.py).
logging.getLogger(__name__).addHandler(logging.NullHandler())
