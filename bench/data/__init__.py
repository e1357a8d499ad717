"""Samples, splits, readers, frame sampling, decoding and input transforms; knows nothing of models."""
