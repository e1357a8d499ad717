"""Carrying a plan out on several devices of this machine, one process each."""
