"""KeyCRM passes the suite that all connectors pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import pytest

from connectors import registry
from connectors.keycrm.simulator import SimulatorState, create_app
from connectors.protocol import Account, MappingContext, WebhookRequest, Window
from connectors.values.times import parse_time
from tests.conformance.suite import SECRET, Clock, ConnectorConformance, Fault, SimulatedCrm
from tests.support.http_server import serve


class SimulatedKeyCrm(SimulatedCrm):
    connector = registry.get("keycrm")
    page_size = 5

    def __init__(self, state: SimulatorState, clock: Clock, base_url: str) -> None:
        self.state = state
        self.clock = clock
        self._base_url = base_url
        self._buyer = state.add_buyer("Олена Шевченко", phones=["+380501234567"], emails=["olena@example.com"])
        self._offer = state.catalog.add_product("Чашка", price=200, sku="cup", quantity=9)
        self._touches = 0

    def account(self, **changes: Any) -> Account:
        values: dict[str, Any] = {
            "project_id": "shop",
            "crm": "keycrm",
            "base_url": self._base_url,
            "credentials": self.credentials(SECRET),
            "context": MappingContext("shop", timezone="Europe/Kyiv", region="UA", currency="UAH"),
            "batch_size": self.page_size,
        }
        return Account(**{**values, **changes})

    def credentials(self, secret: str) -> Mapping[str, str]:
        return {"api_key": secret}

    def add(self, *, at: datetime | None = None) -> str:
        order = self.state.add_order(
            buyer=self._buyer,
            products=[{"name": "Чашка 😀", "sku": "cup", "price": 200.5, "quantity": 2}],
            at=at,
            announce=False,
        )
        return str(order.id)

    def touch(self, crm_id: str, *, at: datetime | None = None) -> None:
        self._touches += 1
        self.state.update_order(int(crm_id), at=at, manager_comment=f"note {self._touches}")

    def remove(self, crm_id: str) -> None:
        self.state.delete_order(int(crm_id))

    def fail(self, fault: Fault, *, times: int = 1, skip: int = 0, seconds: float = 0.0) -> None:
        self.state.faults.clear()
        if times > 0:
            self.state.faults.add(fault, "/order", times=times, skip=skip, seconds=seconds)

    def repeat_a_page(self) -> None:
        self.state.faults.add("duplicate_page", "/order")

    def requests(self) -> int:
        return self.state.requests.total

    def webhook(self) -> WebhookRequest:
        self.state.webhooks.add_target("http://127.0.0.1:1/never")
        order = self.state.add_order(buyer=self._buyer, products=[{"name": "Чашка", "price": 1, "quantity": 1}])
        self.state.change_status(order.id, self._other_status(order.fields["status_id"]))
        delivery = self.state.webhooks.deliveries("order.change_order_status")[-1]
        return WebhookRequest("POST", {"content-type": "application/json"}, {}, msgspec.json.encode(delivery.payload))

    def is_in_window(self, crm_id: str, window: Window) -> bool:
        ordered_at = parse_time(self.state.orders.rows[int(crm_id)].fields["ordered_at"])
        return window.start <= ordered_at < window.end

    def _other_status(self, status_id: int) -> int:
        return next(known for known in self.state.dictionaries["statuses"].rows if known != status_id)


class TestKeyCrm(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedKeyCrm]:
        clock = Clock()
        state = SimulatorState(api_key=SECRET, clock=clock, rate_limit=0)
        with serve(create_app(state)) as url:
            yield SimulatedKeyCrm(state, clock, f"{url}/v1")
