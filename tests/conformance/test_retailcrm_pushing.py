"""RetailCRM passes the suite that all connectors that write pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from connectors.protocol import Account, MappingContext, WebhookRequest
from connectors.retailcrm import connector
from connectors.retailcrm.simulator import SimulatorState, Trigger, create_app
from connectors.retailcrm.webhooks import DEFAULT_TEMPLATE
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

STATUSES = {
    "PENDING": "new",
    "PROCESSING": "assembling",
    "SHIPPED": "send-to-delivery",
    "DELIVERED": "complete",
    "CANCELLED": "cancel-other",
}
PATHS: dict[Entity, str] = {
    "order": "/orders",
    "customer": "/customers",
    "article": "/store",
    "payment": "/orders/payments",
}
FORM = {"content-type": "application/x-www-form-urlencoded"}


class PushedRetailCrm(PushedCrm):
    connector = connector
    creates_articles = False

    def __init__(self, state: SimulatorState, base_url: str) -> None:
        self.state = state
        self._base_url = base_url
        self._told = 0
        state.triggers.triggers.append(Trigger("http://127.0.0.1:1/never", DEFAULT_TEMPLATE))

    def account(self, **changes: Any) -> Account:
        values: dict[str, Any] = {
            "project_id": "shop",
            "crm": "retailcrm",
            "base_url": self._base_url,
            "credentials": {"api_key": SECRET},
            "context": MappingContext("shop", timezone="Europe/Moscow", region="UA", currency="RUB"),
            "options": {
                "store": "main",
                "price_type": "base",
                "payment_types": {"card": "bank-card"},
                "segment_field": "segment",
            },
        }
        return Account(**{**values, **changes})

    def status(self, word: str) -> str:
        return STATUSES[word]

    def orders(self) -> Sequence[str]:
        return [str(crm_id) for crm_id in self.state.orders]

    def order(self, crm_id: str) -> SeenOrder:
        order = self.state.order_body(self.state.orders[int(crm_id)])
        payments = sorted(order["payments"].values(), key=lambda row: row["id"]) if order["payments"] else ()
        words = connector.vocabulary.payment_statuses
        return SeenOrder(
            status=order["status"],
            comment=order.get("managerComment"),
            discount=Decimal(str(order["discountManualAmount"])),
            shipping_price=Decimal(str(order["delivery"]["cost"])),
            lines=frozenset(_line(item) for item in order["items"]),
            customer_id=str(order["customer"]["id"]) if "customer" in order else None,
            tracking_number=order["delivery"].get("data", {}).get("trackNumber"),
            recipient=" ".join(order[name] for name in ("firstName", "lastName") if order.get(name)) or None,
            payments=tuple((Decimal(str(row["amount"])), words[row["status"]]) for row in payments),
        )

    def customers(self) -> Sequence[str]:
        return [str(crm_id) for crm_id in self.state.customers]

    def customer(self, crm_id: str) -> SeenCustomer:
        row = self.state.customers[int(crm_id)]
        name = " ".join(row[part] for part in ("firstName", "patronymic", "lastName") if row.get(part))
        return SeenCustomer(name, row["phones"][0]["number"] if row["phones"] else None, row.get("email"))

    def articles(self) -> Sequence[str]:
        return [str(crm_id) for crm_id in self.state.store.offers]

    def article(self, crm_id: str) -> SeenArticle:
        offer = self.state.store.offers[int(crm_id)]
        [stock] = offer["stores"]
        return SeenArticle(
            offer["article"], offer["name"], Decimal(str(offer["price"])), Decimal(str(stock["quantity"]))
        )

    def add_article(self, sku: str, name: str, price: Decimal, stock: Decimal) -> str:
        return str(self.state.store.add_product(name, float(price), article=sku, quantity=float(stock))["id"])

    def change_status(self, order_id: str, status: str) -> None:
        self.state.change_status(int(order_id), status)

    def writes(self) -> int:
        return self.state.requests.count("POST")

    def requests(self) -> int:
        return self.state.requests.total

    def fail(self, entity: Entity, fault: Fault, *, is_applied: bool = False, skip: int = 0) -> None:
        self.mend()
        self.state.faults.add(fault, PATHS[entity], method="POST", is_applied=is_applied, skip=skip, seconds=0.2)

    def mend(self) -> None:
        self.state.faults.clear()

    def webhooks(self) -> Sequence[WebhookRequest]:
        new = self.state.triggers.deliveries[self._told :]
        self._told += len(new)
        return [WebhookRequest("POST", FORM, {}, delivery.body) for delivery in new]


def _line(item: dict[str, Any]) -> SeenLine:
    """With its own discount: the share of the order's is a part of `discountTotal` too."""
    own = next((part["amount"] for part in item["discounts"] if part["type"] == "manual_product"), 0)
    quantity = Decimal(str(item["quantity"]))
    return SeenLine(
        item["offer"].get("article"),
        item["offer"]["name"],
        quantity,
        Decimal(str(item["initialPrice"])),
        Decimal(str(own)) * quantity,
    )


class TestRetailCrmPushing(PushingConformance):
    @pytest.fixture
    def crm(self) -> Iterator[PushedRetailCrm]:
        state = SimulatorState(api_key=SECRET, clock=Clock(), rate_limit=0)
        with serve(create_app(state)) as url:
            yield PushedRetailCrm(state, url)
