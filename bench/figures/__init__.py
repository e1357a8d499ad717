"""The figures of a paper, drawn from a record's predictions or from stored features."""
