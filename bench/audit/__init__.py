"""Whether a table of accuracies can be right: its own arithmetic, its claims, and what counts of samples allow.

Everything here follows from printed numbers, cards and class counts; no prediction, picture or network is needed.
"""
