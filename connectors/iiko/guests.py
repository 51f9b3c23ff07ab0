"""The phone of a guest whose order has none: from the guest's profile, else from the loyalty card.

Mapping sees the stored text alone, so what `customer/info` tells is added to the order before it is stored, as
`customerInfo`: the guest's id, phone and e-mail, and no more of the profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import structlog

from connectors.errors import ConfigError, NotFoundError
from connectors.iiko.api import SPEC, Api, vendor_error
from connectors.iiko.statuses import is_closed

_CARD_NAMES = (
    ("cardNumber", "cardNumber"),
    ("number", "cardNumber"),
    ("cardTrack", "cardTrack"),
    ("track", "cardTrack"),
)
_NO_LOYALTY = "Common_OrganizationNotFound"

_log = structlog.get_logger(__name__)


def guest_keys(row: dict[str, Any]) -> list[tuple[str, str]]:
    """By what `customer/info` can find the guest of a closed order without a phone, the surest first: (type, value)."""
    order = row.get("order", row)
    if not isinstance(order, dict) or not is_closed(order.get("status")):
        return []
    customer = order.get("customer")
    if _text(order, "phone") or _text(customer, "phone"):
        return []
    keys = []
    if (customer_id := _text(customer, "id")) is not None:
        keys.append(("id", customer_id))
    return keys + [key for key in dict.fromkeys(_cards(order)) if key not in keys]


class Guests:
    """Asks for each guest once while it lives."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._path = "/api/customer/info" if api.dialect == SPEC else "/api/1/loyalty/iiko/customer/info"
        self._found: dict[tuple[str, str, str], dict[str, Any] | None] = {}
        self._without: set[str] = set()
        """Organizations without a loyalty programme, or where we may not ask."""

    async def add_to(self, rows: Iterable[dict[str, Any]], organization_id: str) -> None:
        """Add `customerInfo` to those orders that need it and whose guest is known. Raises ConnectorError."""
        for row in rows:
            row.pop("customerInfo", None)
            for kind, value in guest_keys(row):
                guest = await self._ask(str(row.get("organizationId") or organization_id), kind, value)
                if guest is not None:
                    row["customerInfo"] = guest
                    if guest["phone"] is not None:
                        break

    async def _ask(self, organization_id: str, kind: str, value: str) -> dict[str, Any] | None:
        key = (organization_id, kind, value)
        if organization_id in self._without:
            return None
        if key not in self._found:
            self._found[key] = await self._read(organization_id, kind, value)
        return self._found[key]

    async def _read(self, organization_id: str, kind: str, value: str) -> dict[str, Any] | None:
        body = {"type": kind, kind: value, "organizationId": organization_id}
        try:
            # A guest who is not there is a 400.
            answer = await self._api.request("POST", self._path, body, accept=frozenset({400}))
        except NotFoundError:
            return None
        except ConfigError as error:
            if error.status != 403:
                raise
            # Sales count without a phone, too: a right that is lacking must not stop them.
            _log.warning("guests_not_readable", project_id=self._api.account.project_id, reason=error.message)
            self._without.add(organization_id)
            return None
        if answer.status == 400:
            if vendor_error(answer.value) == _NO_LOYALTY:
                self._without.add(organization_id)
            return None
        guest = answer.value
        if not isinstance(guest, dict) or guest.get("anonymized") is True or guest.get("isDeleted") is True:
            return None
        return {name: _text(guest, name) for name in ("id", "phone", "email")}


def _cards(order: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Card numbers and tracks in the places where tills and integrations leave them: no documented field holds one."""
    for holder in (order.get("loyaltyCard"), order.get("loyaltyInfo"), order.get("customer")):
        for name, kind in _CARD_NAMES:
            if (value := _text(holder, name)) is not None:
                yield kind, value
    for name, kind in _CARD_NAMES:
        if name.startswith("card") and (value := _text(order, name)) is not None:
            yield kind, value


def _text(holder: Any, name: str) -> str | None:
    value = holder.get(name) if isinstance(holder, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value.strip() or None if isinstance(value, str) else None
