"""The demo's salon: two months of bookings, most of them paid, some cancelled, missed or given back. No real people."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connectors.yclients.simulator import PREFIX, Line, SimulatorState, create_app
from demo.crms import DemoCrm

DAYS = 60
COMPANY = 7741
_ZONE = ZoneInfo("Europe/Samara")
_SERVICES = (
    ("Женская стрижка", 2200), ("Мужская стрижка", 1400), ("Окрашивание в один тон", 5400), ("Укладка", 1600),
    ("Сложное окрашивание", 9800), ("Маникюр с покрытием", 2300), ("Педикюр", 2900), ("Оформление бровей", 1100),
    ("Уход за волосами", 2700), ("Детская стрижка", 1000),
)  # fmt: skip
_STAFF = ("Алина", "Вера", "Жанна", "Рустам")
_NAMES = ("Анна", "Мария", "Ольга", "Елена", "Ирина", "Наталья", "Дмитрий", "Павел", "Светлана", "Юлия")
_SURNAMES = ("Соколова", "Лебедева", "Козлова", "Новикова", "Морозова", "Павлова", "Волкова", "Зайцева")


@dataclass(frozen=True)
class _Salon:
    state: SimulatorState
    chance: random.Random
    services: Sequence[int]
    staff: Sequence[int]
    clients: Sequence[int]
    now: datetime

    def choose_services(self) -> list[Line]:
        chosen = self.chance.sample(self.services, self.chance.choice((1, 1, 1, 2)))
        discount = self.chance.choice((0, 0, 0, 0, 10, 15))
        return [Line(one, *self.state.services[one], discount=discount) for one in chosen]


def demo_account(now: datetime, seed: int) -> DemoCrm:
    """A salon in a zone that is not its project's. Same `now` and seed: same bookings."""
    chance = random.Random(seed)
    now = now.astimezone(UTC).replace(microsecond=0)
    state = SimulatorState(
        company_id=COMPANY,
        title="Салон «Миндаль»",
        timezone=_ZONE.key,
        partner_token=f"demo-partner-{chance.getrandbits(64):016x}",
        user_token=f"demo-user-{chance.getrandbits(64):016x}",
        clock=lambda: datetime.now(UTC),
        # The vendor's own would make the first pull of the demo a matter of minutes.
        per_second=100,
        per_minute=0,
        seed=seed,
    )
    state.order = "date"
    salon = _Salon(
        state,
        chance,
        services=[state.add_service(title, price) for title, price in _SERVICES],
        staff=[state.add_staff(name) for name in _STAFF],
        clients=[_add_client(state, chance, number, now) for number in range(140)],
        now=now,
    )
    today = now.astimezone(_ZONE).date()
    for day in range(-DAYS, 8):  # a week ahead is booked
        date = today + timedelta(days=day)
        if date.weekday() == 0:
            continue
        for staff_id in salon.staff:
            for hour in sorted(chance.sample(range(10, 20), chance.randint(1, 4))):
                start = datetime.combine(date, time(hour, chance.choice((0, 0, 30))), _ZONE).astimezone(UTC)
                _add_visit(salon, staff_id, start)
    return DemoCrm(
        app=create_app(state),
        api_path=PREFIX,
        variables={"SALON_PARTNER_TOKEN": state.partner_token, "SALON_USER_TOKEN": state.user_token},
        connect=lambda url: _connect(state, url),
        settle=state.webhooks.wait_idle,
        change=lambda: _happen(salon),
    )


def _add_client(state: SimulatorState, chance: random.Random, number: int, now: datetime) -> int:
    client = state.add_client(
        chance.choice(_NAMES),
        surname=chance.choice(_SURNAMES),
        phone=f"+7999{number:03}{chance.randrange(10**4):04}",
        email=f"guest{number}@example.com" if chance.random() < 0.4 else "",
        birth_date=f"{chance.randint(1960, 2006)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
        at=now - timedelta(days=DAYS + chance.randint(1, 300)),
    )
    return client.id


def _add_visit(salon: _Salon, staff_id: int, start: datetime) -> None:
    """A booking and what became of it until now."""
    state, chance = salon.state, salon.chance
    booked = min(start - timedelta(hours=chance.randint(2, 200)), salon.now - timedelta(minutes=1))
    record = state.add_record(
        salon.choose_services(),
        client_id=chance.choice(salon.clients) if chance.random() < 0.95 else None,
        staff_id=staff_id,
        start=start,
        at=booked,
        online=chance.random() < 0.4,
    )
    ended = start + timedelta(hours=1)
    outcome = chance.random()
    if outcome < 0.08:  # called off, at the latest an hour before
        called_off = booked + (start - timedelta(hours=1) - booked) * chance.random()
        if called_off < salon.now:
            state.delete_record(record.id, at=called_off)
    elif ended >= salon.now:
        if outcome > 0.9:
            state.pay(record.id, at=booked)
    elif outcome < 0.13:  # nobody came; some had paid before
        if outcome < 0.09:
            state.pay(record.id, at=booked)
        state.change_record(record.id, at=ended, attendance=-1)
    else:
        state.change_record(record.id, at=ended, attendance=1)
        if outcome < 0.98:
            state.pay(record.id, at=ended, account_id=chance.choice((1, 2, 2)))
        if outcome < 0.15:  # and the money was given back
            state.refund(record.id, at=min(ended + timedelta(days=2), salon.now))


def _connect(state: SimulatorState, url: str) -> None:
    state.set_hooks({"urls": [url], "active": 1, "record": 1, "client": 1, "finances_operation": 1})
    state.webhooks.start()


def _happen(salon: _Salon) -> None:
    """Somebody books, pays, or calls a visit off."""
    state, chance = salon.state, salon.chance
    now = state.clock()
    unpaid = [one for one in state.records.values() if not one.deleted and not one.paid_full and one.start <= now]
    coming = [one for one in state.records.values() if not one.deleted and one.start > now]
    act = chance.random()
    if act < 0.5 and unpaid:
        state.pay(chance.choice(unpaid).id, account_id=chance.choice((1, 2)))
    elif act < 0.6 and coming:
        state.delete_record(chance.choice(coming).id)
    else:
        start = (now + timedelta(days=chance.randint(1, 7))).replace(minute=0, second=0, microsecond=0)
        client = chance.choice(salon.clients)
        staff = chance.choice(salon.staff)
        state.add_record(salon.choose_services(), client_id=client, staff_id=staff, start=start, online=True)
