"""The demo's RetailCRM account: a shop of home textiles in Almaty with a second site for wholesale.

All names, phones and e-mails are invented: example.com, and numbers from blocks of zeros.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from connectors.retailcrm.simulator import SimulatorState, Trigger, create_app
from connectors.retailcrm.simulator_values import utc_now
from connectors.retailcrm.webhooks import DEFAULT_TEMPLATE
from demo.crms import DemoCrm

DAYS = 60
ORDERS = 120
CUSTOMERS = 45
API_KEY = "demo-retailcrm-key-0001"

_GOODS = (
    ("Постельное бельё, сатин, евро", "bed-euro", 24900, 13800),
    ("Постельное бельё, сатин, 1,5-спальное", "bed-single", 19900, 10900),
    ("Плед вязаный 150x200", "plaid", 15900, 8200),
    ("Полотенце махровое 70x140", "towel", 4900, 2100),
    ("Скатерть льняная", "tablecloth", 9900, 5200),
    ("Подушка бамбуковая 50x70", "pillow", 7900, 3900),
)
_FIRST = ("Айгерим", "Динара", "Мадина", "Алия", "Жанна", "Тимур", "Арман", "Ерлан", "Светлана", "Ольга")
_LAST = ("Сулейменова", "Ахметова", "Ким", "Нурланова", "Иванова", "Касымова", "Оспанова", "Ли", "Петрова", "Жумабаева")
_CITIES = (("Алматы", 1500), ("Астана", 2500), ("Шымкент", 2500), ("Караганда", 2500))
_SOURCES = (("google", "cpc"), ("instagram", "social"), ("", ""), ("yandex", "organic"))

# Each way: statuses after the first one, with the hours that an order usually stays before it enters them.
_DONE = (
    ("availability-confirmed", 1.5),
    ("client-confirmed", 3.0),
    ("assembling", 4.0),
    ("assembling-complete", 6.0),
    ("send-to-delivery", 14.0),
    ("delivering", 6.0),
    ("complete", 40.0),
)
_NO_CALL = (("availability-confirmed", 2.0), ("no-call", 30.0))
_NO_PRODUCT = (("no-product", 5.0),)
_REFUSED = (*_DONE[:6], ("cancel-other", 50.0))
_WAYS = ((_DONE, 78), (_NO_CALL, 9), (_NO_PRODUCT, 5), (_REFUSED, 8))


def demo_account(now: datetime, seed: int) -> DemoCrm:
    """The account with about sixty days behind it. The same arguments give the same account; from then on its clock is
    the real one."""
    now = now.astimezone(UTC).replace(microsecond=0)
    chance = random.Random(f"retailcrm/{seed}")
    state = SimulatorState(
        api_key=API_KEY,
        clock=lambda: now,
        timezone="Asia/Almaty",
        currency="KZT",
        public_url="https://uyut.retailcrm.example.com",
        seed=seed,
        rate_limit=100,
    )
    state.sites["shop"] |= {"name": "Уют", "countryIso": "KZ"}
    state.add_site("wholesale", "Уют оптом")
    for name, article, price, _ in _GOODS:
        state.store.add_product(name, price, article=article, quantity=chance.randint(5, 60))
    _live(state, chance, now)
    state.clock = utc_now

    def connect(url: str) -> None:
        state.triggers.triggers = [Trigger(url, DEFAULT_TEMPLATE)]

    def change() -> object:
        _happen(state, chance)
        return state.triggers.deliver_pending()

    return DemoCrm(create_app(state), variables={"RETAILCRM_KEY": API_KEY}, connect=connect, change=change)


def _live(state: SimulatorState, chance: random.Random, now: datetime) -> None:
    """Everything that happened, in its order: the history's ids ascend with time."""
    start = now - timedelta(days=DAYS)
    events: list[tuple[datetime, int, tuple[Any, ...]]] = []
    for index in range(CUSTOMERS):
        at = start + timedelta(days=DAYS * 0.8 * index / CUSTOMERS)
        events.append((at, len(events), ("customer", index)))
    for index in range(ORDERS):
        at = start + timedelta(days=1 + (DAYS - 1.01) * index / ORDERS, minutes=chance.randint(0, 300))
        if at >= now:
            continue
        events.append((at, len(events), ("order", index)))
        way = chance.choices([way for way, _ in _WAYS], [weight for _, weight in _WAYS])[0]
        moment = at
        for status, hours in way:
            moment += timedelta(hours=hours * chance.lognormvariate(0, 0.5))
            if moment < now:
                events.append((moment, len(events), ("status", index, status)))
        # Most pay at once; the others at the door. What comes back is paid back.
        is_prepaid = chance.random() < 0.6
        paid_at = at + timedelta(minutes=20) if is_prepaid else moment
        if paid_at < now and (is_prepaid or way is _DONE):
            events.append((paid_at, len(events), ("pay", index)))
        if is_prepaid and way is not _DONE and (returned := moment + timedelta(hours=5)) < now:
            events.append((returned, len(events), ("return", index)))
    customers: list[Any] = []
    orders: dict[int, int] = {}
    for at, _, (kind, *rest) in sorted(events):
        if kind == "customer":
            customers.append(_customer(state, chance, rest[0], at))
        elif kind == "order":
            orders[rest[0]] = _order(state, chance, customers, rest[0], at)
        elif kind == "status":
            state.change_status(orders[rest[0]], rest[1], at=at)
        elif kind == "pay":
            total = state.orders[orders[rest[0]]]["totalSumm"]
            state.add_payment(orders[rest[0]], total, at=at, type=chance.choice(("cash", "bank-card")))
        else:
            for payment_id in state.orders[orders[rest[0]]]["payments"]:
                state.change_payment(payment_id, at=at, status="returned")
    state.delete_order(min(state.orders))  # a test of the shop's manager


