"""RetailCRM passes the suite that all connectors pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest

from connectors import registry
from connectors.protocol import Account, MappingContext, WebhookRequest, Window
from connectors.retailcrm.simulator import SimulatorState, Trigger, create_app
from connectors.retailcrm.webhooks import DEFAULT_TEMPLATE
from connectors.values.times import parse_time
from tests.conformance.suite import SECRET, Clock, ConnectorConformance, Fault, SimulatedCrm
from tests.support.http_server import serve


class SimulatedRetailCrm(SimulatedCrm):
    connector = registry.get("retailcrm")
    page_size = 20
    says_how_long = False

    def __init__(self, state: SimulatorState, clock: Clock, base_url: str) -> None:
        self.state = state
        self.clock = clock
        self._base_url = base_url
        self._customer = state.add_customer(
            "Олена", "Шевченко", phones=["+380501234567"], email="olena@example.com", at=clock.now
        )
        self._touches = 0

    def account(self, **changes: Any) -> Account:
        values: dict[str, Any] = {
            "project_id": "shop",
            "crm": "retailcrm",
            "base_url": self._base_url,
            "credentials": self.credentials(SECRET),
            "context": MappingContext("shop", timezone="Europe/Moscow", region="RU", currency="RUB"),
            "batch_size": self.page_size,
        }
        return Account(**{**values, **changes})

    def credentials(self, secret: str) -> Mapping[str, str]:
        return {"api_key": secret}

    def add(self, *, at: datetime | None = None) -> str:
        order = self.state.add_order(
            customer=self._customer,
            items=[{"name": "Чашка 😀", "article": "cup", "initialPrice": 200.5, "quantity": 2}],
            at=at,
        )
        return str(order["id"])

    def touch(self, crm_id: str, *, at: datetime | None = None) -> None:
        self._touches += 1
        self.state.update_order(int(crm_id), at=at, managerComment=f"note {self._touches}")

    def remove(self, crm_id: str) -> None:
        self.state.delete_order(int(crm_id))

    def fail(self, fault: Fault, *, times: int = 1, skip: int = 0, seconds: float = 0.0) -> None:
        self.state.faults.clear()
        if times > 0:
            self.state.faults.add(fault, "/orders", times=times, skip=skip, seconds=seconds)

    def repeat_a_page(self) -> None:
        self.state.faults.add("duplicate_page", "/orders/history")

    def requests(self) -> int:
        return self.state.requests.total

    def webhook(self) -> WebhookRequest:
        self.state.triggers.triggers.append(Trigger("http://127.0.0.1:1/never", DEFAULT_TEMPLATE))
        order_id = int(self.add())
        self.state.change_status(order_id, "assembling")
        form = {"content-type": "application/x-www-form-urlencoded"}
        return WebhookRequest("POST", form, {}, self.state.triggers.deliveries[-1].body)

    def is_in_window(self, crm_id: str, window: Window) -> bool:
        created_at = parse_time(self.state.orders[int(crm_id)]["createdAt"], self.state.zone)
        return window.start <= created_at < window.end


class TestRetailCrm(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedRetailCrm]:
        clock = Clock()
        state = SimulatorState(api_key=SECRET, clock=clock, rate_limit=0)
        with serve(create_app(state)) as url:
            yield SimulatedRetailCrm(state, clock, url)
