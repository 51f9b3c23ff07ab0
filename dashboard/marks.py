"""Marks for texts that are translated where they are shown, not where they are written."""

from __future__ import annotations


def N_(text: str) -> str:  # noqa: N802 - the name that tools which collect texts know
    """The text itself; tests see to it that it has a translation."""
    return text


def NN_(one: str, many: str) -> tuple[str, str]:  # noqa: N802
    """A text that goes with a number, for `ngettext`: both name it as `%(num)s`."""
    return one, many
