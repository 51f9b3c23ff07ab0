"""1C passes the suite that all connectors pass, in both dialects and with both kinds of credentials."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import pytest

from connectors import registry
from connectors.onec.pull_odata import NEAR
from connectors.onec.pull_service import LOOK_BACK
from connectors.onec.simulator import SimulatorState, create_app, create_token_app
from connectors.onec.simulator_service import service_row
from connectors.onec.simulator_state import DOCUMENT
from connectors.protocol import Account, MappingContext, WebhookRequest, Window
from connectors.values.times import parse_time
from tests.conformance.suite import SECRET, Clock, ConnectorConformance, Fault, SimulatedCrm
from tests.support.http_server import serve

ODATA_OPTIONS = {
    "dialect": "odata",
    "document": DOCUMENT,
    "fields": {"amount": "СуммаДокумента", "phone": "Телефон", "items": "Товары", "customer": "Контрагент_Key"},
}


class SimulatedBase(SimulatedCrm):
    connector = registry.get("onec")
    stream = "transactions"
    page_size = 5
    options: Mapping[str, Any]
    path: str
    """Of the requests that faults are for."""

    def __init__(self, state: SimulatorState, clock: Clock, server: str, token_server: str = "") -> None:
        self.state = state
        self.clock = clock
        self.server = server
        self.token_server = token_server
        self._coffee = state.add_item("Кофе 😀")
        self._customer = state.add_customer("Олена Шевченко", "+380501234567")
        self._touches = 0

    @abstractmethod
    def base_url(self) -> str: ...

    def account(self, **changes: Any) -> Account:
        values: dict[str, Any] = {
            "project_id": "shop",
            "crm": "onec",
            "base_url": self.base_url(),
            "credentials": self.credentials(SECRET),
            "options": self.options,
            "batch_size": self.page_size,
        }
        values |= changes
        values["context"] = MappingContext(
            "shop", timezone="Europe/Moscow", region="RU", currency="RUB", options=values["options"]
        )
        return Account(**values)

    def credentials(self, secret: str) -> Mapping[str, str]:
        return {"username": self.state.username, "password": secret}

    def key_of(self, crm_id: str) -> str:
        return crm_id

    def add(self, *, at: datetime | None = None) -> str:
        return self.state.add_document(
            [(self._coffee, 2, 625.25)], customer=self._customer, phone="8 (999) 000-11-22", at=at
        )

    def touch(self, crm_id: str, *, at: datetime | None = None) -> None:
        self._touches += 1
        self.state.change(self.key_of(crm_id), at=at, Комментарий=f"note {self._touches}")

    def remove(self, crm_id: str) -> None:
        self.state.delete(self.key_of(crm_id))

    def fail(self, fault: Fault, *, times: int = 1, skip: int = 0, seconds: float = 0.0) -> None:
        self.state.faults.clear()
        if times > 0:
            self.state.faults.add(fault, self.path, times=times, skip=skip, seconds=seconds)

    def repeat_a_page(self) -> None:
        self.state.faults.add("duplicate_page", self.path)

    def requests(self) -> int:
        return self.state.requests.total

    def is_in_window(self, crm_id: str, window: Window) -> bool:
        date = parse_time(self.state.documents[self.key_of(crm_id)]["Date"], self.state.zone)
        return window.start <= date < window.end


class SimulatedOData(SimulatedBase):
    options = ODATA_OPTIONS
    path = f"/trade/odata/standard.odata/{DOCUMENT}"
    lookback = NEAR

    def base_url(self) -> str:
        return f"{self.server}/trade"

    def webhook(self) -> WebhookRequest:
        body = msgspec.json.encode({"Ref_Key": self.add()})
        return WebhookRequest("POST", {"content-type": "application/json"}, {}, body)


class SimulatedService(SimulatedBase):
    """With tokens of a server of their own."""

    options: Mapping[str, Any] = {}
    path = "/trade/hs/api/transactions"
    is_paged = False
    lookback = LOOK_BACK

    def base_url(self) -> str:
        return f"{self.server}/trade/hs"

    def credentials(self, secret: str) -> Mapping[str, str]:
        url = f"{self.token_server}/oauth/token"
        return {"token_url": url, "client_id": self.state.client_id, "client_secret": secret}

    def add(self, *, at: datetime | None = None) -> str:
        return f"1C-{self.state.number_of(super().add(at=at))}"

    def key_of(self, crm_id: str) -> str:
        number = int(crm_id.removeprefix("1C-"))
        return next(key for key in self.state.documents if self.state.number_of(key) == number)

    def webhook(self) -> WebhookRequest:
        body = msgspec.json.encode(service_row(self.state, self.key_of(self.add())))
        return WebhookRequest("POST", {"content-type": "application/json"}, {}, body)


class TestOneCOData(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedOData]:
        clock = Clock()
        state = SimulatorState(password=SECRET, clock=clock)
        with serve(create_app(state)) as url:
            yield SimulatedOData(state, clock, url)


class TestOneCService(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedService]:
        clock = Clock()
        state = SimulatorState(client_secret=SECRET, clock=clock)
        with serve(create_app(state)) as url, serve(create_token_app(state)) as token_url:
            yield SimulatedService(state, clock, url, token_url)
