"""iiko passes the suite that all connectors pass, in both dialects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from connectors import registry
from connectors.iiko.simulator import SimulatorState, create_app
from connectors.iiko.simulator_webhooks import Target
from connectors.protocol import Account, MappingContext, WebhookRequest, Window
from tests.conformance.suite import SECRET, Clock, ConnectorConformance, Fault, SimulatedCrm
from tests.support.http_server import serve


class SimulatedIiko(SimulatedCrm):
    connector = registry.get("iiko")
    page_size = 5
    scheme = "bearer"
    has_deletion = False
    paths = "/api/1/deliveries"
    options: Mapping[str, Any] = {}

    def __init__(self, state: SimulatorState, clock: Clock, base_url: str) -> None:
        self.state = state
        self.clock = clock
        self.organization = state.add_organization("Кафе на Арбате", zone="Europe/Moscow")
        self.guest = state.add_guest("Анна", phone="+79990001122", card="7700")
        self._base_url = base_url
        self._touches = 0

    def account(self, **changes: Any) -> Account:
        values: dict[str, Any] = {
            "project_id": "cafe",
            "crm": "iiko",
            "base_url": self._base_url,
            "credentials": self.credentials(SECRET),
            "context": MappingContext("cafe", timezone="Europe/Moscow", region="RU", currency="RUB"),
            "options": self.options,
            "batch_size": self.page_size,
        }
        return Account(**{**values, **changes})

    def credentials(self, secret: str) -> Mapping[str, str]:
        return {"api_login": secret}

    def add(self, *, at: datetime | None = None) -> str:
        items = [{"name": "Борщ 😀", "price": 350, "amount": 2, "modifiers": [{"name": "Сметана", "price": 40}]}]
        order = self.state.add_order(items, at=at, guest_id=self.guest, status="Closed", announce=False)
        return order.order_id

    def touch(self, crm_id: str, *, at: datetime | None = None) -> None:
        self._touches += 1
        self.state.update(crm_id, at=at, comment=f"note {self._touches}")

    def remove(self, crm_id: str) -> None:
        self.state.delete(crm_id)

    def fail(self, fault: Fault, *, times: int = 1, skip: int = 0, seconds: float = 0.0) -> None:
        self.state.faults.clear()
        if times > 0:
            self.state.faults.add(fault, self.paths, times=times, skip=skip, seconds=seconds)

    def repeat_a_page(self) -> None:
        self.state.faults.add("duplicate_page", self.paths, times=None)

    def requests(self) -> int:
        return self.state.requests.total

    def webhook(self) -> WebhookRequest:
        target = Target("http://127.0.0.1:1/never")
        self.state.webhooks.targets[self.organization.organization_id] = target
        self.state.add_order(phone="+79990001122", status="Closed")
        events = self.state.webhooks.deliveries[-1].events
        return WebhookRequest("POST", {"content-type": "application/json"}, {}, msgspec.json.encode(events))

    def is_in_window(self, crm_id: str, window: Window) -> bool:
        return window.start <= self.state.orders[crm_id].created_at < window.end


class SimulatedSpecIiko(SimulatedIiko):
    paths = "/api/orders"
    options: Mapping[str, Any] = {"dialect": "spec"}
    is_paged = False
    lookback = timedelta(days=1)

    def credentials(self, secret: str) -> Mapping[str, str]:
        return {"login": "crm-elt", "password": secret}


class TestIikoCloud(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedIiko]:
        clock = Clock()
        state = SimulatorState(api_login=SECRET, clock=clock)
        with serve(create_app(state)) as url:
            yield SimulatedIiko(state, clock, url)


class TestIikoSpec(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedIiko]:
        clock = Clock()
        state = SimulatorState(api_login="crm-elt", password=SECRET, clock=clock)
        with serve(create_app(state)) as url:
            yield SimulatedSpecIiko(state, clock, url)
