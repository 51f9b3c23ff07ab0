"""Renovatio passes the suite that all connectors pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors import registry
from connectors.protocol import Account, MappingContext, WebhookRequest, Window
from connectors.renovatio.simulator import PREFIX, SimulatorState, create_app
from tests.conformance.suite import SECRET, Clock, ConnectorConformance, Fault, SimulatedCrm
from tests.support.http_server import serve

SALT = "0123456789abcdef0123456789abcdef"


def visit_hash(visit_id: int) -> str:
    return hashlib.sha256(f"visit:{visit_id}{SALT}".encode()).hexdigest()


class SimulatedRenovatio(SimulatedCrm):
    connector = registry.get("renovatio")
    stream = "visits"
    page_size = 5
    step = timedelta(days=6)
    waits_for_a_wrong_key = (2.0, 2.0, 2.0)

    def __init__(self, state: SimulatorState, clock: Clock, base_url: str) -> None:
        self.state = state
        self.clock = clock
        self._base_url = base_url
        self._patient = state.add_patient("Тестова Т.", patient_id=777)
        self._ids: dict[str, int] = {}
        self._touches = 0

    def account(self, **changes: Any) -> Account:
        values: dict[str, Any] = {
            "project_id": "clinic",
            "crm": "renovatio",
            "base_url": self._base_url,
            "credentials": self.credentials(SECRET),
            "context": MappingContext("clinic", timezone="Europe/Moscow", currency="RUB", secrets={"salt": SALT}),
        }
        return Account(**{**values, **changes})

    def credentials(self, secret: str) -> Mapping[str, str]:
        return {"api_key": secret, "salt": SALT}

    def add(self, *, at: datetime | None = None) -> str:
        visit = self.state.add_visit(
            self._patient, [("Консультация", "2500.50", 1)], at=at, status="completed", announce=False
        )
        self._ids[visit_hash(visit.id)] = visit.id
        return visit_hash(visit.id)

    def touch(self, crm_id: str, *, at: datetime | None = None) -> None:
        self._touches += 1
        self.state.change(self._ids[crm_id], at=at, announce=False, sum_value=Decimal(3000 + self._touches))

    def remove(self, crm_id: str) -> None:
        self.state.delete(self._ids[crm_id], announce=False)

    def fail(self, fault: Fault, *, times: int = 1, skip: int = 0, seconds: float = 0.0) -> None:
        self.state.faults.clear()
        if times > 0:
            self.state.faults.add(fault, "/getAppointments", times=times, skip=skip, seconds=seconds)

    def repeat_a_page(self) -> None:
        self.state.faults.add("duplicate_page", "/getAppointments", skip=1)

    def requests(self) -> int:
        return self.state.requests.total

    def webhook(self) -> WebhookRequest:
        visit = self.state.add_visit(self._patient, [("Консультация", 100, 1)], status="completed", announce=False)
        body = self.state.webhooks.encode("update_appointment", [self.state.appointment(visit)])
        return WebhookRequest("POST", {"content-type": "application/x-www-form-urlencoded"}, {}, body)

    def is_in_window(self, crm_id: str, window: Window) -> bool:
        return window.start <= self.state.visits[self._ids[crm_id]].start < window.end


@pytest.fixture
def crm() -> Iterator[SimulatedRenovatio]:
    clock = Clock()
    state = SimulatorState(api_key=SECRET, clock=clock)
    state.add_clinic("Clinic A")
    with serve(create_app(state)) as url:
        yield SimulatedRenovatio(state, clock, url + PREFIX)


class TestRenovatio(ConnectorConformance):
    pass
