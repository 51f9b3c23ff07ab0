"""Accounts at the simulated KeyCRM and RetailCRM that a project is in two-way sync with, and what their users do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from connectors.keycrm import simulator as keycrm
from connectors.keycrm.simulator_bodies import order_context
from connectors.keycrm.simulator_records import Record
from connectors.protocol import WebhookRequest
from connectors.retailcrm import simulator as retailcrm
from connectors.retailcrm.simulator import Trigger
from connectors.retailcrm.webhooks import CUSTOMER_TEMPLATE, DEFAULT_TEMPLATE
from tests.conformance.pushing import PushedCrm
from tests.conformance.suite import SECRET
from tests.conformance.test_keycrm_pushing import PushedKeyCrm
from tests.conformance.test_retailcrm_pushing import PushedRetailCrm

NOBODY = "http://127.0.0.1:1/never"
"""What the CRM sends is read from its log."""
QUICK = {"requests": 10_000, "per_seconds": 1.0}
Hints = Sequence[Any] | None
"""Webhooks that the CRM does not send by itself, which its users' automations may; None: nothing can tell of it."""


class TwoWayAccount(PushedCrm):
    """Each method that changes something gives its `Hints`."""

    crm: str
    key_name = "api_key"

    @abstractmethod
    def segment(self, customer_id: str) -> str | None: ...

    @abstractmethod
    def make_customer(self, name: str, phone: str) -> tuple[str, Hints]: ...

    @abstractmethod
    def rename_customer(self, crm_id: str, name: str) -> Hints: ...

    @abstractmethod
    def make_order(self, customer_id: str, sku: str, quantity: int) -> tuple[str, Hints]: ...

    @abstractmethod
    def comment(self, order_id: str, text: str) -> Hints: ...

    @abstractmethod
    def make_payment(self, order_id: str, amount: int) -> tuple[str, Hints]:
        """One that is not paid yet."""

    @abstractmethod
    def pay(self, order_id: str, payment_id: str) -> Hints: ...

    @abstractmethod
    def set_stock(self, offer_id: str, quantity: int) -> Hints: ...

    @abstractmethod
    def describe(self, offer_id: str, name: str, price: int) -> Hints: ...

    @abstractmethod
    def stored(self, request: WebhookRequest) -> str:
        """A webhook as the ingest API stores it."""


class KeyAccount(PushedKeyCrm, TwoWayAccount):
    crm = "keycrm"

    def __init__(self, state: keycrm.SimulatorState, url: str) -> None:
        super().__init__(state, f"{url}/v1")
        field = {"id": 1, "uuid": "CT_1", "name": "Segment", "type": "text", "model": "client", "position": 1}
        state.custom_fields.add(Record(field))

    def account(self, **changes: Any) -> Any:
        options = {
            "order_source_id": 2, "warehouse_id": 1, "payment_methods": {"card": 2}, "delivery_services": {"NP": 1},
            "segment_field": "CT_1", "rate_limit": QUICK,
        }  # fmt: skip
        return super().account(**{"options": options, **changes})

    def status(self, word: str) -> str:
        return "19" if word == "CANCELLED" else super().status(word)

    def segment(self, customer_id: str) -> str | None:
        return next((str(row["value"]) for row in self.state.buyers.rows[int(customer_id)].custom_fields), None)

    def make_customer(self, name: str, phone: str) -> tuple[str, Hints]:
        buyer = self.state.add_buyer(name, phones=[phone])
        return str(buyer.id), [{"event": "buyer.created", "context": buyer.fields}]

    def rename_customer(self, crm_id: str, name: str) -> Hints:
        return [{"event": "buyer.updated", "context": self.state.update_buyer(int(crm_id), full_name=name).fields}]

    def make_order(self, customer_id: str, sku: str, quantity: int) -> tuple[str, Hints]:
        order = self.state.add_order(buyer=int(customer_id), products=[{"sku": sku, "quantity": quantity}])
        return str(order.id), ()

    def comment(self, order_id: str, text: str) -> Hints:
        order = self.state.update_order(int(order_id), manager_comment=text)
        return [{"event": "order.updated", "context": order_context(order)}]

    def make_payment(self, order_id: str, amount: int) -> tuple[str, Hints]:
        payment = self.state.add_payment(int(order_id), amount, status="not_paid")
        return str(payment["id"]), [{"event": "payment.created", "context": payment}]

    def pay(self, order_id: str, payment_id: str) -> Hints:
        self.state.change_payment(int(payment_id), status="paid")
        return ()

    def set_stock(self, offer_id: str, quantity: int) -> Hints:
        self.state.catalog.set_stock(int(offer_id), quantity)
        return ()

    def describe(self, offer_id: str, name: str, price: int) -> Hints:
        product_id = self.state.catalog.offers.rows[int(offer_id)].fields["product_id"]
        self.state.catalog.update_product(product_id, name=name, price=price)
        return None

    def stored(self, request: WebhookRequest) -> str:
        return request.body.decode()


