"""The simulated company: records, clients, payments, webhook settings, switches for what the vendor leaves open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from connectors.keycrm.simulator_faults import Faults, RequestLog, Throttle
from connectors.yclients.simulator_bodies import webhook_body
from connectors.yclients.simulator_objects import JSON, Client, Line, Payment, Visit
from connectors.yclients.simulator_webhooks import HookSender


class SimulatorState:
    """One company. What is said of the vendor with doubts is an attribute that a test may switch."""

    def __init__(
        self,
        *,
        company_id: int = 77,
        title: str = "Студия «Миндаль»",
        timezone: str = "Europe/Moscow",
        currency: str = "₽",
        partner_token: str = "partner-token-of-ours",  # noqa: S107 - of a simulator
        user_token: str = "user-token-of-ours",  # noqa: S107
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        per_second: int = 5,
        per_minute: int = 200,
        seed: int = 0,
    ) -> None:
        """A limit of 0 is none."""
        self.company_id = company_id
        self.title = title
        self.timezone = timezone
        self.currency = currency
        self.partner_token = partner_token
        self.user_token = user_token
        self.login, self.password = "79161234567", "correct horse"
        self.clock = clock
        self.lock = threading.RLock()
        self.records: dict[int, Visit] = {}
        self.clients: dict[int, Client] = {}
        self.payments: dict[int, Payment] = {}
        self.staff: dict[int, str] = {}
        self.services: dict[int, tuple[str, Decimal]] = {}
        self.hooks: JSON = {"urls": [], "active": 0}
        self.webhooks = HookSender(clock)
        self.faults = Faults(seed)
        self.repeated: dict[object, tuple[int, int]] = {}
        """Lists in which `duplicate_page` has put rows a second time: (place, how many before it)."""
        self.requests = RequestLog()
        self.limits = (Throttle(per_second, 1.0), Throttle(per_minute, 60.0))
        self._last_id = 500

        self.order = "id"
        """Of records in lists: id, date, created or changed; with a minus descending. The API promises none."""
        self.most_per_page: int | None = None
        """More rows than this are not given, whatever `count` asks for."""
        self.filter_zone: str | None = None
        """The zone that changed_after is read in; None: the company's."""
        self.deletion_bumps = True
        """Whether a deletion moves last_change_date."""
        self.shows_deleted = False
        """Whether a deleted record can still be read by its id."""
        self.limit_answers_200 = True
        """The throttle answers 200 with success false; else 429."""
        self.limit_strikes = 0
        """So many of the next requests meet the throttle."""
        self.wrong_offset = False
        """`datetime` always has the winter's offset, in summer too."""
        self.says_not_found_when_empty = False
        self.shows_phones = True
        """The user's right to see phones."""
        self.licence_ended = False
        self.is_altegio = False
        """`timezone` in hours, beside timezone_name; offsets in `date`."""
        self.wraps_webhooks = False
        """Webhooks come in a list of one."""
        self.creates_object = False
        """What a booking through the API answers: the record, or a list of it. The sources disagree."""
        self.empty_custom_fields: Any = {}
        """PHP writes an empty object as [] now and then."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def add_client(
        self,
        name: str,
        *,
        phone: str = "",
        email: str = "",
        surname: str = "",
        birth_date: str = "",
        comment: str = "",
        at: datetime | None = None,
    ) -> Client:
        with self.lock:
            client = Client(self._next_id(), name, phone, email, surname, birth_date, comment, at or self.clock())
            self.clients[client.id] = client
            self._tell("client", "create", client.id)
            return client

    def change_client(self, client_id: int, *, at: datetime | None = None, **changes: Any) -> Client:
        with self.lock:
            client = replace(self.clients[client_id], changed=at or self.clock(), **changes)
            self.clients[client_id] = client
            self._tell("client", "update", client_id)
            return client

    def delete_client(self, client_id: int) -> None:
        with self.lock:
            self.clients[client_id].is_deleted = True
            self._tell("client", "delete", client_id)

    def add_staff(self, name: str) -> int:
        with self.lock:
            staff_id = self._next_id()
            self.staff[staff_id] = name
            return staff_id

    def add_service(self, title: str, price: Decimal | int) -> int:
        with self.lock:
            service_id = self._next_id()
            self.services[service_id] = title, Decimal(price)
            return service_id

    def add_record(
        self,
        services: Sequence[int | Line] = (),
        *,
        client_id: int | None = None,
        staff_id: int | None = None,
        start: datetime | None = None,
        at: datetime | None = None,
        **values: Any,
    ) -> Visit:
        """A booking made `at`, of a visit at `start`. Raises KeyError for a service, a client or staff not there."""
        with self.lock:
            created = at or self.clock()
            if client_id is not None:
                self.clients[client_id]  # raises
            if staff_id is None:
                staff_id = next(iter(self.staff), None) or self.add_staff("Анна")
            record = Visit(
                id=self._next_id(),
                visit_id=self._next_id(),
                client_id=client_id,
                staff_id=staff_id,
                lines=[one if isinstance(one, Line) else Line(one, *self.services[one]) for one in services],
                start=start or created,
                created=created,
                changed=created,
                **values,
            )
            self.records[record.id] = record
            self._tell("record", "create", record.id)
            return record

    def change_record(self, record_id: int, *, at: datetime | None = None, **changes: Any) -> Visit:
        with self.lock:
            record = replace(self.records[record_id], changed=at or self.clock(), **changes)
            self.records[record_id] = record
            self._tell("record", "update", record_id)
            return record

    def pay(self, record_id: int, *, at: datetime | None = None, account_id: int = 1) -> Payment:
        """Pay a record in full: a movement of money, and the record says so."""
        with self.lock:
            record, moment = self.records[record_id], at or self.clock()
            amount = sum((line.cost for line in record.lines), Decimal(0))
            payment = Payment(self._next_id(), record_id, record.client_id, amount, moment, moment, account_id)
            self.payments[payment.id] = payment
            self.change_record(record_id, at=moment, paid_full=True)
            self._tell("finances_operation", "create", payment.id)
            return payment

    def refund(self, record_id: int, *, at: datetime | None = None) -> None:
        """Give the money back: the payments are deleted, and the record is unpaid."""
        with self.lock:
            moment = at or self.clock()
            for payment in self.payments.values():
                if payment.record_id == record_id and not payment.deleted:
                    payment.deleted, payment.changed = True, moment
                    self._tell("finances_operation", "delete", payment.id)
            self.change_record(record_id, at=moment, paid_full=False)

    def delete_record(self, record_id: int, *, at: datetime | None = None) -> None:
        with self.lock:
            record = self.records[record_id]
            record.deleted = True
            if self.deletion_bumps:
                record.changed = at or self.clock()
            self._tell("record", "delete", record_id)

    def purge_record(self, record_id: int) -> None:
        """Nothing of it is left, and nothing is told of it."""
        with self.lock:
            del self.records[record_id]

    def set_hooks(self, settings: Mapping[str, Any]) -> None:
        """The whole setup of the company: what is not among `urls` is gone."""
        with self.lock:
            self.hooks = {name: value for name, value in settings.items() if name != "urls"}
            self.hooks["urls"] = list(settings.get("urls", []))
            flags = [name for name, value in self.hooks.items() if name != "urls" and value in (1, "1", True)]
            self.webhooks.register(self.hooks["urls"] if "active" in flags else [], flags)

    def _tell(self, resource: str, status: str, crm_id: int) -> None:
        if self.webhooks.targets:
            payload = webhook_body(self, resource, status, crm_id)
            self.webhooks.send(resource, [payload] if self.wraps_webhooks else payload)

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id
