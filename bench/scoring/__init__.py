"""From the store to predictions: pooling, prototypes, logits, answers read, the decision."""
