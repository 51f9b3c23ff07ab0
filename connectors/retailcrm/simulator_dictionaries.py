"""The dictionaries of the simulated account, its zone and its clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from connectors.retailcrm import simulator_defaults as defaults
from connectors.retailcrm.simulator_values import JSON, wall


class Dictionaries:
    """What is there before any customer or order."""

    def __init__(self, clock: Callable[[], datetime], timezone: str, currency: str) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.timezone = timezone
        self.zone = ZoneInfo(timezone)
        self.currency = currency
        self.sites: dict[str, JSON] = {}
        self.groups: dict[str, JSON] = {}
        self.statuses: dict[str, JSON] = {}
        self.payment_statuses = {
            code: {"name": name, "code": code, "active": True, "paymentComplete": is_complete, "ordering": 10}
            for code, name, is_complete in defaults.PAYMENT_STATUSES
        }
        self._next: dict[str, int] = {}
        for code, name, is_process in defaults.GROUPS:
            self.groups[code] = {
                "name": name,
                "code": code,
                "active": True,
                "ordering": len(self.groups) * 10,
                "process": is_process,
                "statuses": [],
            }
        for code, name, group in defaults.STATUSES:
            self.add_status(code, name, group)
        self.add_site("shop", "Магазин")

    def wall(self, at: datetime | None = None) -> str:
        """A moment (default: now) as this account writes it."""
        return wall(at if at is not None else self.clock(), self.zone)

    def add_status(self, code: str, name: str, group: str) -> None:
        """Raises KeyError for an unknown group."""
        ordering = len(self.statuses) * 10
        self.statuses[code] = {"name": name, "code": code, "active": True, "ordering": ordering, "group": group}
        self.groups[group]["statuses"].append(code)

    def add_site(self, code: str, name: str, *, currency: str | None = None) -> None:
        self.sites[code] = {
            "id": len(self.sites) + 1,
            "name": name,
            "code": code,
            "url": f"https://{code}.example.com",
            "currency": currency or self.currency,
            "countryIso": "RU",
            "catalogId": str(len(self.sites) + 1),
            "defaultForCrm": not self.sites,
        }

    def new_id(self, kind: str) -> int:
        with self.lock:
            self._next[kind] = self._next.get(kind, 0) + 1
            return self._next[kind]
