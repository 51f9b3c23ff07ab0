"""Brings customers to KeyCRM as buyers. It gives us no place for a key: a buyer is known by phone, then by e-mail."""

from __future__ import annotations

from connectors.errors import PermanentError
from connectors.keycrm import fingerprints
from connectors.keycrm.push_buyer_bodies import (
    UNKNOWABLE,
    buyer_with,
    changed_buyer,
    has_contact,
    new_buyer,
    phone_forms,
)
from connectors.keycrm.push_calls import Calls, Row, answered, needed_id
from connectors.protocol import Change, PushResult


async def push_buyer(calls: Calls, change: Change) -> PushResult:
    """Raises ConnectorError."""
    include = "custom_fields" if "segment_field" in calls.options else ""
    if change.crm_id is not None:
        row = await calls.row("/buyer", needed_id(change.crm_id, "customer"), include)
        return await _bring_up_to_date(calls, change, row)
    found = await _find(calls, change, include)
    if found is not None:
        return await _bring_up_to_date(calls, change, found)
    if change.may_have_been_sent and not has_contact(change):
        raise PermanentError(UNKNOWABLE)
    built = new_buyer(change, calls.account)
    buyer = answered(await calls.write("POST", "/buyer", built.body), "POST /buyer")
    return PushResult(
        str(buyer["id"]),
        ignored=built.ignored,
        fingerprint=fingerprints.of_buyer(buyer),
        as_crm=built.as_crm,
        requests=calls.writes,
    )


async def _find(calls: Calls, change: Change, include: str) -> Row | None:
    for name in ("phone", "email"):
        if wanted := change.data.get(name):
            forms = phone_forms(wanted) if name == "phone" else [wanted]
            rows = await calls.rows("/buyer", {f"buyer_{name}": ",".join(forms)}, include, most_pages=1)
            if (found := buyer_with(rows, name, wanted, calls.account)) is not None:
                return found
    return None


async def _bring_up_to_date(calls: Calls, change: Change, row: Row) -> PushResult:
    built = changed_buyer(change, calls.account, row)
    crm_id, buyer = str(row["id"]), row
    if built.body:
        buyer = answered(await calls.write("PUT", f"/buyer/{crm_id}", built.body), "PUT /buyer", crm_id)
    return PushResult(
        crm_id,
        ignored=built.ignored,
        was_there=change.is_new,
        fingerprint=fingerprints.of_changed_buyer(buyer, row, built.body),
        as_crm=built.as_crm,
        requests=calls.writes,
    )
