"""Ids in addresses and forms; pure."""

from __future__ import annotations

LARGEST_ID = 2**63 - 1
"""That PostgreSQL's bigint holds."""


def whole(text: str | None) -> int | None:
    """A whole number from 0 to the largest id, in plain digits; None for anything else."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 19:
        return None
    number = int(text)
    return number if number <= LARGEST_ID else None
