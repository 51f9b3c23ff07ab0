"""The simulated base: documents, catalogues and users, changed by plain method calls. Times default to its clock."""

from __future__ import annotations

import base64
import random
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from connectors.keycrm.simulator_faults import Faults, RequestLog

JSON = dict[str, Any]
EMPTY = "00000000-0000-0000-0000-000000000000"
DOCUMENT = "Document_РеализацияТоваровУслуг"
ITEMS = "Catalog_Номенклатура"
CUSTOMERS = "Catalog_Контрагенты"


def utc_now() -> datetime:
    return datetime.now(UTC)


class SimulatorState:
    """One base, with one user and one OAuth2 client. All methods may be called from any thread."""

    def __init__(
        self,
        *,
        username: str = "интеграция",
        password: str = "test-key",  # noqa: S107 - invented
        client_id: str = "crm-elt",
        client_secret: str = "test-secret",  # noqa: S107 - invented
        clock: Callable[[], datetime] = utc_now,
        seed: int = 0,
        timezone: str = "Europe/Moscow",
        name: str = "trade",
    ) -> None:
        self.lock = threading.RLock()
        self.username, self.password = username, password
        self.client_id, self.client_secret = client_id, client_secret
        self.clock = clock
        self.name = name
        self.zone = ZoneInfo(timezone)
        self.faults = Faults(seed)
        self.requests = RequestLog()
        self.published = {DOCUMENT, ITEMS, CUSTOMERS}
        """What the administrator has added to the standard OData interface."""
        self.entities: dict[str, dict[str, JSON]] = {DOCUMENT: {}, ITEMS: {}, CUSTOMERS: {}}
        self.changed_at: dict[str, datetime] = {}
        """Of documents: OData does not tell it, a service may know it."""

        # What differs from base to base.
        self.is_restricted = False
        """Record-level restrictions: 401 with code 20 unless `allowedOnly` is asked for."""
        self.ignores_filters = False
        self.breaks = False
        """The base's own code fails: 500 with code -1."""
        self.token_seconds = 3600
        self.takes_client_in: Literal["header", "form"] = "header"
        self.service_ids: Literal["latin", "cyrillic", "bare", "number"] = "latin"
        self.service_since: Literal["changed", "date"] = "changed"
        """What the author of the service compares `since` with."""
        self.service_includes_since = True
        self.service_wraps = False
        """`{"transactions": [...]}` instead of a bare list."""
        self.service_has_bom = False
        self.service_amounts: Literal["text", "number"] = "text"
        self.service_breaks = False
        """An uncaught exception: 500 with a text."""

        self._random = random.Random(seed)
        self._version = 0
        self._number = 0
        self._tokens: dict[str, datetime] = {}

    # -------------------------------------------------------------------------------------------------------- tokens

    def issue_token(self) -> str:
        with self.lock:
            token = f"{self._random.getrandbits(128):032x}"
            self._tokens[token] = self.clock() + timedelta(seconds=self.token_seconds)
            return token

    def knows_token(self, token: str) -> bool:
        return self.clock() < self._tokens.get(token, datetime.min.replace(tzinfo=UTC))

    def revoke_tokens(self) -> None:
        with self.lock:
            self._tokens.clear()

    # ---------------------------------------------------------------------------------------------------- catalogues

    def add_item(self, name: str) -> str:
        """An item to sell; its key."""
        return self._add(ITEMS, {"Description": name, "DeletionMark": False})

    def add_customer(self, name: str, phone: str | None = None) -> str:
        rows = [] if phone is None else [{"LineNumber": "1", "Тип": "Телефон", "НомерТелефона": phone}]
        return self._add(CUSTOMERS, {"Description": name, "DeletionMark": False, "КонтактнаяИнформация": rows})

    # ----------------------------------------------------------------------------------------------------- documents

    def add_document(
        self,
        lines: Sequence[tuple[str, float, float]] = (),
        *,
        customer: str = EMPTY,
        phone: str = "",
        at: datetime | None = None,
        is_posted: bool = True,
        **fields: Any,
    ) -> str:
        """A sale of (item key, quantity, price); its key. `at` is its date, in whole seconds of the base's zone."""
        with self.lock:
            self._number += 1
            rows: list[JSON] = [
                {
                    "LineNumber": str(position),
                    "Номенклатура_Key": item,
                    "Количество": quantity,
                    "Цена": price,
                    "Сумма": round(quantity * price, 2),
                }
                for position, (item, quantity, price) in enumerate(lines, 1)
            ]
            document = {
                "DeletionMark": False,
                "Number": f"0000-{self._number:06d}",
                "Date": self.wall(at or self.clock()),
                "Posted": is_posted,
                "СуммаДокумента": round(sum(row["Сумма"] for row in rows), 2),
                "Контрагент_Key": customer,
                "Телефон": phone,
                "Комментарий": "",
                "Товары": rows,
                **fields,
            }
            key = self._add(DOCUMENT, document)
            self.changed_at[key] = at or self.clock()
            return key

    def change(self, key: str, *, at: datetime | None = None, **fields: Any) -> None:
        """Somebody writes the document; its date stays, unless it is among the fields. Raises KeyError."""
        with self.lock:
            document = self.documents[key]
            document.update(fields, DataVersion=self._next_version())
            self.changed_at[key] = at or self.clock()

    def unpost(self, key: str) -> None:
        self.change(key, Posted=False)

    def mark_deleted(self, key: str) -> None:
        """1C unposts what it marks."""
        self.change(key, DeletionMark=True, Posted=False)

    def delete(self, key: str) -> None:
        """What a marked document comes to in the end. Raises KeyError."""
        with self.lock:
            del self.documents[key], self.changed_at[key]

    @property
    def documents(self) -> dict[str, JSON]:
        return self.entities[DOCUMENT]

    def number_of(self, key: str) -> int:
        """What the service knows the document by."""
        return int(self.documents[key]["Number"].rpartition("-")[2])

    def wall(self, moment: datetime) -> str:
        """A time as 1C writes it: of the base's own clock."""
        return moment.astimezone(self.zone).replace(tzinfo=None).isoformat(timespec="seconds")

    def _add(self, entity: str, fields: JSON) -> str:
        with self.lock:
            key = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
            self.entities[entity][key] = {"Ref_Key": key, "DataVersion": self._next_version(), **fields}
            return key

    def _next_version(self) -> str:
        self._version += 1
        return base64.b64encode(self._version.to_bytes(8, "big")).decode()
