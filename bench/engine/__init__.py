"""From cells to rows in the store: what they need, what of it is missing, and how it is computed."""
