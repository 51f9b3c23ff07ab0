"""A furniture maker's amoCRM: leads through two pipelines, some won, some lost, some deleted."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.amocrm.simulator import SimulatorState, create_app, custom_field
from connectors.amocrm.simulator_state import LOST, WON, utc_now
from demo.crms import DemoCrm

TOKEN = "demo-long-lived-token-of-amocrm"  # noqa: S105 - of a simulator
LEADS = 160
DAYS = 60
_HOOKS = ["add_lead", "update_lead", "delete_lead", "restore_lead", "status_lead", "add_contact", "update_contact"]
_GIVEN = ("Анна", "Иван", "Мария", "Павел", "Ольга", "Дмитрий", "Елена", "Сергей", "Наталья", "Алексей")
_FAMILY = ("Орлова", "Соколов", "Кузнецова", "Попов", "Лебедева", "Новиков", "Морозова", "Волков", "Зайцева", "Павлов")
_THINGS = (
    ("Кухня", 180_000, 420_000),
    ("Шкаф-купе", 45_000, 130_000),
    ("Стол обеденный", 18_000, 60_000),
    ("Гардеробная", 90_000, 210_000),
    ("Тумба под телевизор", 12_000, 38_000),
)
_SERVICES = (("Ремонт фасадов", 4_000, 15_000), ("Замена петель", 1_500, 4_000), ("Доставка и сборка", 3_000, 9_000))
_SOURCES = ("site", "yandex", "vk", "instagram")


@dataclass
class _Shop:
    state: SimulatorState
    chance: random.Random
    sales: int
    service: int
    contacts: list[int] = field(default_factory=list)


def demo_account(now: datetime, seed: int) -> DemoCrm:
    """Sixty days of a small business before `now`; the same arguments give the same account."""
    now = now.astimezone(UTC).replace(microsecond=0)
    state = SimulatorState(
        subdomain="mebel", name="Мебель на заказ", access_token=TOKEN, clock=lambda: now, rate_limit=0, seed=seed
    )
    state.pipelines.clear()
    sales = state.add_pipeline("Продажи", ("Новая заявка", "Замер", "Договор", "Производство"))
    service = state.add_pipeline("Сервис", ("Обращение", "В работе"))
    shop = _Shop(state, random.Random(f"amocrm/{seed}"), sales, service)
    begin = now - timedelta(days=DAYS)
    _add_contacts(shop, begin)
    for number in range(LEADS):
        share = (number + shop.chance.random()) / LEADS
        _live_through(shop, begin + (now - begin) * share, now)
    state.clock = utc_now
    return DemoCrm(
        create_app(state),
        variables={"MEBEL_TOKEN": TOKEN},
        connect=lambda url: _connect(state, url),
        settle=state.sender.wait_idle,
        change=lambda: _change(shop),
    )


def _connect(state: SimulatorState, url: str) -> None:
    """Send webhooks to this address, as if it had been registered."""
    state.hooks.append({"destination": url, "settings": list(_HOOKS), "disabled": False})
    state.sender.start()


def _add_contacts(shop: _Shop, begin: datetime) -> None:
    for number in range(70):
        name = f"{shop.chance.choice(_GIVEN)} {shop.chance.choice(_FAMILY)}"
        phone = f"+7 9{shop.chance.randint(10, 99)} {shop.chance.randint(100, 999)}-{number:02d}-{number % 60:02d}"
        emails = [f"client{number}@example.com"] if shop.chance.random() < 0.4 else []
        shop.contacts.append(shop.state.add_contact(name, phones=[phone], emails=emails, at=begin))


def _live_through(shop: _Shop, created_at: datetime, now: datetime) -> None:
    """A lead from its creation as far as it has come by now."""
    state, chance = shop.state, shop.chance
    lead = _add_lead(shop, created_at)
    stages = state.stages(state.leads[lead]["pipeline_id"])
    at, is_lost = created_at, chance.random() < 0.25
    lost_after = chance.randint(1, len(stages)) if is_lost else 0
    for number, stage in enumerate([*stages[1:], WON], start=1):
        at += timedelta(hours=chance.uniform(3, 90))
        if at >= now:
            return
        if is_lost and number == lost_after:
            state.move_lead(lead, LOST, at=at)
            return
        state.move_lead(lead, stage, at=at)
    after = at + timedelta(hours=chance.uniform(1, 48))
    if after < now and chance.random() < 0.06:  # the customer withdrew, or it was entered twice
        if chance.random() < 0.5:
            state.move_lead(lead, LOST, at=after)
        else:
            state.delete("leads", lead, at=after)


def _add_lead(shop: _Shop, at: datetime | None) -> int:
    chance = shop.chance
    is_service = chance.random() < 0.3
    thing, low, high = chance.choice(_SERVICES if is_service else _THINGS)
    price = chance.randrange(low, high, 500) + (0.5 if chance.random() < 0.1 else 0)
    fields: list[Mapping[str, Any]] = [
        custom_field(800, "UTM source", chance.choice(_SOURCES), code="UTM_SOURCE", kind="tracking_data"),
        custom_field(801, "Комментарий", f"Звонить после {chance.randint(10, 18)}:00"),
    ]
    return shop.state.add_lead(
        thing,
        price=price,
        pipeline_id=shop.service if is_service else shop.sales,
        contacts=[chance.choice(shop.contacts)],
        fields=[dict(one) for one in fields],
        at=at,
    )


def _change(shop: _Shop) -> str:
    """A new lead, or one that moves on; one sentence without personal data."""
    state, chance = shop.state, shop.chance
    with state.lock:
        open_leads = [
            lead for lead in state.leads.values() if lead["closed_at"] is None and lead["updated_at"] < state.now()
        ]
        if not open_leads or chance.random() < 0.3:
            return f"lead {_add_lead(shop, None)} came in"
        lead = chance.choice(open_leads)
        stages = [*state.stages(lead["pipeline_id"]), WON]
        following = stages[stages.index(lead["status_id"]) + 1]
        state.move_lead(lead["id"], following)
        return f"lead {lead['id']} entered stage {following}"
