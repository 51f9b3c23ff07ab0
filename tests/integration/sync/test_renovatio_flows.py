"""A clinic's visits through the flows while its API fails now and then: in the end the right sales are there."""

from __future__ import annotations

import hashlib
import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import RetryError
from connectors.renovatio.simulator import PREFIX, SimulatorState, create_app
from connectors.renovatio.simulator_state import Visit
from sync.pull import pull_project
from sync.reconcile import reconcile_project
from sync.requests import run_due
from sync.settings import apply_settings
from tests.conformance.suite import Clock
from tests.support.http_server import serve
from tests.support.world import World

pytestmark = pytest.mark.anyio

SALT = "0123456789abcdef0123456789abcdef"
FAULTS = ("too_many", "server_error", "bad_gateway", "truncated", "cut", "drop", "duplicate_page")


def settings(url: str) -> str:
    return f"""
projects:
  - id: clinic
    name: Clinic
    crm: renovatio
    base_url: {url}{PREFIX}
    timezone: Europe/Moscow
    currency: RUB
    credentials: {{api_key: key-of-the-clinic, salt: {SALT}}}
    options: {{rate_limit: {{requests: 1000, per_seconds: 1}}}}
"""


class Clinic:
    """Two houses in two zones, and what their sales must be."""

    def __init__(self, seed: int) -> None:
        self.clock = Clock()
        self.chance = random.Random(seed)
        self.state = SimulatorState(api_key="key-of-the-clinic", clock=self.clock, seed=seed)
        self.state.tells_timezones = True
        self.houses = [self.state.add_clinic("A"), self.state.add_clinic("B", "Asia/Vladivostok")]
        self.patients = [self.state.add_patient(f"P {number}", patient_id=number + 1) for number in range(20)]
        self.sold: dict[int, Visit] = {}
        """Every visit that was a completed one at the end of some pull."""

    def add(self, start: datetime) -> None:
        self.state.add_visit(
            self.chance.choice(self.patients),
            [("x", f"{self.chance.randrange(100, 500_000) / 100:.2f}", 1)],
            clinic=self.chance.choice(self.houses),
            start=start.replace(second=0, microsecond=0),
            at=start - timedelta(days=1),
            status=self.chance.choice(("completed", "completed", "upcoming", "refused")),
            announce=False,
        )

    def change_some(self) -> None:
        for visit in self.chance.sample(list(self.state.visits.values()), 15):
            status = self.chance.choice(("completed", "refused", "with_doctor"))
            amount = Decimal(self.chance.randrange(0, 300)) if self.chance.random() < 0.5 else visit.sum_value
            self.state.change(visit.id, status=status, sum_value=amount, announce=False)

    def note_sales(self) -> None:
        for visit in self.state.visits.values():
            if visit.status == "completed" and visit.sum_value:
                self.sold[visit.id] = visit

    def expected(self) -> dict[str, tuple[Any, ...]]:
        found: dict[str, tuple[Any, ...]] = {}
        for number, visit in self.sold.items():
            name = hashlib.sha256(f"visit:{number}{SALT}".encode()).hexdigest()
            patient = hashlib.sha256(f"{visit.patient.id}{SALT}".encode()).hexdigest()
            if visit.status == "completed" and visit.sum_value:
                found[name] = ("active", visit.start, visit.sum_value, patient)
            else:
                found[name] = ("reversed", visit.start, None, patient)
        return found


async def pull(world: World) -> None:
    for _ in range(10):
        try:
            await pull_project(world.pool, world.keyring, "clinic")
        except RetryError:
            continue
        return
    raise AssertionError("no pull came to its end")


async def sales(world: World) -> dict[str, tuple[Any, ...]]:
    rows = await world.rows("select * from core.transactions where project_id = 'clinic'")
    assert {(row["is_medical"], row["currency"], row["crm"]) for row in rows} == {(True, "RUB", "renovatio")}
    return {
        row["external_id"]: (
            row["state"],
            row["occurred_at"],
            row["amount"] if row["state"] == "active" else None,
            row["customer_id"],
        )
        for row in rows
    }


@pytest.mark.parametrize("seed", [1, 2])
async def test_sales_are_exactly_right_though_a_third_of_the_calls_fail(world: World, seed: int) -> None:
    clinic = Clinic(seed)
    for _ in range(150):
        clinic.add(clinic.clock.now - timedelta(hours=clinic.chance.randrange(1, 24 * 200)))
    for kind in FAULTS:
        clinic.state.faults.add(kind, times=None, probability=0.05, seconds=0)
    with serve(create_app(clinic.state)) as url:
        async with world.pool.connection() as connection:
            await apply_settings(
                connection, world.keyring, settings(url), source="clinic.yaml", environ={}, actor="test"
            )
        for hours in (1, 30, 24 * 40):
            await pull(world)
            clinic.note_sales()
            assert await sales(world) == clinic.expected()
            clinic.clock.advance(hours=hours)
            clinic.add(clinic.clock.now - timedelta(minutes=30))
            clinic.change_some()
    assert {row["timezone"] for row in await world.rows("select timezone from core.places")} == {
        "Europe/Moscow",
        "Asia/Vladivostok",
    }
    assert not await world.rows("select * from sync.dead_letters")


async def test_the_nightly_comparison_takes_back_the_sale_of_a_visit_that_is_gone_and_asks_for_nothing_else(
    world: World,
) -> None:
    clinic = Clinic(3)
    for number in range(10):
        clinic.add(clinic.clock.now - timedelta(days=number))
    visits = list(clinic.state.visits)
    for number in visits:
        clinic.state.change(number, status="completed", announce=False)
    clinic.add(clinic.clock.now + timedelta(days=90))
    with serve(create_app(clinic.state)) as url:
        async with world.pool.connection() as connection:
            await apply_settings(
                connection, world.keyring, settings(url), source="clinic.yaml", environ={}, actor="test"
            )
        await pull(world)
        clinic.note_sales()
        clinic.state.delete(visits[4], announce=False)
        [result] = await reconcile_project(world.pool, world.keyring, "clinic")
        assert (result.missing, result.gone, result.error) == (0, 1, None)
        assert [request.state for request in await run_due(world.pool, world.keyring, single_only=True)] == ["done"]
    gone = hashlib.sha256(f"visit:{visits[4]}{SALT}".encode()).hexdigest()
    states = {name: state for name, (state, *_) in (await sales(world)).items()}
    assert states.pop(gone) == "reversed"
    assert set(states.values()) == {"active"}
    assert {*states, gone} == set(clinic.expected())
