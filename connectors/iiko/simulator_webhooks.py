"""Webhooks of the simulated account: one address per organization, arrays of events, `authToken` as Authorization."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

_TIMEOUT = 10.0
_FILTERS = {"DeliveryOrderUpdate": "deliveryOrderFilter", "TableOrderUpdate": "tableOrderFilter"}


@dataclass(slots=True)
class Target:
    """An organization's webhook settings."""

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    filter: Mapping[str, Any] | None = None

    def wants(self, event: str, status: str | None) -> bool:
        """Without a filter an address gets nothing but what it asked for: iiko sends all."""
        if self.filter is None:
            return True
        chosen = self.filter.get(_FILTERS[event])
        statuses = None if chosen is None else chosen.get("orderStatuses")
        return chosen is not None and (not statuses or status in statuses)


@dataclass(slots=True)
class Delivery:
    """One request."""

    target: Target
    events: list[Any]
    status: int | None = None
    """Of the answer; None: it was not sent yet, or nobody answered."""


class Webhooks:
    """Queue and log. `deliver_pending()` sends in the caller's thread, so that no waiting is left to chance."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.targets: dict[str, Target] = {}
        self.deliveries: list[Delivery] = []
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: list[Delivery] = []
        self._count = 0

    def event(self, name: str, organization_id: str, info: Any) -> Any:
        """One event of a payload. Its time is UTC."""
        self._count += 1
        return {
            "eventType": name,
            "eventTime": self._clock().astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            "organizationId": organization_id,
            "correlationId": f"00000000-0000-4000-8000-{self._count:012d}",
            "eventInfo": info,
        }

    def send(self, name: str, organization_id: str, info: Any) -> None:
        """Queue an event where somebody wants it."""
        target = self.targets.get(organization_id)
        status = (info.get("order") or {}).get("status")
        if target is None or not target.wants(name, status):
            return
        with self._lock:
            delivery = Delivery(target, [self.event(name, organization_id, info)])
            self._queue.append(delivery)
            self.deliveries.append(delivery)

    def deliver_pending(self) -> list[Delivery]:
        """Send what is queued now; what was sent."""
        with self._lock:
            batch, self._queue = self._queue, []
        # A URL of the user's own machine must not go through a proxy of the environment.
        with httpx.Client(timeout=_TIMEOUT, trust_env=False) as client:
            for delivery in batch:
                headers = {"Content-Type": "application/json"}
                if delivery.target.token:
                    headers["Authorization"] = f"Bearer {delivery.target.token}"
                try:
                    content = msgspec.json.encode(delivery.events)
                    delivery.status = client.post(delivery.target.url, content=content, headers=headers).status_code
                except httpx.HTTPError:
                    delivery.status = None
        return batch
