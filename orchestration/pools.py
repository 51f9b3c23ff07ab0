"""Pools: how many runs may do the same kind of work at once."""

from __future__ import annotations

from collections.abc import Iterable

DBT = "dbt"
"""Writers of the marts: one at a time, or two builds would swap tables under each other."""


def crm(name: str) -> str:
    return f"crm_{name}"


def limits(crms: Iterable[str]) -> dict[str, int]:
    """Two pulls of a CRM at once: they mostly wait for its rate limit, which each account has of its own."""
    return {DBT: 1, **{crm(name): 2 for name in crms}}
