"""The demo's clinic: two months of visits, some refused, some corrected afterwards. Its patients are invented."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from connectors.renovatio.simulator import PREFIX, SimulatorState, create_app
from connectors.renovatio.simulator_state import Clinic, Patient
from demo.crms import DemoCrm

DAYS = 60
_SERVICES = (
    ("Первичный приём терапевта", 2500), ("Повторный приём терапевта", 1900), ("Приём кардиолога", 3200),
    ("ЭКГ с расшифровкой", 1400), ("УЗИ брюшной полости", 2800), ("Общий анализ крови", 650),
    ("Биохимия крови", 1850), ("Вакцинация от гриппа", 1600), ("Приём дерматолога", 2700),
)  # fmt: skip
_SURNAMES = ("Соколова", "Лебедева", "Козлова", "Новикова", "Морозова", "Павлова", "Волкова", "Зайцева")
_NAMES = ("Анна", "Мария", "Ольга", "Елена", "Ирина", "Наталья", "Светлана")
_DOCTORS = ("Орлова Т. В.", "Громов П. А.", "Беляева Н. К.")


def demo_account(now: datetime, seed: int) -> DemoCrm:
    """A clinic with two houses in two zones. Same `now` and seed: same visits."""
    chance = random.Random(seed)
    state = SimulatorState(api_key=f"demo-clinic-{chance.getrandbits(64):016x}", clock=lambda: datetime.now(UTC))
    state.tells_timezones = True
    houses = (state.add_clinic("Клиника на Покровке"), state.add_clinic("Клиника в Самаре", "Europe/Samara"))
    patients = [_patient(state, chance) for _ in range(90)]
    first = now.replace(hour=6, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    for day in range(DAYS):
        morning = first + timedelta(days=day)
        if morning.weekday() == 6:
            continue
        for _ in range(chance.randint(4, 9)):
            _add_visit(state, chance, houses, patients, morning + timedelta(minutes=30 * chance.randrange(20)), now)
    return DemoCrm(
        app=create_app(state),
        api_path=PREFIX,
        variables={"CLINIC_KEY": state.api_key, "CLINIC_SALT": f"{chance.getrandbits(256):064x}"},
        connect=lambda url: _connect(state, url),
        settle=state.webhooks.wait_idle,
        change=lambda: _complete_a_visit(state, chance, houses, patients),
    )


def _patient(state: SimulatorState, chance: random.Random) -> Patient:
    return state.add_patient(
        f"{chance.choice(_SURNAMES)} {chance.choice(_NAMES)}",
        birth_date=f"{chance.randint(1, 28):02}.{chance.randint(1, 12):02}.{chance.randint(1945, 2005)}",
        phone=f"7999{chance.randrange(10**7):07}",
    )


def _add_visit(
    state: SimulatorState,
    chance: random.Random,
    houses: tuple[Clinic, ...],
    patients: list[Patient],
    start: datetime,
    now: datetime,
) -> None:
    services = [(title, price, 1) for title, price in chance.sample(_SERVICES, chance.choice((1, 1, 1, 2)))]
    visit = state.add_visit(
        chance.choice(patients),
        services,
        clinic=chance.choice(houses),
        doctor=chance.choice(_DOCTORS),
        start=start,
        at=start - timedelta(days=chance.randint(1, 6), hours=3),
        announce=False,
    )
    ended = min(start + timedelta(minutes=40), now)
    outcome = chance.random()
    if outcome < 0.12:
        state.change(visit.id, at=start - timedelta(hours=5), status="refused", announce=False)
        return
    state.change(visit.id, at=ended, status="completed", announce=False)
    if outcome > 0.97:  # entered by mistake, and taken back the next day
        state.change(visit.id, at=min(ended + timedelta(days=1), now), status="refused", announce=False)
    elif outcome > 0.92 and visit.sum_value is not None:
        discount = (visit.sum_value * Decimal("0.9")).quantize(Decimal("0.01"))
        state.change(visit.id, at=min(ended + timedelta(hours=2), now), sum_value=discount, announce=False)


def _connect(state: SimulatorState, url: str) -> None:
    state.webhooks.add_target(url)
    state.webhooks.start()


def _complete_a_visit(
    state: SimulatorState, chance: random.Random, houses: tuple[Clinic, ...], patients: list[Patient]
) -> None:
    """A visit of just now that was completed and paid."""
    title, price = chance.choice(_SERVICES)
    state.add_visit(
        chance.choice(patients),
        [(title, price, 1)],
        clinic=chance.choice(houses),
        doctor=chance.choice(_DOCTORS),
        start=state.clock() - timedelta(minutes=40),
        status="completed",
    )
