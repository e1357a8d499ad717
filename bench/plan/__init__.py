"""From a table or method specification to cells, to the artifacts they need, each once, and what it costs."""
