"""A custom definition passes the suite that all connectors pass: JSON by offset, XML by links to the next page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest

from connectors import registry
from connectors.custom.simulator import SimulatorState, create_app
from connectors.custom.simulator_bodies import webhook_body
from connectors.protocol import Account, MappingContext, WebhookRequest, Window
from connectors.values.times import parse_time
from tests.conformance.suite import SECRET, Clock, ConnectorConformance, Fault, SimulatedCrm
from tests.support.http_server import serve
from tests.support.orchard import json_definition, xml_definition


class SimulatedOrchard(SimulatedCrm):
    connector = registry.get("custom")
    page_size = 5

    def __init__(self, state: SimulatorState, definition: dict[str, Any], clock: Clock, base_url: str) -> None:
        self.state = state
        self.definition = definition
        self.clock = clock
        self._base_url = base_url
        self._touches = 0
        self._client = {"id": 900_001, "name": "Олена Шевченко", "phone": "+380501234567"}

    def account(self, **changes: Any) -> Account:
        options = {"definition": self.definition}
        values: dict[str, Any] = {
            "project_id": "shop",
            "crm": "custom",
            "base_url": self._base_url,
            "credentials": self.credentials(SECRET),
            "context": MappingContext("shop", "Europe/Kyiv", region="UA", currency="UAH", options=options),
            "options": options,
        }
        return Account(**{**values, **changes})

    def credentials(self, secret: str) -> Mapping[str, str]:
        return {"api_token": secret, "api_key": secret, "login": self.state.user}

    def add(self, *, at: datetime | None = None) -> str:
        row = self.state.add_order(at=at, total="401.00", client=self._client, note="Чашка 😀")
        return str(row["id"])

    def touch(self, crm_id: str, *, at: datetime | None = None) -> None:
        self._touches += 1
        self.state.change(self.state.rows["orders"][int(crm_id)], at=at, note=f"note {self._touches}")

    def remove(self, crm_id: str) -> None:
        self.state.remove("orders", int(crm_id))

    def fail(self, fault: Fault, *, times: int = 1, skip: int = 0, seconds: float = 0.0) -> None:
        self.state.faults.clear()
        if times > 0:
            self.state.faults.add(fault, "/orders", times=times, skip=skip, seconds=seconds)

    def repeat_a_page(self) -> None:
        self.state.faults.add("duplicate_page", "/orders")

    def requests(self) -> int:
        return self.state.requests.total

    def webhook(self) -> WebhookRequest:
        row = self.state.add_order(total="1.00", client=self._client)
        body, media_type = webhook_body(self.state.form, "orders", row)
        return WebhookRequest("POST", {"content-type": media_type}, {}, body)

    def is_in_window(self, crm_id: str, window: Window) -> bool:
        created = parse_time(self.state.rows["orders"][int(crm_id)]["created"])
        return window.start <= created < window.end


class TestCustomJson(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedOrchard]:
        clock = Clock()
        state = SimulatorState(SECRET, clock=clock)
        with serve(create_app(state)) as url:
            yield SimulatedOrchard(state, json_definition(), clock, f"{url}/api")


class TestCustomXml(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedOrchard]:
        clock = Clock()
        state = SimulatorState(SECRET, form="xml", auth="basic", paging="next_link", clock=clock)
        with serve(create_app(state)) as url:
            yield SimulatedOrchard(state, xml_definition(), clock, f"{url}/api")
