"""Texts in CSV files that a spreadsheet will open."""

from __future__ import annotations

# What makes a spreadsheet take a cell for a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(text: str) -> str:
    """A text as a cell that no spreadsheet runs: one that would be a formula has a `'` before it. Numbers are not for here."""
    return f"'{text}" if text.startswith(_FORMULA) else text
