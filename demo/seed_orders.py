"""Orders of a seeded account: what is in one, and its life from creation to where it stands now."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connectors.keycrm.simulator_records import Order
from connectors.keycrm.simulator_values import JSON, number, read_time
from connectors.keycrm.simulator_webhooks import PAYMENT_EVENT, STATUS_EVENT
from demo.seed_profiles import Good, Profile, Step
from demo.seed_shop import LONG_DAYS, PastEvent, SeededAccount, StatusChange

DAYS = 90
"""How far back ordinary orders go."""
_LONG_SHARE = 0.01
_FRESH_SHARE = 0.02
"""Orders of the last hour and a half: there are new ones at any time of day."""
_URGENT_PACE = 0.4
_MOST_STATUSES = 40
_THEN = (
    "status_id",
    "status_group_id",
    "status_changed_at",
    "closed_at",
    "has_reserves",
    "payment_status",
    "payments_total",
)


def creation_times(account: SeededAccount, orders: int) -> list[tuple[datetime, bool]]:
    """When orders were created, in order of time, and which are the ones that lay for months."""
    chance, zone = account.random, ZoneInfo(account.profile.timezone)
    times: list[tuple[datetime, bool]] = []
    long = min(orders, max(2, round(orders * _LONG_SHARE)))
    fresh = max(2, round(orders * _FRESH_SHARE))
    while len(times) < orders:
        is_long = len(times) < long
        # The more recent, the more orders: the shops grow, and every early status is populated now.
        age = LONG_DAYS * (0.8 + 0.2 * chance.random()) if is_long else DAYS * chance.random() ** 1.3
        day = (account.now - timedelta(days=age)).astimezone(zone)
        if day.weekday() >= 5 and chance.random() < 0.6:
            continue
        hour = min(23, max(0, round(chance.gauss(14.5, 4))))
        local = day.replace(hour=hour, minute=chance.randrange(60), second=chance.randrange(60), microsecond=0)
        created_at = local.astimezone(UTC)
        if created_at > account.now or orders - len(times) <= fresh:
            created_at = account.now - timedelta(seconds=chance.randrange(1, 5400))
        times.append((created_at, is_long))
    return sorted(times)


def live_through(account: SeededAccount, created_at: datetime, *, is_long: bool) -> None:
    """One order from its creation to where it stands now."""
    state, chance = account.state, account.random
    given = order_fields(account)
    is_urgent = any(row.get("offer_id") in account.profile.urgent_offers for row in given["products"])
    path = _path(account, created_at, pace=_URGENT_PACE if is_urgent else 1.0, is_long=is_long)
    ordered_at = created_at - timedelta(seconds=chance.choice((0, 0, 5, 40, 3600)))
    order = state.add_order(**given, status_id=path[0].status_id, at=created_at, ordered_at=ordered_at, announce=False)
    account.changes[order.id] = path
    plan = _payment_plan(chance)
    _remember(account, order, created_at, STATUS_EVENT)
    for position, change in enumerate(path):
        if position > 0:
            if change.status_id in account.profile.shipped_statuses:
                ship(account, order, change.at)
            state.change_status(order.id, change.status_id, at=change.at, announce=False)
            _remember(account, order, change.at, STATUS_EVENT)
        until = path[position + 1].at if position + 1 < len(path) else account.now
        _settle(account, order, plan, change, until)
    if chance.random() < 0.3:
        last = read_time(order.fields["updated_at"])
        noted_at = min(account.now, last + timedelta(minutes=chance.randint(1, 300)))
        state.update_order(order.id, at=noted_at, manager_comment=_manager_comment(account))


def _path(account: SeededAccount, created_at: datetime, *, pace: float, is_long: bool) -> list[StatusChange]:
    """The statuses that an order goes through until now."""
    shop, chance = account.profile, account.random
    path = [StatusChange(created_at, shop.statuses[0].id)]
    is_waiting = is_long
    while len(path) < _MOST_STATUSES:
        step = next_step(shop, chance, path[-1].status_id)
        if step is None:
            break
        hours = step.hours * pace * math.exp(chance.gauss(0, step.spread))
        if is_waiting and len(path) > 1 and not step.is_round_the_clock:
            # Lies in an early stage until a few weeks ago; then it goes on as others do.
            hours, is_waiting = chance.uniform(900, 1300), False
        left_at = path[-1].at + timedelta(hours=hours)
        if not step.is_round_the_clock:
            left_at = _work(shop, path[-1].at, hours)
        if left_at > account.now:
            break
        path.append(StatusChange(left_at, step.to))
    return path


def next_step(shop: Profile, chance: random.Random, status_id: int) -> Step | None:
    """Where an order goes from a status; None if it stays for good."""
    if status_id in shop.reopenings:
        share, step = shop.reopenings[status_id]
        return step if chance.random() < share else None
    steps = shop.steps.get(status_id)
    return None if steps is None else chance.choices(steps, [step.weight for step in steps])[0]


def _work(shop: Profile, start: datetime, hours: float) -> datetime:
    """When that many hours of the shop's working time have passed, in whole seconds."""
    zone = ZoneInfo(shop.timezone)
    left = timedelta(hours=hours)
    at = start
    day = start.astimezone(zone).date()
    while True:
        window = shop.hours.get(day.weekday())
        if window is not None and (day.month, day.day) not in shop.holidays:
            opens = max(at, _instant(day, window[0], zone))
            closes = _instant(day, window[1], zone)
            if opens < closes:
                if opens + left <= closes:
                    return (opens + left).replace(microsecond=0)
                left -= closes - opens
        day += timedelta(days=1)


