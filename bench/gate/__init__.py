"""The regression gate: a run boiled down to a small file under version control, and what has moved since."""
