"""What a toy CRM was sent, and its troubles with it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.errors import ConfigError, ConnectorError, PermanentError, RetryError, UnreachableError
from connectors.protocol import Change, PushResult


@dataclass
class ToyBooks:
    """Objects by kind and id. It makes a double of whatever is created twice, as many CRMs do."""

    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """kind -> CRM id -> fields, with `key` and, of a payment, `order`."""
    log: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    """(kind, CRM id, fields) of each write, in order."""
    pushes: list[tuple[str, int]] = field(default_factory=list)
    """(kind, number of changes) of each push that was let in."""
    created: Counter[str] = field(default_factory=Counter)
    """How often an object was created with this key."""
    trouble: str | None = None
    """refuse, error (500), lost (done, and not answered), slow (429), config, bug; away: nobody answers."""
    trouble_of: Callable[[Change], str | None] | None = None
    """The same for some changes only."""
    ignores: Mapping[str, str] = field(default_factory=dict)
    rounds: Mapping[str, Any] = field(default_factory=dict)
    """Field -> what it makes of whatever it is sent."""
    cannot_have: str | None = None
    """Why it takes no new objects."""
    health_checks: int = 0
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return list(self.objects.get(kind, {}).values())

    def push(self, changes: Sequence[Change]) -> list[PushResult | ConnectorError]:
        if self.trouble == "away":
            raise UnreachableError("The toy CRM cannot be reached.")
        if self.trouble == "config":
            raise ConfigError("The key is wrong: set another.", status=401)
        if self.trouble == "bug":
            raise KeyError("a bug of the connector")
        self.pushes.append((changes[0].entity, len(changes)))
        return [self._one(change) for change in changes]

    def _one(self, change: Change) -> PushResult | ConnectorError:
        trouble = self.trouble if self.trouble_of is None else self.trouble_of(change)
        if trouble == "refuse":
            error = PermanentError("The toy CRM does not like this.", status=422)
            error.request, error.answer = f"POST /{change.entity} {{}}", '{"message": "no"}'
            return error
        if trouble == "slow":
            return RetryError("Too many requests.", status=429, retry_after=0.0)
        if trouble == "error":
            return RetryError("The toy CRM answers 500.", status=500)
        result = self.apply(change)
        return RetryError("No answer within 30 s.") if trouble == "lost" else result

    def apply(self, change: Change) -> PushResult:
        kind, crm_id = change.entity, change.crm_id
        stored = self.objects.setdefault(kind, {})
        was_there = False
        if crm_id is None and change.may_have_been_sent:
            crm_id = next((number for number, row in stored.items() if row["key"] == change.key), None)
            was_there = crm_id is not None
        if crm_id is None and self.cannot_have is not None:
            return PushResult(None, dict.fromkeys(change.fields, self.cannot_have))
        if crm_id is None:
            crm_id = f"{kind[0]}{next(self._numbers)}"
            self.created[change.key] += 1
            stored[crm_id] = {"key": change.key}
        values = {name: change.data[name] for name in change.fields if name not in self.ignores}
        if kind == "payment":
            order = change.data["order"]
            assert order["crm_id"] in self.objects["order"], "a payment came before its order"
            stored[crm_id]["order"] = order["crm_id"]
        customer_id = None
        if values.get("customer") is not None:
            values["customer"] = customer_id = self._customer(values["customer"])
        if any(stored[crm_id].get(name, self) != value for name, value in values.items()):
            stored[crm_id] |= values
            self.log.append((kind, crm_id, tuple(sorted(values))))
        ignored = {name: why for name, why in self.ignores.items() if name in change.fields}
        as_crm = {name: value for name, value in self.rounds.items() if name in change.fields}
        echoes = [("order", change.data["order"]["crm_id"], b"paid")] if kind == "payment" else []
        return PushResult(crm_id, ignored, was_there, customer_id, crm_id.encode(), echoes, as_crm)

    def _customer(self, customer: Mapping[str, Any]) -> str:
        stored = self.objects.setdefault("customer", {})
        if customer["crm_id"] is not None:
            assert customer["crm_id"] in stored
            return str(customer["crm_id"])
        for crm_id, row in stored.items():
            if row["key"] == customer["key"]:
                return crm_id
        crm_id = f"c{next(self._numbers)}"
        self.created[customer["key"]] += 1
        stored[crm_id] = {name: customer[name] for name in ("key", "full_name", "phone", "email")}
        return crm_id
