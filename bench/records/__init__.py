"""The result schema: what a run leaves behind, and the numbers that are computed from it."""
