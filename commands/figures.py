"""The key figures of the marts, as tables."""

from __future__ import annotations

from typing import Any

from commands.output import print_rows
from commands.stack import Stack
from database.repositories import figures as queries

_TITLES = {
    "orders_per_stage": "Orders per stage now; urgent, ok, near and over their SLA: of the open ones",
    "working_time_per_stage": "Working time per stage (hours), of orders that have left it",
    "sla_per_stage": "SLA per stage, of orders that have left it",
    "cycle_times": "Cycle times (hours)",
    "sales": "Sales by project: what stands, and what was undone",
    "integration_statistics": "Integration statistics",
}

Figures = dict[str, list[dict[str, Any]]]


async def figures(stack: Stack) -> Figures:
    """Rows of each table, by its name."""
    async with stack.pool() as pool, pool.connection() as connection:
        return {name: await getattr(queries, name)(connection) for name in _TITLES}


def print_figures(result: Figures) -> None:
    for name, title in _TITLES.items():
        print_rows(title, result[name])
