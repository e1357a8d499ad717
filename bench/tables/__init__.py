"""Tables from scores: laid out once as a grid, then drawn by one renderer a format."""
