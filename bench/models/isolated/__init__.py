"""Adapters whose libraries cannot live beside today's: each in its own environment, in a worker process."""
