"""The demo's custom account: Orchard, a farm shop on a system of its own, defined in custom.yaml."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.custom.simulator import PREFIX, SimulatorState, create_app
from demo.crms import DemoCrm

DAYS = 60
KEY = "orchard-demo-key"
_CLIENTS = (
    ("Ірина Ткаченко", "0671112233"), ("Павло Мороз", "0502223344"), ("Наталія Кравець", "0933334455"),
    ("Андрій Бондар", "0684445566"), ("Світлана Лисенко", "0955556677"), ("Тарас Гнатюк", "0636667788"),
)  # fmt: skip
_GOODS = (
    ("Яблука, ящик 10 кг", "280.00"), ("Сік яблучний, 3 л", "165.00"), ("Груші, ящик 8 кг", "340.50"),
    ("Мед липовий, 1 л", "420.00"), ("Сидр, 6 пляшок", "899.90"), ("Набір варення", "515.00"),
)  # fmt: skip
_STEPS = ("new", "packed", "sent", "done")


def demo_account(now: datetime, seed: int) -> DemoCrm:
    """Two months of a farm shop: most orders delivered and paid, some called off, a few sales given back."""
    chance = random.Random(seed)
    state = SimulatorState(KEY)
    start = now - timedelta(days=DAYS)
    clients = [
        state.add_client(at=start, name=name, phone=phone, email=f"client{number}@example.com")
        for number, (name, phone) in enumerate(_CLIENTS, 1)
    ]
    for day in range(DAYS):
        for _ in range(chance.randint(1, 3)):
            at = start + timedelta(days=day, hours=chance.uniform(9, 18))
            _order(state, chance, chance.choice(clients), at, now)
    return DemoCrm(
        create_app(state),
        api_path=PREFIX,
        variables={"ORCHARD_KEY": KEY},
        connect=lambda target: setattr(state, "target", target),
        change=_changes(state, chance),
    )


def _order(
    state: SimulatorState, chance: random.Random, client: dict[str, object], at: datetime, now: datetime
) -> None:
    """An order, its way through the states as far as it has come until now, and its sale."""
    title, price = chance.choice(_GOODS)
    total = str(Decimal(price) * chance.randint(1, 3))
    order = state.add_order(at=at, total=total, client=dict(client), note=title)
    is_called_off = chance.random() < 0.1
    moment = at
    for step in (*_STEPS[1 : chance.randint(1, 3)], "cancelled") if is_called_off else _STEPS[1:]:
        moment += timedelta(hours=chance.uniform(2, 30))
        if moment > now:
            return
        state.change(order, at=moment, state=step)
    if is_called_off:
        return
    sale = state.add_sale(at=moment, sum=total, title=title, phone=client["phone"], order=order["id"])
    if chance.random() < 0.06 and (back := moment + timedelta(days=2)) < now:
        state.change(sale, at=back, void=True)


def _changes(state: SimulatorState, chance: random.Random) -> Callable[[], object]:
    def change() -> object:
        """The next step of an order that is under way, else a new order."""
        waiting = [row for row in state.rows["orders"].values() if row["state"] in _STEPS[:-1]]
        if waiting and chance.random() < 0.7:
            order = chance.choice(waiting)
            state.change(order, state=_STEPS[_STEPS.index(order["state"]) + 1])
            if order["state"] == "done":
                sale = state.add_sale(sum=order["total"], title=order["note"], phone=order["client"]["phone"])
                state.change(sale, order=order["id"])
                state.announce("sales", sale)
        else:
            title, price = chance.choice(_GOODS)
            client = chance.choice(list(state.rows["clients"].values()))
            order = state.add_order(total=price, client=dict(client), note=title)
        state.announce("orders", order)
        return order

    return change
