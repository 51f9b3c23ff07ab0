"""A small chain of two restaurants at iiko, in two time zones: deliveries, tables, guests with and without phones.

All names, phones and cards are invented: numbers from blocks of zeros.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from connectors.iiko.simulator import SimulatorState, create_app
from connectors.iiko.simulator_orders import SimulatedOrder
from connectors.iiko.simulator_webhooks import Target
from demo.crms import DemoCrm

DAYS = 60
_API_LOGIN = "demo-trattoria-api-login"
_PLACES = (("Траттория на Чистых прудах", "Europe/Moscow", 11), ("Траттория на Вайнера", "Asia/Yekaterinburg", 7))
"""Name, zone, orders of a usual day."""
_HOURS = ((12, 6), (13, 9), (14, 5), (15, 2), (16, 2), (17, 3), (18, 6), (19, 10), (20, 9), (21, 5), (22, 2))
"""Hour on the wall clock, how often orders are taken in it."""
_DISHES = (
    ("Минестроне", 390),
    ("Паста карбонара", 620),
    ("Паста болоньезе", 590),
    ("Ризотто с грибами", 640),
    ("Лазанья", 680),
    ("Брускетта с томатами", 340),
    ("Цезарь с курицей", 560),
    ("Тирамису", 420),
    ("Панна-котта", 360),
    ("Лимонад", 260),
    ("Капучино", 230),
)
_EXTRAS = (("Пармезан", 80), ("Двойной бекон", 120), ("Без лука", 0), ("Чиабатта", 90))
_PIZZAS = ("Маргарита", "Пепперони", "Четыре сыра", "Дьявола", "Капричоза")
_NAMES = ("Анна", "Борис", "Вера", "Глеб", "Дина", "Егор", "Жанна", "Игорь", "Лия", "Марк", "Нина", "Олег")
_NEXT = {
    "Unconfirmed": "WaitCooking",
    "WaitCooking": "CookingStarted",
    "CookingStarted": "CookingCompleted",
    "CookingCompleted": "OnWay",
    "OnWay": "Delivered",
    "Delivered": "Closed",
    "New": "Bill",
    "Bill": "Closed",
}


def demo_account(now: datetime, seed: int) -> DemoCrm:
    """Two months of orders up to `now`. The same arguments give the same account; from then on its clock is real."""
    now = now.astimezone(UTC).replace(microsecond=0)
    state = SimulatorState(api_login=_API_LOGIN, clock=lambda: now, seed=seed)
    chance = random.Random(f"trattoria/{seed}")
    guests = _guests(state, chance)
    moments = []
    for name, zone, usual in _PLACES:
        place = state.add_organization(name, zone=zone)
        moments += [(at, place.organization_id) for at in _times(now, ZoneInfo(zone), usual, chance)]
    for at, organization_id in sorted(moments):
        _live_through(state, chance, _take(state, chance, organization_id, guests, at), now)
    state.clock = lambda: datetime.now(UTC)
    return DemoCrm(
        app=create_app(state),
        variables={"API_LOGIN": _API_LOGIN},
        connect=lambda url: _connect(state, url),
        change=lambda: _change(state, chance, guests),
    )


def _guests(state: SimulatorState, chance: random.Random) -> Sequence[str]:
    """Profiles of the loyalty programme. Some have left no phone."""
    return [
        state.add_guest(
            chance.choice(_NAMES),
            phone=None if number % 9 == 8 else f"+7900000{number:04}",
            email=f"guest{number}@example.com" if number % 3 == 0 else None,
            card=f"{77000 + number}",
        )
        for number in range(60)
    ]


def _times(now: datetime, zone: ZoneInfo, usual: int, chance: random.Random) -> list[datetime]:
    """When orders were taken: more on Fridays and at weekends, at lunch and in the evening."""
    hours, weights = zip(*_HOURS, strict=True)
    today = now.astimezone(zone).date()
    found = []
    for back in range(DAYS, -1, -1):
        day: date = today - timedelta(days=back)
        count = round(usual * (1.4 if day.weekday() >= 4 else 1.0) * chance.uniform(0.7, 1.3))
        for hour in chance.choices(hours, weights, k=count):
            at = datetime.combine(day, time(hour, chance.randrange(60), chance.randrange(60)), zone).astimezone(UTC)
            if at < now:
                found.append(at)
    return found


def _take(
    state: SimulatorState, chance: random.Random, organization_id: str, guests: Sequence[str], at: datetime
) -> SimulatedOrder:
    """An order comes in: a third at tables, most with a phone, some by guests whom only their profile knows."""
    kind = chance.random()
    is_table = kind < 0.35
    guest_id, name = (chance.choice(guests), None) if chance.random() < 0.5 else (None, chance.choice(_NAMES))
    has_phone = chance.random() < (0.3 if is_table else 0.85)
    return state.add_order(
        _items(chance, is_delivered=not is_table and kind > 0.6),
        at=at,
        organization_id=organization_id,
        phone=f"+7900000{chance.randrange(10_000):04}" if has_phone else None,
        discounts=[{"name": "Лояльность 10", "percent": 10}] if guest_id is not None and chance.random() < 0.6 else [],
        deliver_at=at + timedelta(minutes=chance.choice((45, 60, 75, 90))),
        is_table=is_table,
        guest_id=guest_id,
        one_time_name=name,
    )


def _items(chance: random.Random, *, is_delivered: bool) -> list[Mapping[str, Any]]:
    items: list[Mapping[str, Any]] = []
    for name, price in chance.sample(_DISHES, chance.choice((1, 2, 2, 3))):
        extras = [{"name": extra, "price": cost} for extra, cost in chance.sample(_EXTRAS, chance.choice((0, 0, 1)))]
        items.append({"name": name, "price": price, "amount": chance.choice((1, 1, 1, 2)), "modifiers": extras})
    if chance.random() < 0.4:
        items.append({"halves": chance.sample(_PIZZAS, 2), "price": 890, "modifiers": [{"name": "Тонкое тесто"}]})
    if is_delivered:
        items.append({"service": "Доставка", "cost": 199})
    return items


def _live_through(state: SimulatorState, chance: random.Random, order: SimulatedOrder, now: datetime) -> None:
    """What became of an order by `now`: most were closed, some cancelled, a few sales undone afterwards."""
    end = "Cancelled" if not order.is_table and chance.random() < 0.06 else "Closed"
    at = order.created_at
    while order.status != end:
        at += timedelta(minutes=chance.uniform(4, 25))
        if at >= now:
            return
        is_given_up = end == "Cancelled" and order.status in ("WaitCooking", "CookingStarted")
        state.set_status(order.order_id, end if is_given_up else _NEXT[order.status], at=at, announce=False)
    if end == "Closed" and not order.is_table and chance.random() < 0.02 and at + timedelta(hours=1) < now:
        state.set_status(order.order_id, "Cancelled", at=at + timedelta(hours=1), announce=False)


def _connect(state: SimulatorState, url: str) -> None:
    """Both restaurants send their webhooks there; a `token` in the address is their authToken."""
    tokens = parse_qs(urlsplit(url).query).get("token")
    for organization_id in state.organizations:
        state.webhooks.targets[organization_id] = Target(url, tokens[0] if tokens else None)


def _change(state: SimulatorState, chance: random.Random, guests: Sequence[str]) -> SimulatedOrder:
    """An open order moves on, or a new one comes in; iiko tells it."""
    with state.lock:
        under_way = sorted((one for one in state.orders.values() if one.status in _NEXT), key=lambda one: one.order_id)
        if under_way and chance.random() < 0.75:
            order = chance.choice(under_way)
            state.set_status(order.order_id, _NEXT[order.status])
        else:
            order = _take(state, chance, chance.choice(list(state.organizations)), guests, state.clock())
    state.webhooks.deliver_pending()
    return order
