"""The simulated account: pipelines, leads, contacts, its log of events, and what it does when they change."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.amocrm.simulator_oauth import OAuth
from connectors.amocrm.simulator_webhooks import HookSender, lead_payload, plain_payload
from connectors.keycrm.simulator_faults import Faults, RequestLog, Throttle

JSON = dict[str, Any]
UNSORTED, WON, LOST = 1, 142, 143
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Switches:
    """What differs between accounts, or goes wrong."""

    has_filters: bool = True
    """The "alpha" filters of lists; without them they are ignored silently."""
    has_exclusive_bounds: bool = False
    """Whether `from` and `to` leave their own second out: the documentation does not say."""
    log_delay: timedelta = timedelta(0)
    """How long an event takes to appear in the log."""
    has_log_filters: bool = True
    is_paid: bool = True
    is_blocked: bool = False
    """Every request is answered with nginx's 403."""
    blocks_after: int = 50
    """Answers 429 after which the account is blocked."""
    most_per_page: int | None = None
    """Pages over this size end in 504."""
    tells_retry_after: bool = True
    """Whether a 429 is problem+json with `retry_after` (as at Kommo) or plain text (as at amoCRM)."""
    may_hook: bool = True
    """Whether the token is an administrator's and the plan has webhooks."""


@dataclass
class SimulatorState:
    """One account. All times are the clock's."""

    subdomain: str = "demo"
    name: str = "Демо"
    account_id: int = 31
    timezone: str = "Europe/Moscow"
    currency: str = "RUB"
    access_token: str | None = None
    """A long-lived token, beside those of OAuth2."""
    client_id: str = "integration-1"
    client_secret: str = "client-secret-of-the-integration"  # noqa: S105
    redirect_uri: str = "https://elt.example.com/oauth/amocrm/callback"
    clock: Callable[[], datetime] = utc_now
    rate_limit: int = 7
    seed: int = 0
    switches: Switches = field(default_factory=Switches)

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.chance = random.Random(self.seed)
        self.faults = Faults(self.seed)
        self.requests = RequestLog()
        self.throttle = Throttle(self.rate_limit, 1.0)
        self.refused = 0
        self.oauth = OAuth(self)
        self.hooks: list[JSON] = []
        self.sender = HookSender(self.clock)
        self.pipelines: dict[int, JSON] = {}
        self.leads: dict[int, JSON] = {}
        self.contacts: dict[int, JSON] = {}
        self.deleted: dict[str, dict[int, JSON]] = {"leads": {}, "contacts": {}}
        self.events: list[JSON] = []
        self._ids = 1000
        self.add_pipeline("Воронка", ("Новая заявка", "Переговоры", "Договор"))

    def now(self) -> int:
        return int(self.clock().timestamp())

    def next_id(self) -> int:
        self._ids += 1
        return self._ids

    # ------------------------------------------------------------------------------------------------------ set-up

    def add_pipeline(self, name: str, stages: Sequence[str]) -> int:
        """A pipeline with these stages between "incoming" and the two closing ones; its id."""
        with self.lock:
            pipeline_id = self.next_id()
            rows = [(self.next_id(), "Неразобранное", 10, 1)]
            rows += [(self.next_id(), stage, 20 + 10 * number, 0) for number, stage in enumerate(stages)]
            rows += [(WON, "Успешно реализовано", 10_000, 0), (LOST, "Закрыто и не реализовано", 11_000, 0)]
            self.pipelines[pipeline_id] = {
                "id": pipeline_id, "name": name, "sort": len(self.pipelines) + 1, "is_main": not self.pipelines,
                "is_unsorted_on": True, "is_archive": False, "account_id": self.account_id,
                "_embedded": {
                    "statuses": [
                        {"id": status, "name": title, "sort": sort, "is_editable": status not in (WON, LOST),
                         "pipeline_id": pipeline_id, "color": "#99ccff", "type": kind, "account_id": self.account_id}
                        for status, title, sort, kind in rows
                    ]
                },
            }  # fmt: skip
            return pipeline_id

    def stages(self, pipeline_id: int) -> list[int]:
        """Ids of the pipeline's stages in their order, without "incoming", won and lost."""
        rows = self.pipelines[pipeline_id]["_embedded"]["statuses"]
        return [row["id"] for row in rows if row["type"] == 0 and row["id"] not in (WON, LOST)]

    # ----------------------------------------------------------------------------------------------------- changes

    def add_contact(
        self,
        name: str,
        *,
        phones: Sequence[str] = (),
        emails: Sequence[str] = (),
        fields: Sequence[JSON] = (),
        at: datetime | None = None,
    ) -> int:
        with self.lock:
            moment, contact_id = self._moment(at), self.next_id()
            first, _, last = name.partition(" ")
            values = [*_multitext(771, "Телефон", "PHONE", phones), *_multitext(773, "Email", "EMAIL", emails), *fields]
            self.contacts[contact_id] = {
                "id": contact_id, "name": name, "first_name": first, "last_name": last, "responsible_user_id": 7,
                "group_id": 0, "created_by": 7, "updated_by": 7, "created_at": moment, "updated_at": moment,
                "closest_task_at": None, "is_deleted": False, "is_unsorted": False, "account_id": self.account_id,
                "custom_fields_values": values or None, "_embedded": {"tags": [], "companies": []},
            }  # fmt: skip
            self._log("contact_added", "contact", contact_id, moment)
            self._announce("contacts", "add", self.contacts[contact_id])
            return contact_id

    def add_lead(
        self,
        name: str = "Сделка",
        *,
        price: int | float = 0,
        pipeline_id: int | None = None,
        status_id: int | None = None,
        contacts: Sequence[int] = (),
        fields: Sequence[JSON] = (),
        at: datetime | None = None,
    ) -> int:
        """A lead; the first contact is its main one."""
        with self.lock:
            moment, lead_id = self._moment(at), self.next_id()
            pipeline = pipeline_id or next(iter(self.pipelines))
            status = status_id or self.stages(pipeline)[0]
            self.leads[lead_id] = {
                "id": lead_id, "name": name, "price": int(price), "price_with_minor_units": price,
                "responsible_user_id": 7, "group_id": 0, "status_id": status, "pipeline_id": pipeline,
                "loss_reason_id": None, "source_id": None, "created_by": 7, "updated_by": 0, "created_at": moment,
                "updated_at": moment, "closed_at": moment if status in (WON, LOST) else None, "closest_task_at": None,
                "is_deleted": False, "custom_fields_values": list(fields) or None, "score": None,
                "account_id": self.account_id, "labor_cost": None,
                "_embedded": {
                    "tags": [], "companies": [],
                    "contacts": [{"id": contact, "is_main": number == 0} for number, contact in enumerate(contacts)],
                },
            }  # fmt: skip
            self._log("lead_added", "lead", lead_id, moment)
            self._announce("leads", "add", self.leads[lead_id])
            return lead_id

    def move_lead(
        self, lead_id: int, status_id: int, *, pipeline_id: int | None = None, at: datetime | None = None
    ) -> None:
        """The lead enters a stage. Raises KeyError."""
        with self.lock:
            lead, moment = self.leads[lead_id], self._moment(at)
            old = {"id": lead["status_id"], "pipeline_id": lead["pipeline_id"]}
            new = {"id": status_id, "pipeline_id": pipeline_id or lead["pipeline_id"]}
            if new == old:
                return
            lead |= {"status_id": new["id"], "pipeline_id": new["pipeline_id"], "updated_at": moment}
            lead["closed_at"] = moment if status_id in (WON, LOST) else None
            before, after = [{"lead_status": old}], [{"lead_status": new}]
            self._log("lead_status_changed", "lead", lead_id, moment, after=after, before=before)
            self._announce("leads", "status", lead, old=old)

    def update(self, kind: str, object_id: int, *, at: datetime | None = None, **changes: Any) -> None:
        """Change fields of a lead or contact (`kind`: leads, contacts). Raises KeyError."""
        with self.lock:
            row = self._rows(kind)[object_id]
            row |= {**changes, "updated_at": self._moment(at)}
            if "price" in changes and "price_with_minor_units" in row:
                row["price_with_minor_units"], row["price"] = changes["price"], int(changes["price"])
            self._announce(kind, "update", row)

    def delete(self, kind: str, object_id: int, *, at: datetime | None = None) -> None:
        """Into the recycle bin. Raises KeyError."""
        with self.lock:
            row = self._rows(kind).pop(object_id)
            moment = self._moment(at)
            self.deleted[kind][object_id] = {**row, "is_deleted": True, "updated_at": moment}
            self._log(f"{kind[:-1]}_deleted", kind[:-1], object_id, moment)
            self._announce(kind, "delete", row)

    def restore(self, kind: str, object_id: int, *, at: datetime | None = None) -> None:
        """Out of the recycle bin. Raises KeyError."""
        with self.lock:
            row = self.deleted[kind].pop(object_id)
            moment = self._moment(at)
            self._rows(kind)[object_id] = {**row, "is_deleted": False, "updated_at": moment}
            self._log(f"{kind[:-1]}_restored", kind[:-1], object_id, moment)
            self._announce(kind, "restore", self._rows(kind)[object_id])

    def visible_events(self) -> list[JSON]:
        """The log as it shows, newest first."""
        until = self.now() - int(self.switches.log_delay.total_seconds())
        return sorted(
            (row for row in self.events if row["created_at"] <= until), key=lambda row: row["id"], reverse=True
        )

    def contact_leads(self, contact_id: int) -> list[int]:
        return [
            lead["id"]
            for lead in self.leads.values()
            if any(contact["id"] == contact_id for contact in lead["_embedded"]["contacts"])
        ]

    def _rows(self, kind: str) -> dict[int, JSON]:
        return {"leads": self.leads, "contacts": self.contacts}[kind]

    def _moment(self, at: datetime | None) -> int:
        return self.now() if at is None else int(at.timestamp())

    def _log(
        self,
        kind: str,
        entity: str,
        entity_id: int,
        moment: int,
        *,
        after: Sequence[JSON] = (),
        before: Sequence[JSON] = (),
    ) -> None:
        number, text = (moment * 1000 << 20) + len(self.events), ""
        while number:
            number, rest = divmod(number, 32)
            text = _ALPHABET[rest] + text
        self.events.append(
            {"id": f"01{text.rjust(24, '0')}", "type": kind, "entity_id": entity_id, "entity_type": entity,
             "created_by": 7, "created_at": moment, "value_after": list(after), "value_before": list(before),
             "account_id": self.account_id}
        )  # fmt: skip

    def _announce(self, kind: str, action: str, row: JSON, old: Mapping[str, int] | None = None) -> None:
        code = f"{action}_{kind[:-1]}"
        targets = [hook["destination"] for hook in self.hooks if code in hook["settings"] and not hook["disabled"]]
        if targets:
            fields = lead_payload(row, action, old) if kind == "leads" else plain_payload(row, action)
            self.sender.send(code, {f"{kind}[{action}][0]": fields}, self, targets)


def _multitext(field_id: int, name: str, code: str, values: Sequence[str]) -> list[JSON]:
    if not values:
        return []
    items = [{"value": value, "enum_id": 1, "enum_code": "WORK"} for value in values]
    return [{"field_id": field_id, "field_name": name, "field_code": code, "field_type": "multitext", "values": items}]


def custom_field(field_id: int, name: str, *values: Any, code: str | None = None, kind: str = "text") -> JSON:
    """A custom field of a lead or contact as the API shows it."""
    items = [{"value": value, "enum_id": None, "enum_code": None} for value in values]
    return {"field_id": field_id, "field_name": name, "field_code": code, "field_type": kind, "values": items}
