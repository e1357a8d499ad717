"""UAR, WAR, confusion, folds, seeds and intervals, from predictions alone."""
