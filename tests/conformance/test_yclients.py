"""YCLIENTS passes the suite that all connectors pass, in two orders that its lists may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import pytest

from connectors import registry
from connectors.protocol import Account, MappingContext, WebhookRequest, Window
from connectors.yclients.simulator import PREFIX, SimulatorState, create_app
from tests.conformance.suite import SECRET, Clock, ConnectorConformance, Fault, SimulatedCrm
from tests.support.http_server import serve

PARTNER = "partner-s3cr3t-of-the-developer"
COMPANY = 77


class SimulatedYclients(SimulatedCrm):
    connector = registry.get("yclients")
    stream = "records"
    page_size = 5
    """New rows that a page brings at least: it asks for 8, and begins before the place that was reached."""

    def __init__(self, state: SimulatorState, clock: Clock, base_url: str) -> None:
        self.state = state
        self.clock = clock
        self._base_url = base_url
        self.client = state.add_client("Олена Шевченко", phone="+79991234567", email="olena@example.com")
        self.service = state.add_service("Стрижка 😀", 900)
        self._touches = 0

    def account(self, **changes: Any) -> Account:
        options = {"company_id": COMPANY}
        values: dict[str, Any] = {
            "project_id": "salon",
            "crm": "yclients",
            "base_url": self._base_url,
            "credentials": self.credentials(SECRET),
            "context": MappingContext("salon", timezone="UTC", region="RU", currency="RUB", options=options),
            "options": options,
            "batch_size": 8,
        }
        return Account(**{**values, **changes})

    def credentials(self, secret: str) -> Mapping[str, str]:
        return {"partner_token": PARTNER, "user_token": secret}

    def add(self, *, at: datetime | None = None) -> str:
        return str(self.state.add_record([self.service], client_id=self.client.id, at=at).id)

    def touch(self, crm_id: str, *, at: datetime | None = None) -> None:
        self._touches += 1
        self.state.change_record(int(crm_id), at=at, comment=f"note {self._touches}")

    def remove(self, crm_id: str) -> None:
        self.state.delete_record(int(crm_id))

    def fail(self, fault: Fault, *, times: int = 1, skip: int = 0, seconds: float = 0.0) -> None:
        self.state.faults.clear()
        if times > 0:
            self.state.faults.add(fault, "/records", times=times, skip=skip, seconds=seconds)

    def repeat_a_page(self) -> None:
        self.state.faults.add("duplicate_page", "/records")

    def requests(self) -> int:
        return self.state.requests.total

    def webhook(self) -> WebhookRequest:
        self.state.set_hooks({"urls": ["http://127.0.0.1:1/never"], "active": 1, "record": 1})
        self.state.pay(int(self.add()))
        delivery = self.state.webhooks.deliveries("record")[-1]
        return WebhookRequest("POST", {"content-type": "application/json"}, {}, msgspec.json.encode(delivery.payload))

    def is_in_window(self, crm_id: str, window: Window) -> bool:
        return window.start <= self.state.records[int(crm_id)].start < window.end


class TestYclients(ConnectorConformance):
    @pytest.fixture(params=["id", "changed"])
    def crm(self, request: pytest.FixtureRequest) -> Iterator[SimulatedYclients]:
        clock = Clock()
        # In a zone with an offset a pull looks back that much further, which test_yclients_on_its_simulator.py tries.
        state = SimulatorState(
            company_id=COMPANY,
            timezone="Europe/London",
            partner_token=PARTNER,
            user_token=SECRET,
            clock=clock,
            per_second=0,
            per_minute=0,
        )
        state.order = request.param
        with serve(create_app(state)) as url:
            yield SimulatedYclients(state, clock, f"{url}{PREFIX}")
