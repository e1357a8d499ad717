"""One adapter module per face detector. Nobody imports one by name: a card does."""
