"""Triggers of the simulated account: HTTP requests with the parameters that its administrator has typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from connectors.retailcrm.simulator_values import JSON

_EXPRESSION = re.compile(r"{{\s*(.*?)\s*}}")
_CHANGED = re.compile(r"""changeSet\.hasChangedField\(["'](\w+)["']\)""")
_ORDER: dict[str, Callable[[JSON], Any]] = {
    "order.getId()": lambda order: order["id"],
    "order.getExternalId()": lambda order: order.get("externalId"),
    "order.getNumber()": lambda order: order["number"],
    "order.getStatus().getCode()": lambda order: order["status"],
    "order.getStatusUpdatedAt()": lambda order: order["statusUpdatedAt"],
    "order.getSite().getCode()": lambda order: order["site"],
}
_CUSTOMER: dict[str, Callable[[JSON], Any]] = {
    "customer.getId()": lambda customer: customer["id"],
    "customer.getExternalId()": lambda customer: customer.get("externalId"),
}


@dataclass(frozen=True, slots=True)
class Trigger:
    """What happens on a change: `entity` is order or customer."""

    url: str = field(repr=False)
    parameters: Mapping[str, str]
    entity: str = "order"
    method: str = "POST"
    is_conditional: bool = True
    """Of orders only changes of status and deletions, as the condition says that users are told to type."""

    def is_meant(self, entity: str, changed: Collection[str]) -> bool:
        """`changed` empty: deleted."""
        return self.entity == entity and (
            entity != "order" or not self.is_conditional or not changed or "status" in changed
        )


@dataclass(slots=True, eq=False)
class Delivery:
    trigger: Trigger
    values: dict[str, str]
    status: int | None = None
    """Of the answer; None: none yet, or the target could not be reached."""

    @property
    def body(self) -> bytes:
        return urlencode(self.values).encode()


class Triggers:
    """Requests wait for `deliver_pending`, which sends them in the caller's thread, each once: whether the vendor tries
    again is not known."""

    def __init__(self) -> None:
        self.triggers: list[Trigger] = []
        self.deliveries: list[Delivery] = []
        self._waiting: list[Delivery] = []

    def fire(self, entity: str, row: JSON, changed: Collection[str] = ()) -> None:
        """`changed`: the fields that `changeSet.hasChangedField` knows; none: it was deleted."""
        known = _ORDER if entity == "order" else _CUSTOMER
        for trigger in self.triggers:
            if trigger.is_meant(entity, changed):
                values = {name: _render(text, known, row, changed) for name, text in trigger.parameters.items()}
                delivery = Delivery(trigger, values)
                self.deliveries.append(delivery)
                self._waiting.append(delivery)

    def deliver_pending(self) -> list[Delivery]:
        waiting, self._waiting = self._waiting, []
        with httpx.Client(timeout=10.0, trust_env=False) as client:
            for delivery in waiting:
                url, is_get = delivery.trigger.url, delivery.trigger.method == "GET"
                try:
                    if is_get:
                        query = delivery.body.decode()
                        response = client.get(f"{url}{'&' if '?' in url else '?'}{query}")
                    else:
                        response = client.post(url, data=delivery.values)
                except httpx.HTTPError:
                    continue
                delivery.status = response.status_code
        return waiting


def _render(text: str, known: Mapping[str, Callable[[JSON], Any]], row: JSON, changed: Collection[str]) -> str:
    """Twig writes nothing for what is null, unknown or false. Of its filters `date` is known, in the form of times."""

    def value(match: re.Match[str]) -> str:
        expression = match[1].partition("|")[0].strip()
        if asked := _CHANGED.fullmatch(expression):
            return "1" if asked[1] in changed else ""
        found = known[expression](row) if expression in known else None
        return "" if found is None else str(found)

    return _EXPRESSION.sub(value, text)
