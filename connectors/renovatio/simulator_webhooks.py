"""Event notifications of the simulated account: a form with `event` and `data`, unsigned, no id of their own.

Queue, thread and log are those of KeyCRM's simulator. Renovatio's own retries are not known; here there are three.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from connectors.keycrm.simulator_webhooks import Answer, Delivery, Webhooks, WebhookTarget

EVENTS = ("create_appointment", "update_appointment", "delete_appointment", "create_patient", "lab_result_ready")
FORM = "application/x-www-form-urlencoded"


class NotificationSender(Webhooks):
    """`is_nested`: `data` comes as data[0][id]=..., else as JSON text. Both were seen."""

    is_nested = False

    def add_target(self, url: str, events: Sequence[str] = EVENTS) -> WebhookTarget:
        """Raises ValueError for an event that is none of EVENTS."""
        if unknown := [event for event in events if event not in EVENTS]:
            raise ValueError(f"unknown events {', '.join(unknown)}: use {', '.join(EVENTS)}")
        target = WebhookTarget(url, tuple(events))
        self.targets.append(target)
        return target

    def encode(self, event: str, payload: Any) -> bytes:
        """The body of a notification."""
        if self.is_nested:
            return urlencode([("event", event), *_flat("data", payload)]).encode()
        return urlencode({"event": event, "data": msgspec.json.encode(payload).decode()}).encode()

    def _attempt(self, client: httpx.Client, delivery: Delivery) -> None:
        content = self.encode(delivery.event, delivery.payload)
        try:
            response = client.post(delivery.url, content=content, headers={"Content-Type": FORM})
            answer = Answer(response.status_code, response.text[:500], self._clock())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answer = Answer(None, type(error).__name__, self._clock())
        delivery.answers.append(answer)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """As PHP's http_build_query does it: null is left out."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _flat(f"{name}[{key}]", item)
    elif value is not None:
        yield name, str(int(value) if isinstance(value, bool) else value)
