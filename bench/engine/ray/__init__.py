"""Carrying a plan out on a Ray cluster."""
