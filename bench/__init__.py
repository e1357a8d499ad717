"""fer-bench: one runner, one metric, every table of a zero-shot facial expression recognition paper."""

__version__ = "0.1.0"
