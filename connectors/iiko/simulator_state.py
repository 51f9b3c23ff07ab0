"""The simulated account: organizations, terminals, guests, orders, session tokens. In memory, seeded, deterministic."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from connectors.iiko.simulator_orders import (
    DELIVERY_STATUSES,
    JSON,
    TABLE_STATUSES,
    SimulatedOrder,
    guid,
    money_fields,
)
from connectors.iiko.simulator_tokens import Tokens
from connectors.iiko.simulator_webhooks import Webhooks
from connectors.keycrm.simulator_faults import Faults, RequestLog, Throttle

FIRST_REVISION = 700_000


@dataclass(slots=True)
class Organization:
    organization_id: str
    name: str
    currency: str
    zone: str
    """As it is shown: `Europe/Moscow`, `Russian Standard Time` ..."""
    has_loyalty: bool = True


@dataclass(slots=True)
class Terminal:
    terminal_id: str
    organization_id: str
    name: str
    zone: str
    """IANA name."""
    shown_zone: str
    is_asleep: bool = False


class SimulatorState:
    """One account. `rate_limit` is requests per minute, 0 for none; `is_v1_refused`: the key was issued lately."""

    def __init__(
        self,
        *,
        api_login: str = "demo-api-login",
        app: tuple[str, str, str] | None = None,
        password: str = "demo-password",  # noqa: S107 - the simulator's
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        rate_limit: int = 0,
        is_v1_refused: bool = False,
        seed: int = 1,
    ) -> None:
        """`app` is (api_key, app_id, client_secret). In the dialect `spec`, `api_login` is the login."""
        self.clock = clock
        self.random = random.Random(seed)
        self.lock = threading.RLock()
        self.tokens = Tokens(clock, api_login, password, app, is_v1_refused=is_v1_refused)
        self.organizations: dict[str, Organization] = {}
        self.terminals: dict[str, Terminal] = {}
        self.guests: dict[str, JSON] = {}
        self.orders: dict[str, SimulatedOrder] = {}
        self.faults = Faults(seed)
        self.throttle = Throttle(rate_limit)
        self.requests = RequestLog()
        self.webhooks = Webhooks(clock)
        self.revision = FIRST_REVISION
        self.date_from: Literal["created", "changed"] = "created"
        """What the dialect `spec` compares with dateFrom."""
        self.may_read_guests = True
        self.has_order_by_id = True
        """False: the till is older than 7.4.6."""

    def add_organization(
        self, name: str, *, zone: str = "Europe/Moscow", currency: str = "RUB", has_loyalty: bool = True
    ) -> Organization:
        """With one terminal group of the same name."""
        one = Organization(guid(self.random), name, currency, zone, has_loyalty)
        self.organizations[one.organization_id] = one
        self.add_terminal(one.organization_id, name, zone=zone)
        return one

    def add_terminal(
        self, organization_id: str, name: str, *, zone: str, shown_zone: str | None = None, is_asleep: bool = False
    ) -> Terminal:
        one = Terminal(guid(self.random), organization_id, name, zone, shown_zone or zone, is_asleep)
        self.terminals[one.terminal_id] = one
        return one

    def add_guest(
        self,
        name: str,
        *,
        phone: str | None = None,
        email: str | None = None,
        card: str | None = None,
        is_anonymized: bool = False,
    ) -> str:
        """A profile of the loyalty programme; its id."""
        guest_id = guid(self.random)
        cards = [] if card is None else [{"id": guid(self.random), "track": f"T{card}", "number": card}]
        self.guests[guest_id] = {
            "id": guest_id,
            "name": name,
            "surname": None,
            "phone": phone,
            "email": email,
            "birthday": None,
            "sex": 0,
            "consentStatus": 1,
            "anonymized": is_anonymized,
            "isDeleted": False,
            "cards": cards,
            "categories": [],
            "walletBalances": [{"id": guid(self.random), "name": "Баллы", "type": 1, "balance": 0.0}],
        }
        return guest_id

    def add_order(
        self,
        items: Sequence[Mapping[str, Any]] = ({"name": "Борщ", "price": 350, "amount": 1},),
        *,
        at: datetime | None = None,
        organization_id: str | None = None,
        terminal_id: str | None = None,
        phone: str | None = None,
        guest_id: str | None = None,
        one_time_name: str | None = None,
        card: str | None = None,
        discounts: Sequence[Mapping[str, Any]] = (),
        deliver_at: datetime | None = None,
        is_table: bool = False,
        status: str | None = None,
        announce: bool = True,
    ) -> SimulatedOrder:
        """A delivery, or a table's order; closed at once with `status="Closed"`. Raises KeyError, ValueError."""
        with self.lock:
            at = self.clock() if at is None else at
            if terminal_id is None:
                owner = organization_id or next(iter(self.organizations))
                terminal_id = next(one.terminal_id for one in self.terminals.values() if one.organization_id == owner)
            terminal = self.terminals[terminal_id]
            body = money_fields(items, discounts, self.random)
            body["customer"] = self._customer(guest_id, one_time_name)
            body["payments"] = [
                {
                    "paymentType": {"id": guid(self.random), "name": "Карта", "kind": "Card"},
                    "sum": body["sum"],
                    "isPreliminary": False,
                    "isExternal": False,
                    "isProcessedExternally": False,
                    "isPrepay": False,
                }
            ]
            body["loyaltyInfo"] = {"coupon": None, "appliedManualConditions": []}
            order = SimulatedOrder(
                order_id=guid(self.random),
                organization_id=terminal.organization_id,
                terminal_id=terminal_id,
                zone=terminal.zone,
                number=len(self.orders) + 1,
                is_table=is_table,
                status="New" if is_table else "Unconfirmed",
                created_at=at,
                deliver_at=deliver_at or at,
                changed_at=at,
                revision=self._next_revision(),
                body=body,
                phone=phone,
                card=card,
            )
            self.orders[order.order_id] = order
            if status is None or status == order.status:
                self._announce(order, announce)
            else:
                self.set_status(order.order_id, status, at=at, announce=announce)
            return order

    def set_status(
        self, order_id: str, status: str, *, at: datetime | None = None, announce: bool = True
    ) -> SimulatedOrder:
        """Raises KeyError, ValueError."""
        order = self.orders[order_id]
        if status not in (TABLE_STATUSES if order.is_table else DELIVERY_STATUSES):
            raise ValueError(f"there is no such status: {status}")
        with self.lock:
            at = self.clock() if at is None else at
            order.status = status
            order.closed_at = at if status == "Closed" else None
            order.cancelled_at = at if status == "Cancelled" else None
            return self._changed(order, at, announce)

    def update(
        self, order_id: str, *, at: datetime | None = None, announce: bool = False, **fields: Any
    ) -> SimulatedOrder:
        """Replace fields of the order's body, such as sum or comment, or `phone`. Raises KeyError."""
        with self.lock:
            order = self.orders[order_id]
            if "phone" in fields:
                order.phone = fields.pop("phone")
            order.body |= fields
            return self._changed(order, self.clock() if at is None else at, announce)

    def delete(self, order_id: str, *, announce: bool = False) -> SimulatedOrder:
        """Mark a delivery as deleted: iiko goes on listing it. Raises KeyError."""
        with self.lock:
            order = self.orders[order_id]
            order.is_deleted = True
            return self._changed(order, self.clock(), announce)

    def of(self, organization_ids: Iterable[str]) -> list[SimulatedOrder]:
        """Orders of these organizations, in no order that a client may rely on."""
        wanted = set(organization_ids)
        with self.lock:
            return sorted(
                (one for one in self.orders.values() if one.organization_id in wanted), key=lambda one: one.order_id
            )

    def too_old(self, orders: Sequence[SimulatedOrder], since_revision: int) -> bool:
        """Whether something was changed after the revision, and more than 3 hours ago."""
        limit = self.clock() - timedelta(hours=3)
        return any(one.revision > since_revision and one.changed_at < limit for one in orders)

    def _customer(self, guest_id: str | None, one_time_name: str | None) -> JSON | None:
        if guest_id is not None:
            known = self.guests[guest_id]
            return {
                "type": "regular",
                "id": guest_id,
                "name": known["name"],
                "surname": known["surname"],
                "comment": None,
                "gender": "NotSpecified",
                "inBlacklist": False,
                "birthdate": known["birthday"],
            }
        return None if one_time_name is None else {"type": "one-time", "name": one_time_name}

    def _changed(self, order: SimulatedOrder, at: datetime, announce: bool) -> SimulatedOrder:
        order.changed_at = at
        order.revision = self._next_revision()
        self._announce(order, announce)
        return order

    def _announce(self, order: SimulatedOrder, announce: bool) -> None:
        if announce:
            event = "TableOrderUpdate" if order.is_table else "DeliveryOrderUpdate"
            self.webhooks.send(event, order.organization_id, order.info())

    def _next_revision(self) -> int:
        self.revision += 1
        return self.revision
