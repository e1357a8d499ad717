"""Adapters that are run inside an isolated environment, where neither `bench` nor today's libraries can be imported."""
