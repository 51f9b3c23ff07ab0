"""Customers of the warehouse -> RetailCRM: found by our key, phone or e-mail before they are made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.errors import RetryError
from connectors.http import HttpSession
from connectors.protocol import Account, Change, PushResult
from connectors.retailcrm import api, client
from connectors.retailcrm.api import Row
from connectors.retailcrm.push_bodies import customer_body, differing, filled, name_parts, numbers
from connectors.values.phones import parse_phone

_RESOURCE = client.RESOURCES["customers"]
_KEY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PERSON = frozenset({"full_name", "phone", "email"})
NO_SEGMENT = (
    "RetailCRM reckons its segments by rules of its own: name a custom field of customers in options.segment_field, "
    "and the segment is written there"
)


async def push_customer(http: HttpSession, account: Account, change: Change) -> PushResult:
    """Create the customer, or bring it up to date. Raises ConnectorError."""
    data, fields, region = change.data, change.fields, account.context.region
    segment_field = account.options.get("segment_field")
    row, was_there, writes = None, False, 0
    if change.crm_id is None:
        row, is_new = await find_or_create(http, account, change.key, data, fields)
        was_there, writes = not is_new, int(is_new)
        # What the warehouse does not know is no reason to forget it there.
        fields = frozenset(name for name in fields if data.get(name)) if was_there else frozenset()
    elif change.may_have_been_sent or "phone" in fields:
        row = await client.by_id(http, account, _RESOURCE, change.crm_id)
    if row is not None:
        former = str(change.known.get("phone") or "") if not was_there else ""
        others = [
            number
            for number in numbers(row)
            if _spelled(number, region) not in (_spelled(former, region), _spelled(data.get("phone") or "", region))
        ]
        body = differing(customer_body(data, fields, others, segment_field), row)
    else:
        body = customer_body(data, fields, (), segment_field)
    crm_id = change.crm_id if row is None else str(row["id"])
    if body:
        await api.post(http, account, f"/customers/{crm_id}/edit", {"customer": body}, by="id")
        writes += 1
    ignored = {"segment": NO_SEGMENT} if "segment" in change.fields and segment_field is None else {}
    if ignored and not data.get("segment") and not change.known.get("segment"):
        ignored = {}
    return PushResult(
        crm_id=crm_id,
        ignored=ignored,
        was_there=was_there,
        requests=writes,
        as_crm=_as_crm(data, change.fields, region),
    )


async def find_or_create(
    http: HttpSession, account: Account, key: str, data: Mapping[str, Any], fields: frozenset[str] = _PERSON
) -> tuple[Row, bool]:
    """The customer as RetailCRM has it, of whom the id is sure, and whether it was made just now."""
    if (row := await _find(http, account, key, data)) is not None:
        return row, False
    body = customer_body(data, fields, (), account.options.get("segment_field"))
    body = filled({"externalId": key, **body})
    try:
        answer = await api.post(http, account, "/customers/create", {"customer": body})
    except api.ExistsError as error:
        # Somebody was faster: an attempt that was not answered, or the order of this customer.
        if (row := await client.by_external_id(http, account, _RESOURCE, key)) is None:
            raise error from None
        return row, False
    if type(answer.get("id")) is not int:
        raise RetryError("POST /customers/create: RetailCRM does not say the id of the customer")
    return {"id": answer["id"]}, True


async def _find(http: HttpSession, account: Account, key: str, data: Mapping[str, Any]) -> Row | None:
    """By the key that it was made with, else by phone, else by e-mail. One that was made with another key is another
    customer of the warehouse's."""
    if (row := await client.by_external_id(http, account, _RESOURCE, key)) is not None:
        return row
    region = account.context.region
    phone = parse_phone(data.get("phone") or "", region)
    if phone is not None:
        rows = await _list(http, account, "name", phone)  # the filter takes a name or a phone
        if found := [row for row in rows if phone in (parse_phone(number, region) for number in numbers(row))]:
            return found[0]
    if email := _email(data.get("email")):
        rows = await _list(http, account, "email", email)
        if found := [row for row in rows if _email(row.get("email")) == email]:
            return found[0]
    return None


async def _list(http: HttpSession, account: Account, name: str, value: str) -> list[Row]:
    """The oldest first, of those that are nobody else's."""
    params = [("limit", api.PAGE_SIZES[-1]), *api.site_filter(account), (f"filter[{name}]", value)]
    rows = api.rows_of(await api.get(http, account, _RESOURCE.path, params), _RESOURCE.many)
    free = [row for row in rows if type(row.get("id")) is int and not _KEY.fullmatch(str(row.get("externalId") or ""))]
    return sorted(free, key=lambda row: row["id"])


def _as_crm(data: Mapping[str, Any], fields: frozenset[str], region: str | None) -> dict[str, Any]:
    """As it is read there later."""
    phone = data.get("phone")
    seen = {
        "full_name": " ".join(part for part in name_parts(data.get("full_name")).values() if part) or None,
        "phone": None if phone is None else parse_phone(phone, region),
        "email": _email(data.get("email")),
    }
    return {name: value for name, value in seen.items() if name in fields and value != data.get(name)}


def _spelled(number: str, region: str | None) -> str:
    return parse_phone(number, region) or number


def _email(value: Any) -> str | None:
    return value.strip().lower() or None if type(value) is str else None
