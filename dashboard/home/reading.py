"""The projects that somebody may see, each as it is now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from dashboard.home.alerts import Alert, alerts_of
from dashboard.identity import Identity
from dashboard.orders import hiding
from database.connection import Connection
from database.repositories import overview, settings
from database.repositories.overview import OrderCounts, SyncState
from database.repositories.settings import ProjectRow
from sync.switching import BY_HAND

State = Literal["works", "attention", "stopped", "disabled", "new"]
_ORDER: tuple[State, ...] = ("stopped", "attention", "works", "new", "disabled")


@dataclass(frozen=True, slots=True)
class Card:
    project: ProjectRow
    sync: SyncState
    orders: OrderCounts | None
    """None: the marts have not been built."""
    alerts: list[Alert]

    @property
    def state(self) -> State:
        """disabled: by hand; stopped: something stands still; new: nothing was ever synchronised."""
        if not self.project.is_enabled and self.project.disabled_reason in (None, BY_HAND):
            return "disabled"
        if any(alert.words.tone == "over" for alert in self.alerts):
            return "stopped"
        if self.alerts:
            return "attention"
        return "works" if self.sync.streams else "new"

    @property
    def is_last_sync_ok(self) -> bool | None:
        """None: there was none."""
        return all(run.is_success for run in self.sync.streams) if self.sync.streams else None


async def read_cards(connection: Connection, identity: Identity, wanted: Collection[str] | None) -> list[Card]:
    """Of the wanted projects (None: all) those that may be seen: those that need somebody first, then by name."""
    rows = [row for row in await settings.list_projects(connection) if identity.may_see(row.project_id)]
    if wanted is not None:
        rows = [row for row in rows if row.project_id in wanted]
    ids = [row.project_id for row in rows]
    syncs = await overview.sync_states(connection, ids)
    orders = await overview.order_counts(connection, ids, hiding.of_projects(rows))
    raised = await overview.open_alerts(connection, ids)
    waiting = await overview.waiting(connection, ids)
    now = datetime.now(UTC)
    cards = [
        Card(
            row, syncs[row.project_id], None if orders is None else orders[row.project_id],
            alerts_of(row, syncs[row.project_id], raised.get(row.project_id, ()), waiting.get(row.project_id, ()), now),
        )
        for row in rows
    ]  # fmt: skip
    return sorted(cards, key=lambda card: (_ORDER.index(card.state), card.project.name.casefold()))


def total(cards: Collection[Card]) -> OrderCounts | None:
    """Of all these together; None if none of them is known."""
    known = [card.orders for card in cards if card.orders is not None]
    if not known:
        return None
    return OrderCounts(*(sum(getattr(one, name) for one in known) for name in ("open", "ok", "near", "over")))


def over_share(counts: OrderCounts | None) -> float | None:
    """Share of open orders over their limit, of those that have one; None if none has."""
    limited = 0 if counts is None else counts.ok + counts.near + counts.over
    return None if counts is None or not limited else counts.over / limited
