"""The demo's 1C base: a coffee house with an oven, that posts a document for each sale."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from connectors.onec.simulator import SimulatorState, create_app
from connectors.onec.simulator_state import EMPTY, utc_now
from demo.crms import DemoCrm

PASSWORD = "demo-password-of-the-base"  # noqa: S105 - invented
DAYS = 60
_GOODS = (
    ("Эспрессо", 160.0, 10),
    ("Капучино", 240.0, 24),
    ("Латте", 260.0, 18),
    ("Раф ванильный", 310.0, 9),
    ("Чай чёрный", 150.0, 8),
    ("Какао", 230.0, 5),
    ("Круассан", 180.0, 16),
    ("Булочка с корицей", 170.0, 12),
    ("Чизкейк", 290.0, 7),
    ("Сэндвич с индейкой", 340.0, 8),
    ("Зёрна «Эфиопия», 250 г", 890.0, 3),
    ("Торт «Медовик» на заказ", 2650.5, 1),
)
_FIRST = ("Анна", "Борис", "Вера", "Глеб", "Дарья", "Егор", "Жанна", "Игорь", "Ксения", "Лев", "Мария", "Олег")
_LAST = ("Соколова", "Петренко", "Ким", "Орлова", "Зайцев", "Мельник", "Громова", "Белый", "Лазарев", "Юдина")
_BY_HOUR = {8: 6, 9: 8, 10: 6, 11: 4, 12: 6, 13: 7, 14: 5, 15: 4, 16: 4, 17: 5, 18: 5, 19: 3, 20: 2}
"""Sales come in the morning and at lunch; hours of the base's zone."""


def demo_account(now: datetime, seed: int) -> DemoCrm:
    """A base with some 60 days of sales before `now`. The same arguments give the same base; its clock is the real one
    from then on."""
    now = now.astimezone(UTC).replace(microsecond=0)
    state = SimulatorState(password=PASSWORD, clock=lambda: now, seed=seed)
    shop = _Shop(state, random.Random(f"onec/{seed}"))
    for day in range(DAYS, -1, -1):
        shop.trade(now, day)
    state.clock = utc_now
    return DemoCrm(create_app(state), "/trade", {"ONEC_PASSWORD": PASSWORD}, change=shop.sell)


class _Shop:
    def __init__(self, state: SimulatorState, chance: random.Random) -> None:
        self._state = state
        self._random = chance
        self._items = [(state.add_item(name), price) for name, price, _ in _GOODS]
        self._weights = [weight for _, _, weight in _GOODS]
        self._guests = [self._guest() for _ in range(90)]

    def trade(self, now: datetime, days_ago: int) -> None:
        """One day's sales, none after `now`; some are undone a little later, a draft stays."""
        zone, chance = self._state.zone, self._random
        day = (now.astimezone(zone) - timedelta(days=days_ago)).replace(hour=0, minute=0, second=0)
        busy = 18 if day.weekday() < 5 else 26
        hours = chance.choices(list(_BY_HOUR), list(_BY_HOUR.values()), k=busy + chance.randint(-4, 6))
        times = [day.replace(hour=hour, minute=chance.randrange(60), second=chance.randrange(60)) for hour in hours]
        for at in sorted(time.astimezone(UTC) for time in times):
            if at >= now:
                continue
            key = self.sell(at, is_posted=chance.random() > 0.01)
            fate = chance.random()
            if fate < 0.02:
                self._state.unpost(key)
            elif fate < 0.03:
                self._state.mark_deleted(key)

    def sell(self, at: datetime | None = None, *, is_posted: bool = True) -> str:
        """A guest buys something, now or then; the document's key."""
        chance = self._random
        count = chance.choices((1, 2, 3, 4), (50, 32, 13, 5))[0]
        bought = chance.choices(self._items, self._weights, k=count)
        lines = [(item, float(chance.choices((1, 2), (85, 15))[0]), price) for item, price in dict(bought).items()]
        guest = chance.choice(self._guests) if chance.random() < 0.6 else EMPTY
        return self._state.add_document(lines, customer=guest, at=at, is_posted=is_posted)

    def _guest(self) -> str:
        chance = self._random
        phone = f"8 (9{chance.randrange(100):02}) {chance.randrange(1000):03}-{chance.randrange(100):02}-"
        name = f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
        return self._state.add_customer(name, f"{phone}{chance.randrange(100):02}")
