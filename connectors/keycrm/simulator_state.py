"""The simulated account: everything KeyCRM would store for it, changed by plain method calls.

Tests and the demo change it directly; the API's routes call the same methods. A method that KeyCRM would tell others
about queues the webhooks for it, unless `announce=False`. Times default to the account's clock.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from connectors.keycrm import simulator_defaults as defaults
from connectors.keycrm.simulator_bodies import lead_context, order_context
from connectors.keycrm.simulator_catalog import Catalog
from connectors.keycrm.simulator_faults import Faults, PageShifts, RequestLog, Throttle
from connectors.keycrm.simulator_records import Buyer, Order, Record, Table
from connectors.keycrm.simulator_totals import price_line, total_order
from connectors.keycrm.simulator_values import JSON, digits, number, stamp, utc_now
from connectors.keycrm.simulator_webhooks import LEAD_EVENT, PAYMENT_EVENT, STATUS_EVENT, Webhooks
from connectors.keycrm.simulator_writes import Writes


class SimulatorState:
    """One KeyCRM account. All methods may be called from any thread."""

    def __init__(
        self,
        *,
        api_key: str = "test-key",
        name: str = "account",
        clock: Callable[[], datetime] = utc_now,
        seed: int = 0,
        rate_limit: int = 60,
        rate_seconds: float = 60.0,
        is_empty: bool = False,
    ) -> None:
        """`is_empty`: without the usual statuses, source, payment methods and so on. `rate_limit` 0: unlimited."""
        self.lock = threading.RLock()
        self.api_key = api_key
        self.name = name
        self.clock = clock
        self.random = random.Random(seed)
        self.throttle = Throttle(rate_limit, rate_seconds)
        self.faults = Faults(seed)
        self.requests = RequestLog()
        self.writes = Writes()
        self.shifts = PageShifts()
        self.webhooks = Webhooks(lambda: self.clock())
        self.on_tick: Callable[[int], list[str]] | None = None
        """Applies that many live changes and names them; set by the demo's seed."""

        # What the documents leave open, or what differs from account to account.
        self.limit_policy: Literal["reject", "clamp"] = "reject"
        """A `limit` over 50: 422 as Laravel's validation answers, or taken as 50."""
        self.source_uuid_policy: Literal["allow", "reject"] = "allow"
        """A second order with the source_uuid of another of the same source: created, or 422."""
        self.reads_encoded_brackets = True
        """Whether `filter%5Bx%5D` is understood; one project saw it ignored."""
        self.default_order_sort = "-id"
        """Undocumented: a client has to ask for the order it needs."""
        self.has_status_changed_at = True
        """Whether orders of the API carry this undocumented field."""
        self.announces_new_orders = True
        """Whether a new order's first status fires the status trigger."""
        self.has_pipelines = False
        """Whether leads are switched on."""
        self.may_see_leads = True

        self.orders: Table[Order] = Table("updated_at", "ordered_at")
        self.buyers: Table[Buyer] = Table("updated_at", "created_at")
        self.leads: Table[Record] = Table("updated_at", "created_at")
        self.dictionaries: dict[str, Table[Record]] = {kind: Table() for kind in defaults.DICTIONARIES}
        self.custom_fields: Table[Record] = Table()
        self.users: Table[Record] = Table()
        self.companies: Table[Record] = Table()
        self.catalog = Catalog(self.lock, self.now, self.webhooks)
        self.transactions: list[JSON] = []
        self._next_line_id = 1
        self._next_payment_id = 1
        self._payment_orders: dict[int, int] = {}
        self._buyer_by_phone: dict[str, int] = {}
        self._buyer_by_email: dict[str, int] = {}
        if not is_empty:
            defaults.fill(self)

    # ------------------------------------------------------------------------------------------------- dictionaries

    def now(self, at: datetime | None = None) -> str:
        return stamp(at if at is not None else self.clock())

    def add_entry(self, kind: str, fields: Mapping[str, Any]) -> Record:
        """An entry of a dictionary (`statuses`, `sources`, `tags`, `payment_methods`, ...); `id` may be given."""
        with self.lock:
            table = self.dictionaries[kind]
            now = self.now()
            known = {"id": fields.get("id") or table.new_id(), "created_at": now, "updated_at": now, **fields}
            return table.add(Record({**defaults.EMPTY_ENTRY.get(kind, {}), **known}))

    def add_status(
        self, status_id: int, name: str, group_id: int, *, is_closing: bool = False, **fields: Any
    ) -> Record:
        """`alias` defaults to the name, as in an account whose statuses were never saved in the UI."""
        return self.add_entry(
            "statuses",
            {
                "id": status_id,
                "name": name,
                "alias": fields.pop("alias", name),
                "group_id": group_id,
                "is_closing_order": is_closing,
                **fields,
            },
        )

    def add_source(self, name: str, *, currency_code: str = "UAH", **fields: Any) -> Record:
        return self.add_entry("sources", {"name": name, "alias": name, "currency_code": currency_code, **fields})

    def add_tag(self, name: str, **fields: Any) -> Record:
        return self.add_entry("tags", {"name": name, "alias": name, **fields})

    def status(self, status_id: int) -> JSON:
        """Raises KeyError."""
        return self.dictionaries["statuses"].rows[status_id].fields

    # ------------------------------------------------------------------------------------------------------- buyers

    def add_buyer(
        self,
        full_name: str,
        *,
        phones: Sequence[str] = (),
        emails: Sequence[str] = (),
        at: datetime | None = None,
        shipping: Sequence[JSON] = (),
        custom_fields: Sequence[JSON] = (),
        **fields: Any,
    ) -> Buyer:
        with self.lock:
            now = self.now(at)
            known = {"id": fields.pop("id", None) or self.buyers.new_id(), "full_name": full_name}
            known |= {"email": list(emails), "phone": list(phones), "created_at": now, "updated_at": now}
            buyer = Buyer({**defaults.EMPTY_BUYER, **known, **fields}, list(shipping), list(custom_fields))
            self.buyers.add(buyer)
            self._know_contacts(buyer)
            return buyer

    def update_buyer(self, buyer_id: int, *, at: datetime | None = None, **fields: Any) -> Buyer:
        """`shipping` and `custom_fields` replace what was there. Raises KeyError."""
        with self.lock:
            buyer = self.buyers.rows[buyer_id]
            buyer.shipping = fields.pop("shipping", buyer.shipping)
            buyer.custom_fields = fields.pop("custom_fields", buyer.custom_fields)
            self.buyers.change(buyer, **fields, updated_at=self.now(at))
            self._know_contacts(buyer)
            return buyer

    def find_buyer(self, phones: Sequence[str], emails: Sequence[str]) -> Buyer | None:
        """A buyer who has one of these phones or e-mails now."""
        with self.lock:
            for phone in phones:
                found = self.buyers.get(self._buyer_by_phone.get(digits(phone)))
                if found is not None and digits(phone) in map(digits, found.fields["phone"]):
                    return found
            for email in emails:
                found = self.buyers.get(self._buyer_by_email.get(email.lower()))
                if found is not None and email.lower() in (known.lower() for known in found.fields["email"]):
                    return found
            return None

    def _know_contacts(self, buyer: Buyer) -> None:
        for phone in buyer.fields["phone"]:
            self._buyer_by_phone.setdefault(digits(phone), buyer.id)
        for email in buyer.fields["email"]:
            self._buyer_by_email.setdefault(email.lower(), buyer.id)

    # ------------------------------------------------------------------------------------------------------- orders

    def add_order(
        self,
        *,
        buyer: int | Buyer | None = None,
        source_id: int | None = None,
        status_id: int | None = None,
        products: Sequence[Mapping[str, Any]] = (),
        payments: Sequence[Mapping[str, Any]] = (),
        at: datetime | None = None,
        ordered_at: datetime | None = None,
        announce: bool = True,
        **fields: Any,
    ) -> Order:
        """A new order, created and entered into its status (default: the first) at `at`.

        A product is at least {name, quantity, price}, and may name an offer by `offer_id` or `sku`; a payment is
        {amount, status, ...}. Further fields: any of the order's own, and shipping, marketing, custom_fields, tag_ids,
        expenses, assigned_ids, attachments. Without a buyer it is a sale to nobody. Raises KeyError for an unknown id.
        """
        with self.lock:
            now = self.now(at)
            relations = {name: fields.pop(name) for name in defaults.ORDER_RELATIONS if name in fields}
            buyer_id = buyer.id if isinstance(buyer, Buyer) else buyer
            if buyer_id is not None and buyer_id not in self.buyers.rows:
                raise KeyError(buyer_id)
            status = self.status(status_id if status_id is not None else min(self.dictionaries["statuses"].rows))
            source = source_id if source_id is not None else min(self.dictionaries["sources"].rows, default=None)
            own = {
                "id": fields.pop("id", None) or self.orders.new_id(),
                "source_id": source,
                "client_id": buyer_id,
                "ordered_at": self.now(ordered_at or at),
                "created_at": now,
                "updated_at": now,
            }
            order = Order({**defaults.EMPTY_ORDER, **own, **fields}, **relations)
            order.shipping = {**defaults.EMPTY_SHIPPING, **order.shipping}
            if order.marketing is not None:
                times = {"created_at": now, "updated_at": now}
                order.marketing = {**defaults.EMPTY_MARKETING, **times, **order.marketing}
            order.lines = [self._line(product) for product in products]
            order.payments = [self._payment(order.id, payment, now) for payment in payments]
            self._enter_status(order, status, now)
            total_order(order)
            self.orders.add(order)
            if announce and self.announces_new_orders:
                self._announce(STATUS_EVENT, order)
            return order

    def update_order(self, order_id: int, *, at: datetime | None = None, **fields: Any) -> Order:
        """Change the order's own fields, or whole relations (shipping, marketing, custom_fields, tag_ids, ...).

        Status, lines and payments have methods of their own. Raises KeyError.
        """
        with self.lock:
            order = self.orders.rows[order_id]
            for name in defaults.ORDER_RELATIONS:
                if name in fields:
                    setattr(order, name, fields.pop(name))
            order.fields.update(fields)
            self.refresh_order(order, at=at)
            return order

    def change_status(
        self, order_id: int, status_id: int, *, at: datetime | None = None, announce: bool = True
    ) -> Order:
        """The order enters a status; nothing happens if it is in it already. Raises KeyError."""
        with self.lock:
            order = self.orders.rows[order_id]
            if order.fields["status_id"] == status_id:
                return order
            now = self.now(at)
            self._enter_status(order, self.status(status_id), now)
            self.orders.change(order, updated_at=now)
            if announce:
                self._announce(STATUS_EVENT, order)
            return order

    def set_lines(self, order_id: int, products: Sequence[Mapping[str, Any]], *, at: datetime | None = None) -> Order:
        """Replace the order's products, as a manager can in the UI (the API cannot add any). Raises KeyError."""
        with self.lock:
            order = self.orders.rows[order_id]
            order.lines = [self._line(product) for product in products]
            self.refresh_order(order, at=at)
            return order

    def refresh_order(self, order: Order, *, at: datetime | None = None, announce: bool = True) -> None:
        """After changing lines or payments in place: totals, payment status (with its webhook), indexes."""
        with self.lock:
            before = order.fields["payment_status"]
            total_order(order)
            self.orders.change(order, updated_at=self.now(at))
            if announce and order.fields["payment_status"] != before:
                self._announce(PAYMENT_EVENT, order)

    def delete_order(self, order_id: int) -> Order:
        """The API says 404 from now on, and nothing else tells. Raises KeyError."""
        with self.lock:
            order = self.orders.remove(order_id)
            for payment in order.payments:
                self._payment_orders.pop(payment["id"], None)
            return order

    def order_with_uuid(self, source_uuid: str, source_id: int) -> Order | None:
        with self.lock:
            for order in self.orders:
                if order.fields["source_uuid"] == source_uuid and order.fields["source_id"] == source_id:
                    return order
            return None

    # ----------------------------------------------------------------------------------------------------- payments

    def add_payment(
        self,
        order_id: int,
        amount: float,
        *,
        status: str = "paid",
        at: datetime | None = None,
        announce: bool = True,
        **fields: Any,
    ) -> JSON:
        """A payment (paid, not_paid, canceled) of an order. Raises KeyError."""
        with self.lock:
            order = self.orders.rows[order_id]
            now = self.now(at)
            payment = self._payment(order_id, {"amount": amount, "status": status, **fields}, now)
            order.payments.append(payment)
            self.refresh_order(order, at=at, announce=announce)
            return payment

    def change_payment(
        self, payment_id: int, *, at: datetime | None = None, announce: bool = True, **fields: Any
    ) -> JSON:
        """Raises KeyError."""
        with self.lock:
            order, payment = self.payment(payment_id)
            now = self.now(at)
            if fields.get("status") == "paid" and payment["payment_date"] is None:
                fields.setdefault("payment_date", now)
            payment.update(fields, updated_at=now)
            self.refresh_order(order, at=at, announce=announce)
            return payment

    def delete_payment(self, payment_id: int, *, at: datetime | None = None, announce: bool = True) -> None:
        """Possible in the UI alone. Raises KeyError."""
        with self.lock:
            order, payment = self.payment(payment_id)
            order.payments.remove(payment)
            del self._payment_orders[payment_id]
            self.refresh_order(order, at=at, announce=announce)

    def payment(self, payment_id: int) -> tuple[Order, JSON]:
        """A payment and its order. Raises KeyError."""
        with self.lock:
            order = self.orders.rows[self._payment_orders[payment_id]]
            return order, next(payment for payment in order.payments if payment["id"] == payment_id)

    # -------------------------------------------------------------------------------------------------------- leads

    def add_lead(self, *, at: datetime | None = None, announce: bool = True, **fields: Any) -> Record:
        with self.lock:
            now = self.now(at)
            own = {"id": fields.pop("id", None) or self.leads.new_id()}
            own |= dict.fromkeys(("created_at", "updated_at", "status_changed_at"), now)
            lead = self.leads.add(Record({**defaults.EMPTY_LEAD, **own, **fields}))
            if announce:
                self.webhooks.send(LEAD_EVENT, {"event": LEAD_EVENT, "context": lead_context(lead)})
            return lead

    def update_lead(self, lead_id: int, *, at: datetime | None = None, announce: bool = True, **fields: Any) -> Record:
        """Raises KeyError."""
        with self.lock:
            lead = self.leads.rows[lead_id]
            is_moved = fields.get("status_id", lead.fields["status_id"]) != lead.fields["status_id"]
            now = self.now(at)
            self.leads.change(lead, **fields, updated_at=now, **({"status_changed_at": now} if is_moved else {}))
            if announce and is_moved:
                self.webhooks.send(LEAD_EVENT, {"event": LEAD_EVENT, "context": lead_context(lead)})
            return lead

    # ------------------------------------------------------------------------------------------------------ control

    def reset(self) -> None:
        """Forget faults, logs, queued webhooks and the used-up rate limit; the account's data stay."""
        self.faults.clear()
        self.shifts.clear()
        self.requests.clear()
        self.writes.clear()
        self.webhooks.clear()
        self.throttle.reset()

    # ------------------------------------------------------------------------------------------------------- inside

    def _enter_status(self, order: Order, status: JSON, now: str) -> None:
        order.fields["status_id"] = status["id"]
        order.fields["status_group_id"] = status["group_id"]
        order.fields["status_changed_at"] = now
        order.fields["closed_at"] = now if status["is_closing_order"] else None
        order.fields["has_reserves"] = bool(status["is_reserved"])

    def _announce(self, event: str, order: Order) -> None:
        self.webhooks.send(event, {"event": event, "context": order_context(order)})

    def _line(self, given: Mapping[str, Any]) -> JSON:
        """A product line of an order: prices default to those of its offer."""
        offer = None
        if given.get("offer_id") is not None:
            offer = self.catalog.offers.rows[given["offer_id"]]
        elif given.get("sku"):
            offer = self.catalog.offer_of_sku(given["sku"])
        line: JSON = {**defaults.EMPTY_LINE, "id": self._next_line_id}
        self._next_line_id += 1
        if offer is not None:
            product = self.catalog.products.rows[offer.fields["product_id"]].fields
            line |= {name: offer.fields[name] for name in ("sku", "price", "purchased_price")}
            line |= {"offer_id": offer.id, "name": product["name"], "unit_type": product["unit_type"]}
            line["picture"] = product["thumbnail_url"]
        line.update({name: value for name, value in given.items() if name != "offer_id"})
        price_line(line)
        return line

    def _payment(self, order_id: int, given: Mapping[str, Any], now: str) -> JSON:
        payment: JSON = {**defaults.EMPTY_PAYMENT, "id": self._next_payment_id, "destination_id": order_id}
        self._next_payment_id += 1
        payment |= {"created_at": now, "updated_at": now} | dict(given)
        payment["amount"] = number(payment["amount"])
        if payment["status"] == "paid" and payment["payment_date"] is None:
            payment["payment_date"] = now
        self._payment_orders[payment["id"]] = order_id
        return payment
