"""Cards: their schemas, finding them, and choosing a variant of a method."""