class RetailAccount(PushedRetailCrm, TwoWayAccount):
    crm = "retailcrm"

    def __init__(self, state: retailcrm.SimulatorState, url: str) -> None:
        super().__init__(state, url)
        state.triggers.triggers[:] = [
            Trigger(NOBODY, DEFAULT_TEMPLATE, is_conditional=False),
            Trigger(NOBODY, CUSTOMER_TEMPLATE, entity="customer"),
        ]

    def account(self, **changes: Any) -> Any:
        options = {**super().account().options, "delivery_types": {"NP": "courier"}, "rate_limit": QUICK}
        return super().account(**{"options": options, **changes})

    def segment(self, customer_id: str) -> str | None:
        found: dict[str, str] = dict(self.state.customers[int(customer_id)]["customFields"] or {})
        return found.get("segment")

    def make_customer(self, name: str, phone: str) -> tuple[str, Hints]:
        return str(self.state.add_customer(name, phones=[phone])["id"]), ()

    def rename_customer(self, crm_id: str, name: str) -> Hints:
        self.state.update_customer(int(crm_id), firstName=name)
        return ()

    def make_order(self, customer_id: str, sku: str, quantity: int) -> tuple[str, Hints]:
        offer = next(row for row in self.state.store.offers.values() if row["article"] == sku)
        shown = {name: offer[name] for name in ("id", "article", "name")}
        item = {"offer": shown, "initialPrice": offer["price"], "quantity": quantity}
        order = self.state.add_order(customer=self.state.customers[int(customer_id)], items=[item], by="user")
        return str(order["id"]), ()

    def comment(self, order_id: str, text: str) -> Hints:
        self.state.update_order(int(order_id), managerComment=text)
        return ()

    def make_payment(self, order_id: str, amount: int) -> tuple[str, Hints]:
        payment = self.state.add_payment(int(order_id), amount, status="not-paid", type="bank-card")
        return str(payment["id"]), ()

    def pay(self, order_id: str, payment_id: str) -> Hints:
        self.state.change_payment(int(payment_id), status="paid")
        return ()

    def set_stock(self, offer_id: str, quantity: int) -> Hints:
        self.state.store.offers[int(offer_id)]["stores"][0]["quantity"] = quantity
        return None

    def describe(self, offer_id: str, name: str, price: int) -> Hints:
        offer = self.state.store.offers[int(offer_id)]
        product = next(row for row in self.state.store.products.values() if offer["id"] in row["offer_ids"])
        offer["name"] = product["name"] = name
        self.state.store.set_prices(offer, [{"code": "base", "price": Decimal(price)}])
        return None

    def stored(self, request: WebhookRequest) -> str:
        return msgspec.json.encode(dict(parse_qsl(request.body.decode(), keep_blank_values=True))).decode()


def accounts() -> dict[str, tuple[type[KeyAccount] | type[RetailAccount], Any, Any]]:
    """crm -> adapter, a new account's state, and its application."""
    key = keycrm.SimulatorState(api_key=SECRET, rate_limit=0)
    rail = retailcrm.SimulatorState(api_key=SECRET, rate_limit=0)
    return {
        "keycrm": (KeyAccount, key, keycrm.create_app(key)),
        "retailcrm": (RetailAccount, rail, retailcrm.create_app(rail)),
    }