def _instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)


def _remember(account: SeededAccount, order: Order, at: datetime, event: str) -> None:
    then = {name: order.fields[name] for name in _THEN}
    then["updated_at"] = order.fields["updated_at"]
    account.history.append(PastEvent(order.id, at, event, order, then))


def order_fields(account: SeededAccount) -> JSON:
    """The arguments of `SimulatorState.add_order` for a new order."""
    state, shop, chance = account.state, account.profile, account.random
    source = chance.choice(list(state.dictionaries["sources"]))
    is_from_web = source.fields["driver"] != "manual"
    uuid = f"{source.id}-{len(state.orders) + 1:06d}" if is_from_web else None
    buyer = None if chance.random() < shop.nobody_share else chance.choice(account.buyers)
    city, region = chance.choice(shop.cities)
    given: JSON = {
        "buyer": buyer,
        "source_id": source.id,
        "source_uuid": uuid,
        "global_source_uuid": uuid,
        "manager_id": chance.choice([None, *state.users.rows]),
        "products": _products(account),
        "buyer_comment": chance.choice(shop.customer_comments) if chance.random() < 0.25 else None,
        "manager_comment": _manager_comment(account) if chance.random() < 0.35 else None,
        "shipping_price": number(chance.choice((0, 0, 65, 90.5))),
        "shipping": {
            "delivery_service_id": chance.choice(list(state.dictionaries["delivery_services"])).id,
            "shipping_address_city": city,
            "shipping_address_region": region,
            "shipping_address_country": shop.country[0],
            "shipping_address_country_code": shop.country[1],
            "shipping_receive_point": f"№ {chance.randint(1, 40)}",
            "recipient_full_name": None if buyer is None else buyer.fields["full_name"],
            "recipient_phone": None if buyer is None or not buyer.fields["phone"] else buyer.fields["phone"][0],
        },
    }
    if chance.random() < 0.45:
        source_, medium, campaign = chance.choice(shop.campaigns)
        given["marketing"] = {"utm_source": source_, "utm_medium": medium, "utm_campaign": campaign}
    if chance.random() < 0.1:
        given |= {"discount_percent": chance.choice((5, 10)), "promocode": "DEMO"}
    if chance.random() < 0.2:
        given["custom_fields"] = [{"uuid": "OR_1001", "value": [chance.choice(shop.custom_field[1])]}]
    if chance.random() < 0.15:
        given["tag_ids"] = [chance.choice(list(state.dictionaries["tags"])).id]
    if chance.random() < 0.1:
        given["expenses"] = [
            {"id": 1, "expense_type_id": 1, "amount": number(chance.choice((40, 55.5))), "status": "paid"}
        ]
    return given


