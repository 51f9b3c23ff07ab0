"""Seeds the demo's KeyCRM accounts with orders and their past, and lets things happen on them.

KeyCRM shows an order's current status alone; its past reaches the warehouse by webhooks only. So a seeded account holds
the present in its simulator, and beside it the webhooks that were sent on the way, for the demo to replay.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.keycrm.simulator import SimulatorState
from connectors.keycrm.simulator_records import Order
from connectors.keycrm.simulator_values import number, utc_now
from demo.seed_orders import creation_times, live_through, next_step, order_fields, ship
from demo.seed_profiles import PROFILES
from demo.seed_shop import PastEvent, SeededAccount, StatusChange, fill_shop, most_pieces

__all__ = ["LiveChange", "PastEvent", "SeededAccount", "StatusChange", "live_changes", "seed_account"]

RATE_LIMIT = 1200
"""Requests a minute. KeyCRM's 60 would make the first pull of the demo a matter of minutes."""


@dataclass(frozen=True, slots=True)
class LiveChange:
    """Something that happened on the account just now."""

    kind: str
    """status, order, payment, stock"""
    text: str
    """One sentence without personal data."""
    order_id: int | None = None


def seed_account(profile: str, now: datetime, orders: int, seed: int) -> SeededAccount:
    """An account of that profile (`print-shop`, `gift-shop`) with so many orders, the newest created just before `now`.

    The same arguments give the same account. From then on its clock is the real one. Raises KeyError.
    """
    shop = PROFILES[profile]
    now = now.astimezone(UTC).replace(microsecond=0)
    state = SimulatorState(
        api_key=shop.api_key, name=profile, clock=lambda: now, seed=seed, rate_limit=RATE_LIMIT, is_empty=True
    )
    account = SeededAccount(profile, shop, now, state, random.Random(f"{profile}/{seed}"))
    fill_shop(account, orders)
    for created_at, is_long in creation_times(account, orders):
        live_through(account, created_at, is_long=is_long)
    account.history.sort(key=lambda past: past.at)
    state.clock = utc_now
    state.on_tick = lambda count: [change.text for change in live_changes(account, count)]
    return account


def live_changes(account: SeededAccount, count: int) -> Iterator[LiveChange]:
    """So many things happen on the account, one at each step, at its clock's time: orders move on (most often), come
    in, are paid, stocks change. The account sends the webhooks."""
    kinds = ("status", "order", "payment", "stock")
    for _ in range(count):
        kind = account.random.choices(kinds, (70, 12, 10, 8))[0]
        change = None
        if kind == "status":
            change = _move_on(account)
        elif kind == "payment":
            change = _pay_something(account)
        elif kind == "stock":
            change = _change_stock(account)
        yield change if change is not None else _take_order(account)


def _open_orders(account: SeededAccount) -> Sequence[Order]:
    """Open orders that did not change in this very second: two changes in one would be one event."""
    state = account.state
    now = state.now()
    return [
        order for order in state.orders if order.fields["closed_at"] is None and order.fields["status_changed_at"] < now
    ]


def _move_on(account: SeededAccount) -> LiveChange | None:
    state, shop, chance = account.state, account.profile, account.random
    with state.lock:
        orders = _open_orders(account)
        if not orders:
            return None
        order = chance.choice(orders)
        step = next_step(shop, chance, order.fields["status_id"])
        if step is None:
            return None
        at = state.clock().replace(microsecond=0)
        path = account.changes.get(order.id)
        if path is None:  # somebody else has made it, as vms does
            entered_at = datetime.fromisoformat(order.fields["status_changed_at"])
            path = account.changes[order.id] = [StatusChange(entered_at, order.fields["status_id"])]
        if step.to in shop.shipped_statuses:
            ship(account, order, at)
        state.change_status(order.id, step.to, at=at)
        path.append(StatusChange(at, step.to))
        text = f"order {order.id} entered {state.status(step.to)['name']}"
    return LiveChange("status", text, order.id)


def _take_order(account: SeededAccount) -> LiveChange:
    state = account.state
    with state.lock:
        at = state.clock().replace(microsecond=0)
        order = state.add_order(**order_fields(account), status_id=account.profile.statuses[0].id, at=at)
        account.changes[order.id] = [StatusChange(at, order.fields["status_id"])]
    return LiveChange("order", f"order {order.id} came in", order.id)


def _pay_something(account: SeededAccount) -> LiveChange | None:
    state, chance = account.state, account.random
    with state.lock:
        unpaid = [
            order
            for order in state.orders
            if order.fields["status_group_id"] < 5 and order.fields["payment_status"] in ("not_paid", "part_paid")
        ]
        if not unpaid:
            return None
        order = chance.choice(unpaid)
        due = number(order.fields["grand_total"] - order.fields["payments_total"])
        method = chance.choice(list(state.dictionaries["payment_methods"]))
        state.add_payment(order.id, due, payment_method_id=method.id, actual_currency=account.profile.currency)
    return LiveChange("payment", f"order {order.id} was paid", order.id)


def _change_stock(account: SeededAccount) -> LiveChange:
    catalog, chance = account.state.catalog, account.random
    with account.state.lock:
        offer = chance.choice(list(catalog.offers))
        warehouse_id = chance.choice(list(catalog.warehouses))
        quantity = chance.randint(0, 40 * most_pieces(account.profile, offer.id))
        catalog.set_stock(offer.id, quantity, warehouse_id=warehouse_id)
    return LiveChange("stock", f"offer {offer.id} has {catalog.stock(offer.id)[0]} pieces")
