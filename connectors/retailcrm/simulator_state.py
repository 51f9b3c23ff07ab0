"""The simulated account: everything RetailCRM would store for it, changed by plain method calls.

Tests and the demo change it directly; the API's routes call the same methods. Each change writes its line into the
history of orders or of customers, as the vendor does: one line a field. Times default to the account's clock.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.keycrm.simulator_faults import Faults, RequestLog, Throttle
from connectors.retailcrm import simulator_defaults as defaults
from connectors.retailcrm.simulator_dictionaries import Dictionaries
from connectors.retailcrm.simulator_history import History, as_value
from connectors.retailcrm.simulator_orders import OWN_DISCOUNT, child_stub, line, refresh, shown, stub
from connectors.retailcrm.simulator_store import Store
from connectors.retailcrm.simulator_triggers import Triggers
from connectors.retailcrm.simulator_values import JSON, number, snake, utc_now
from connectors.retailcrm.simulator_written import Written


class SimulatorState(Dictionaries):
    """One RetailCRM account. All methods may be called from any thread."""

    def __init__(
        self,
        *,
        api_key: str = "test-key",
        clock: Callable[[], datetime] = utc_now,
        timezone: str = "Europe/Moscow",
        currency: str = "RUB",
        public_url: str = "https://demo.retailcrm.ru",
        seed: int = 0,
        rate_limit: int = 10,
        rate_seconds: float = 1.0,
    ) -> None:
        """`rate_limit` 0: unlimited."""
        super().__init__(clock, timezone, currency)
        self.api_key = api_key
        self.public_url = public_url
        self.random = random.Random(seed)
        self.throttle = Throttle(rate_limit, rate_seconds)
        self.faults = Faults(seed)
        self.requests = RequestLog()
        self.triggers = Triggers()
        self.scopes: list[str] = list(defaults.SCOPES)
        self.may_read_settings = True
        self.selected_sites: list[str] | None = None
        """The key's sites; None: all."""

        self.orders: dict[int, JSON] = {}
        self.customers: dict[int, JSON] = {}
        self.order_history = History("order", lambda: self.zone)
        self.customer_history = History("customer", lambda: self.zone)
        self.store = Store()
        self.written = Written()
        self._orders_of: dict[int, set[int]] = {}
        """Order ids by customer id."""

    # --------------------------------------------------------------------------------------------------- customers

    def add_customer(
        self,
        first_name: str,
        last_name: str = "",
        *,
        phones: Sequence[str] = (),
        email: str | None = None,
        site: str = "shop",
        at: datetime | None = None,
        by: str = "user",
        is_own: bool = False,
        **fields: Any,
    ) -> JSON:
        """`by` and `is_own` as of orders."""
        with self.lock:
            customer = {
                **copy.deepcopy(defaults.EMPTY_CUSTOMER),
                "id": self.new_id("customer"),
                "createdAt": self.wall(at),
                "site": site,
                "firstName": first_name,
                "lastName": last_name,
                "email": email,
                "phones": [{"number": phone} for phone in phones],
                **fields,
            }
            customer = {name: value for name, value in customer.items() if value is not None}
            self.customers[customer["id"]] = customer
            self.customer_history.add(
                self.customer_body(customer),
                "id",
                None,
                customer["id"],
                at or self.clock(),
                is_created=True,
                source=by,
                is_own=is_own,
            )
            self.triggers.fire("customer", customer)
            return customer

    def update_customer(
        self, customer_id: int, *, at: datetime | None = None, by: str = "user", is_own: bool = False, **fields: Any
    ) -> JSON:
        """Raises KeyError."""
        with self.lock:
            customer = self.customers[customer_id]
            for name, value in fields.items():
                old = customer.get(name)
                if old != value:
                    customer[name] = value
                    self.customer_history.add(
                        stub("customer", customer),
                        snake(name),
                        old,
                        value,
                        at or self.clock(),
                        source=by,
                        is_own=is_own,
                    )
            self.triggers.fire("customer", customer)
            return customer

    def delete_customer(self, customer_id: int, *, at: datetime | None = None, combined_to: int | None = None) -> None:
        """`combined_to`: merged into that customer, whose orders they become. Raises KeyError."""
        with self.lock:
            customer = self.customers.pop(customer_id)
            more: JSON = {}
            if combined_to is not None:
                more["combinedTo"] = {"id": combined_to}
                for order_id in sorted(self._orders_of.get(customer_id, ())):
                    self.update_order(order_id, at=at, customer_id=combined_to, by="combine")
            self.customer_history.add(
                stub("customer", customer),
                "id",
                customer_id,
                None,
                at or self.clock(),
                is_deleted=True,
                source="user" if combined_to is None else "combine",
                **more,
            )

    def customer_body(self, customer: JSON) -> JSON:
        """As GET /customers has it: with the sums of the customer's orders."""
        orders = [self.orders[order_id] for order_id in self._orders_of.get(customer["id"], ())]
        total = number(sum(order["totalSumm"] for order in orders))
        return {
            **{name: copy.deepcopy(value) for name, value in customer.items() if value is not None},
            "ordersCount": len(orders),
            "totalSumm": total,
            "averageSumm": number(total / len(orders)) if orders else 0,
        }

    # ------------------------------------------------------------------------------------------------------ orders

    def add_order(
        self,
        *,
        customer: JSON | None = None,
        items: Sequence[Mapping[str, Any]] = (),
        payments: Sequence[Mapping[str, Any]] = (),
        status: str = "new",
        site: str = "shop",
        at: datetime | None = None,
        by: str = "api",
        is_own: bool = False,
        **fields: Any,
    ) -> JSON:
        """A new order. An item is at least {name, initialPrice, quantity}; a payment {type, amount, status}. Name,
        phone and e-mail are the customer's, unless given. `by`: what the history calls its source; `is_own`: made with
        the key of these requests."""
        with self.lock:
            now, order_id = self.wall(at), self.new_id("order")
            person = customer or {}
            phones = person.get("phones") or [{"number": None}]
            order = {
                **copy.deepcopy(defaults.EMPTY_ORDER),
                "id": order_id,
                "slug": order_id,
                "number": f"{order_id}A",
                "site": site,
                "status": status,
                "statusUpdatedAt": now,
                "createdAt": now,
                "currency": self.sites[site]["currency"],
                "customer_id": person.get("id"),
                "firstName": person.get("firstName"),
                "lastName": person.get("lastName"),
                "phone": phones[0]["number"],
                "email": person.get("email"),
                "delivery": {"cost": 0, "netCost": 0, "address": {}},
                **fields,
            }
            order = {name: value for name, value in order.items() if value is not None or name == "customer_id"}
            order["items"] = [line(self.new_id("item"), item, now) for item in items]
            order["payments"] = {}
            for payment in payments:
                self._put_payment(order, payment, now)
            refresh(order, self.payment_statuses)
            self.orders[order_id] = order
            self._own(order, None)
            self.order_history.add(
                self.order_body(order),
                "status",
                None,
                as_value("status", status),
                at or self.clock(),
                is_created=True,
                source=by,
                is_own=is_own,
            )
            self.triggers.fire("order", order, ("status",))
            return order

    def update_order(
        self, order_id: int, *, at: datetime | None = None, by: str = "user", is_own: bool = False, **fields: Any
    ) -> JSON:
        """Change fields of an order; a changed status is entered at that time. Raises KeyError."""
        with self.lock:
            order = self.orders[order_id]
            changed = []
            for name, value in fields.items():
                old = order.get(name)
                if old == value:
                    continue
                order[name] = value
                changed.append(snake(name))
                if name == "status":
                    order["statusUpdatedAt"] = self.wall(at)
                if name == "customer_id":
                    self._own(order, old)
                field = "customer" if name == "customer_id" else snake(name)
                self.order_history.add(
                    stub("order", order),
                    field,
                    as_value(field, old),
                    as_value(field, value),
                    at or self.clock(),
                    source=by,
                    is_own=is_own,
                )
            refresh(order, self.payment_statuses)
            if changed:
                self.triggers.fire("order", order, changed)
            return order

    def change_status(self, order_id: int, status: str, *, at: datetime | None = None, by: str = "user") -> JSON:
        """Raises KeyError for an unknown order or status."""
        return self.update_order(order_id, at=at, by=by, status=self.statuses[status]["code"])

    def set_items(
        self,
        order_id: int,
        items: Sequence[Mapping[str, Any]],
        *,
        at: datetime | None = None,
        by: str = "user",
        is_own: bool = False,
    ) -> JSON:
        """Replace the lines: those without the id of a line are new, those not given are gone. Raises KeyError."""
        with self.lock:
            order = self.orders[order_id]
            known = {item["id"]: item for item in order["items"]}
            lines = []
            for item in items:
                item_id = item.get("id")
                old = known.get(item_id) if isinstance(item_id, int) else None
                merged = {**old, **item} if old is not None else dict(item)
                if "discountTotal" in item:
                    merged.pop(OWN_DISCOUNT, None)
                new = line(old["id"] if old else self.new_id("item"), merged, self.wall(at))
                lines.append(new)
                if old is None or old["quantity"] != new["quantity"]:
                    quantity = old and old["quantity"]
                    self._log_child(
                        order, "order_product.quantity", quantity, new["quantity"], at, by, is_own, item=new
                    )
            order["items"] = lines
            refresh(order, self.payment_statuses)
            self.triggers.fire("order", order, ("items",))
            return order

    def delete_order(self, order_id: int, *, at: datetime | None = None, combined_to: int | None = None) -> None:
        """The history says so, and the order is in no answer any more. Raises KeyError."""
        with self.lock:
            order = self.orders.pop(order_id)
            self._orders_of.get(order["customer_id"], set()).discard(order_id)
            more: JSON = {} if combined_to is None else {"combinedTo": {"id": combined_to}}
            self.order_history.add(
                stub("order", order),
                "id",
                order_id,
                None,
                at or self.clock(),
                is_deleted=True,
                source="user" if combined_to is None else "combine",
                **more,
            )
            self.triggers.fire("order", order)

    def _own(self, order: JSON, former: int | None) -> None:
        if former is not None:
            self._orders_of.get(former, set()).discard(order["id"])
        if order["customer_id"] is not None:
            self._orders_of.setdefault(order["customer_id"], set()).add(order["id"])

    def order_body(self, order: JSON) -> JSON:
        """As GET /orders has it."""
        body = shown(order)
        customer = self.customers.get(order["customer_id"])
        if customer is not None:
            body["customer"] = self.customer_body(customer)
        return body

    # ---------------------------------------------------------------------------------------------------- payments

    def add_payment(
        self,
        order_id: int,
        amount: float,
        *,
        status: str = "paid",
        at: datetime | None = None,
        by: str = "user",
        is_own: bool = False,
        **fields: Any,
    ) -> JSON:
        """Raises KeyError."""
        with self.lock:
            order = self.orders[order_id]
            payment = self._put_payment(order, {"amount": amount, "status": status, **fields}, self.wall(at))
            refresh(order, self.payment_statuses)
            self._log_child(order, "payments", None, {"id": payment["id"]}, at, by, is_own, payment=payment)
            self.triggers.fire("order", order, ("payments",))
            return payment

    def change_payment(
        self, payment_id: int, *, at: datetime | None = None, by: str = "user", is_own: bool = False, **fields: Any
    ) -> JSON:
        """Raises KeyError."""
        with self.lock:
            order = self.order_of_payment(payment_id)
            payment: JSON = order["payments"][payment_id]
            if self._is_paid(fields.get("status")) and not payment.get("paidAt"):
                fields.setdefault("paidAt", self.wall(at))
            for name, value in fields.items():
                old = payment.get(name)
                if old != value:
                    payment[name] = value
                    field = f"payments.{snake(name)}"
                    was, now = as_value(field, old), as_value(field, value)
                    self._log_child(order, field, was, now, at, by, is_own, payment=payment)
            refresh(order, self.payment_statuses)
            self.triggers.fire("order", order, ("payments",))
            return payment

    def delete_payment(
        self, payment_id: int, *, at: datetime | None = None, by: str = "user", is_own: bool = False
    ) -> None:
        """Raises KeyError."""
        with self.lock:
            order = self.order_of_payment(payment_id)
            payment = order["payments"].pop(payment_id)
            refresh(order, self.payment_statuses)
            self._log_child(order, "payments", {"id": payment_id}, None, at, by, is_own, payment=payment)
            self.triggers.fire("order", order, ("payments",))

    def order_of_payment(self, payment_id: int) -> JSON:
        """Raises KeyError."""
        for order in self.orders.values():
            if payment_id in order["payments"]:
                return order
        raise KeyError(payment_id)

    def _put_payment(self, order: JSON, given: Mapping[str, Any], now: str) -> JSON:
        payment = {"id": self.new_id("payment"), "status": "not-paid", "type": "cash", **given}
        payment["amount"] = number(payment["amount"])
        if self._is_paid(payment["status"]):
            payment.setdefault("paidAt", now)
        order["payments"][payment["id"]] = payment
        return payment

    def _is_paid(self, status: Any) -> bool:
        return bool(self.payment_statuses.get(str(status), {}).get("paymentComplete"))

    def _log_child(
        self, order: JSON, field: str, old: Any, new: Any, at: datetime | None, by: str, is_own: bool, **child: JSON
    ) -> None:
        rows = {name: child_stub(row) for name, row in child.items()}
        self.order_history.add(
            stub("order", order), field, old, new, at or self.clock(), source=by, is_own=is_own, **rows
        )
