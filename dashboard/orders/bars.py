"""How an order stands to its limit: a bar of worked time, and how far away the due time is. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from database.repositories.orders import Order, State


@dataclass(frozen=True, slots=True)
class SlaBar:
    """Shares of the bar's length, 0 to 100."""

    filled: float
    limit_at: float | None
    """Where the limit lies inside, once more than that was worked."""


def sla_bar(worked_seconds: float | Decimal | None, limit_seconds: int | None) -> SlaBar | None:
    """None without a limit, or if the working time is not known."""
    if worked_seconds is None or limit_seconds is None:
        return None
    share = float(worked_seconds) / limit_seconds
    return SlaBar(round(share * 100, 1), None) if share <= 1 else SlaBar(100.0, round(100 / share, 1))


DueKind = Literal["in", "now", "over"]


def due(due_at: datetime | None, state: State | None, now: datetime) -> tuple[DueKind, float] | None:
    """("in", seconds until it), ("over", seconds since), or ("now", 0.0): reached, not passed while nobody works."""
    if due_at is None:
        return None
    seconds = (due_at - now).total_seconds()
    if seconds > 0:
        return "in", seconds
    return ("over", -seconds) if state == "over" else ("now", 0.0)


def version(order: Order) -> str:
    """Differs when something of the row that a person would call a change has changed; the clock alone is none."""
    values = (
        order.last_status_id, order.last_status_name, order.last_status_group_id, order.last_changed_at,
        order.is_closed, order.is_urgent, order.sla_state, order.sla_limit_seconds,
    )  # fmt: skip
    return f"{zlib.crc32(repr(values).encode()):08x}"
