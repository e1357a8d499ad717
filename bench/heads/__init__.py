"""Projection heads, a teacher's embeddings, losses, and one training."""