def _customer(state: SimulatorState, chance: random.Random, index: int, at: datetime) -> Any:
    return state.add_customer(
        chance.choice(_FIRST),
        chance.choice(_LAST),
        phones=[f"8 (700) 000-{index // 100:02d}-{index % 100:02d}"],
        email=f"customer{index}@example.com" if chance.random() < 0.7 else None,
        at=at,
    )


def _order(state: SimulatorState, chance: random.Random, customers: list[Any], index: int, at: datetime) -> int:
    city, cost = chance.choice(_CITIES)
    source, medium = chance.choice(_SOURCES)
    lines = [
        {
            "name": name,
            "article": article,
            "initialPrice": price,
            "purchasePrice": purchased,
            "quantity": chance.choice((1, 1, 1, 2, 3)),
            "discountTotal": chance.choice((0, 0, 0, price // 10)),
        }
        for name, article, price, purchased in chance.sample(_GOODS, chance.choice((1, 1, 2, 3)))
    ]
    order = state.add_order(
        customer=chance.choice(customers),
        items=lines,
        site="wholesale" if chance.random() < 0.15 else "shop",
        at=at,
        externalId=f"U-{index + 1:05d}",
        managerId=chance.choice((5, 6, 7)),
        delivery={
            "code": "courier",
            "cost": cost,
            "address": {"countryIso": "KZ", "city": city, "text": "ул. Абая, 1"},
        },
        source={"source": source, "medium": medium} if source else None,
    )
    return int(order["id"])


def _happen(state: SimulatorState, chance: random.Random) -> None:
    """An order moves on, or a new one comes in."""
    following = {"new": "availability-confirmed", **{here: there for (here, _), (there, _) in pairwise(_DONE)}}
    under_way = [order for order in state.orders.values() if order["status"] in following]
    if under_way and chance.random() < 0.7:
        order = chance.choice(under_way)
        state.change_status(order["id"], following[order["status"]])
    else:
        _order(state, chance, list(state.customers.values()), max(state.orders), state.clock())