def _products(account: SeededAccount) -> list[JSON]:
    shop, chance = account.profile, account.random
    goods = [good for good in shop.goods if good.weight > 0]
    chosen: dict[str, Good] = {}
    for good in chance.choices(goods, [good.weight for good in goods], k=chance.choice((1, 1, 1, 2, 2, 3))):
        chosen[good.sku] = good
    lines: list[JSON] = [
        {
            "offer_id": good.offer_id + (chance.randrange(len(good.variants)) if good.variants else 0),
            "quantity": chance.randint(1, good.most),
            "discount_amount": number(good.price * 0.1) if chance.random() < 0.05 else 0,
        }
        for good in chosen.values()
    ]
    if chance.random() < 0.03:
        # Typed in by hand: no offer, no sku.
        lines.append({"name": "✂️ " + shop.manager_comments[0], "price": number(chance.uniform(5, 90)), "quantity": 0.5})
    if chance.random() < shop.urgent_share:
        lines.append({"offer_id": chance.choice(shop.urgent_offers), "quantity": 1})
    return lines


def _manager_comment(account: SeededAccount) -> str:
    """Free text, sometimes with the address that the customer came by: UTM tags and fbclid are found there alone."""
    shop, chance = account.profile, account.random
    text = chance.choice(shop.manager_comments)
    roll = chance.random()
    source, medium, campaign = chance.choice(shop.campaigns)
    tags = f"utm_source={source}&utm_medium={medium}&utm_campaign={campaign.replace(' ', '%20')}"
    click = "".join(chance.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789_-", k=24))
    if roll < 0.25:
        return f"{text}\n{shop.site}/?{tags}&fbclid=IwAR{click}"
    if roll < 0.4:
        return f"{text}; utm_source: {source}, utm_campaign: {campaign}, fbclid=IwAR{click}"
    if roll < 0.5:
        return f"{shop.site}/?{tags}&gclid=Cj0{click} {text}"
    return text


def _payment_plan(chance: random.Random) -> str:
    return chance.choices(("ahead", "half", "on_delivery", "never", "late"), (40, 18, 34, 4, 4))[0]


def _settle(account: SeededAccount, order: Order, plan: str, change: StatusChange, until: datetime) -> None:
    """What is paid, or paid back, while the order is in a status."""
    state, chance = account.state, account.random
    group = order.fields["status_group_id"]
    due = number(order.fields["grand_total"] - order.fields["payments_total"])
    amount: int | float = 0
    if group == 3 and due > 0 and plan in ("ahead", "half") and not order.payments:
        amount = due if plan == "ahead" else number(due / 2)
    elif group == 5 and due > 0 and plan != "never":
        amount = number(due + 10) if chance.random() < 0.02 else due
    room = max(0, int((until - change.at).total_seconds()))
    at = change.at + timedelta(seconds=chance.randint(0, min(room, 900)))
    before = order.fields["payment_status"]
    if amount > 0:
        state.add_payment(
            order.id,
            amount,
            at=at,
            announce=False,
            payment_method_id=chance.choice(list(state.dictionaries["payment_methods"])).id,
            actual_currency=account.profile.currency,
        )
    elif group == 6 and order.payments and chance.random() < 0.7:
        for payment in order.payments:
            state.change_payment(payment["id"], at=at, announce=False, status="canceled")
    if order.fields["payment_status"] != before:
        _remember(account, order, at, PAYMENT_EVENT)


def ship(account: SeededAccount, order: Order, at: datetime) -> None:
    """The parcel gets its code, once."""
    if order.shipping["tracking_code"] is not None:
        return
    code = f"{account.profile.country[1]}{order.id:08d}"
    changes = {"tracking_code": code, "shipping_status": "sent", "shipping_date_actual": at.date().isoformat()}
    order.shipping_history.append({"tracking_code": code, "status": "sent", "created_at": account.state.now(at)})
    account.state.update_order(order.id, at=at, shipping=order.shipping | changes)
