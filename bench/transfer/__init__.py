"""Exp-CLIP: projection heads on both sides of a dual encoder, and how they are trained."""
