"""Small words of messages."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


def listing(items: Sequence[str], conjunction: str = "and") -> str:
    """`a, b or c`; `nothing` if there is none."""
    if not items:
        return "nothing"
    if len(items) == 1:
        return items[0]
    return f"{', '.join(items[:-1])} {conjunction} {items[-1]}"


def closest(word: str, known: Sequence[str]) -> str | None:
    """The known word that was probably meant."""
    by_lower = {item.lower(): item for item in known}
    found = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.75)
    return by_lower[found[0]] if found else None
