"""KeyCRM passes the suite that all connectors pass that write, whether or not it takes a source_uuid twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pytest

from connectors import registry
from connectors.keycrm.simulator import SimulatorState, create_app
from connectors.protocol import Account, MappingContext, PushingConnector, WebhookRequest
from tests.conformance.pushing import (
    Entity,
    PushedCrm,
    PushingConformance,
    SeenArticle,
    SeenCustomer,
    SeenLine,
    SeenOrder,
)
from tests.conformance.suite import SECRET, Clock, Fault
from tests.support.http_server import serve

STATUSES = {"PENDING": "1", "PROCESSING": "5", "SHIPPED": "8", "DELIVERED": "12"}
PAYMENT_WORDS = {"paid": "paid", "not_paid": "pending", "canceled": "cancelled"}


class PushedKeyCrm(PushedCrm):
    connector: PushingConnector
    has_tracking_once = True

    def __init__(self, state: SimulatorState, base_url: str) -> None:
        found = registry.get("keycrm")
        assert isinstance(found, PushingConnector)
        self.connector = found
        self.state = state
        self._base_url = base_url
        self._told = 0
        state.webhooks.add_target("http://127.0.0.1:1/never")

    def account(self, **changes: Any) -> Account:
        values: dict[str, Any] = {
            "project_id": "shop",
            "crm": "keycrm",
            "base_url": self._base_url,
            "credentials": {"api_key": SECRET},
            "context": MappingContext("shop", timezone="Europe/Kyiv", region="UA", currency="UAH"),
            "options": {"source_id": 2, "warehouse_id": 1},
        }
        return Account(**{**values, **changes})

    def status(self, word: str) -> str:
        return STATUSES[word]

    def orders(self) -> Sequence[str]:
        return [str(number) for number in self.state.orders.rows]

    def order(self, crm_id: str) -> SeenOrder:
        order = self.state.orders.rows[int(crm_id)]
        lines = frozenset(
            SeenLine(line["sku"], line["name"], money(line["quantity"]), money(line["price"]), discount_of(line))
            for line in order.lines
        )
        fields = order.fields
        return SeenOrder(
            status=str(fields["status_id"]),
            comment=fields["manager_comment"],
            discount=money(fields["total_discount"]) - sum(line.discount for line in lines),
            shipping_price=money(fields["shipping_price"]),
            lines=lines,
            customer_id=None if fields["client_id"] is None else str(fields["client_id"]),
            tracking_number=order.shipping["tracking_code"],
            recipient=order.shipping["recipient_full_name"],
            payments=tuple((money(row["amount"]), PAYMENT_WORDS[row["status"]]) for row in order.payments),
        )

    def customers(self) -> Sequence[str]:
        return [str(number) for number in self.state.buyers.rows]

    def customer(self, crm_id: str) -> SeenCustomer:
        fields = self.state.buyers.rows[int(crm_id)].fields
        [phone], [email] = fields["phone"], fields["email"]
        return SeenCustomer(fields["full_name"], phone, email)

    def articles(self) -> Sequence[str]:
        return [str(number) for number in self.state.catalog.offers.rows]

    def article(self, crm_id: str) -> SeenArticle:
        offer = self.state.catalog.offers.rows[int(crm_id)].fields
        product = self.state.catalog.products.rows[offer["product_id"]].fields
        stock, _ = self.state.catalog.stock(int(crm_id))
        return SeenArticle(offer["sku"], product["name"], money(offer["price"]), money(stock))

    def add_article(self, sku: str, name: str, price: Decimal, stock: Decimal) -> str:
        self.state.catalog.add_product(name, sku=sku, price=float(price))
        offer = self.state.catalog.offer_of_sku(sku)
        assert offer is not None
        self.state.catalog.set_stock(offer.id, float(stock))
        return str(offer.id)

    def change_status(self, order_id: str, status: str) -> None:
        self.state.change_status(int(order_id), int(status))

    def writes(self) -> int:
        return sum(times for route, times in self.state.requests.by_route().items() if not route.startswith("GET "))

    def requests(self) -> int:
        return self.state.requests.total

    def fail(self, entity: Entity, fault: Fault, *, is_applied: bool = False, skip: int = 0) -> None:
        """Nothing else is written meanwhile: the next writes are those of this object."""
        self.state.faults.clear()
        self.state.faults.add(fault, "/", method="write", skip=skip, seconds=0.0, is_applied=is_applied)

    def mend(self) -> None:
        self.state.faults.clear()

    def webhooks(self) -> Sequence[WebhookRequest]:
        sent = self.state.webhooks.deliveries()
        new, self._told = sent[self._told :], len(sent)
        content = {"content-type": "application/json"}
        return [WebhookRequest("POST", content, {}, msgspec.json.encode(delivery.payload)) for delivery in new]


def money(value: float) -> Decimal:
    return Decimal(str(value))


def discount_of(line: dict[str, Any]) -> Decimal:
    return money(line["total_discount"])


class TestKeyCrmPushing(PushingConformance):
    @pytest.fixture(params=["allow", "reject"])
    def crm(self, request: pytest.FixtureRequest) -> Iterator[PushedKeyCrm]:
        policy: Literal["allow", "reject"] = request.param
        state = SimulatorState(api_key=SECRET, clock=Clock(), rate_limit=0)
        state.source_uuid_policy = policy
        with serve(create_app(state)) as url:
            crm = PushedKeyCrm(state, f"{url}/v1")
            yield crm
            assert state.writes.twice() == {}
