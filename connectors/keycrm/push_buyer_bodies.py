"""Bodies that write buyers, from a customer of vms and, where it was read, the buyer at KeyCRM. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.errors import PermanentError
from connectors.keycrm.push_order_bodies import Built
from connectors.protocol import Account, Change
from connectors.values.fields import Fields
from connectors.values.phones import national_digits, parse_phone

Row = Mapping[str, Any]

NO_SEGMENT = "KeyCRM has no segments: name a custom field of buyers for them in the option segment_field"
NAMELESS = "KeyCRM takes no buyer without a name: give the customer a name, a phone or an e-mail"
NO_NAME = "KeyCRM keeps no buyer without a name: the one that it has stays"
UNKNOWABLE = (
    "Nobody can tell whether KeyCRM has made this buyer: it is known again by phone or e-mail, and has neither; "
    "look for it in KeyCRM, give the customer a phone or an e-mail, and retry"
)


def new_buyer(change: Change, account: Account) -> Built:
    """A whole buyer. Raises PermanentError if nothing names it."""
    data, built = change.data, Built()
    name = data.get("full_name") or data.get("phone") or data.get("email")
    if not name:
        raise PermanentError(NAMELESS)
    built.body["full_name"] = name
    if not data.get("full_name"):
        built.as_crm["full_name"] = name
    built.body |= {ours: [data[ours]] for ours in ("phone", "email") if data.get(ours)}
    if data.get("note"):
        built.body["note"] = data["note"]
    if data.get("segment"):
        _add_segment(data["segment"], account, built)
    return built


def changed_buyer(change: Change, account: Account, row: Row) -> Built:
    """The fields of the change that differ from the buyer at KeyCRM. A customer who is only just linked takes nothing
    away from a buyer: what is empty in vms stays as it is there."""
    data, built, known = change.data, Built(), Fields(dict(row))
    names = {name for name in change.fields if data.get(name) or not change.is_new}
    if "full_name" in change.fields and known.text("full_name") != (data["full_name"] or None):
        if data["full_name"]:
            built.body["full_name"] = data["full_name"]
        elif known.text("full_name") in (data.get("phone"), data.get("email")):
            built.as_crm["full_name"] = known.text("full_name")  # which we gave it, for want of a name
        elif not change.is_new:
            built.ignored["full_name"] = NO_NAME
    for name, plain in (("phone", _plain_phone(account)), ("email", str.casefold)):
        if name in names:
            there = known.texts(name)
            wanted = _contacts(data[name] or None, there, plain)
            if wanted != list(there):
                built.body[name] = wanted
    if "note" in names and known.text("note") != (data["note"] or None):
        built.body["note"] = data["note"] or None
    if "segment" in names and _segment(row, account) != (data["segment"] or None):
        _add_segment(data["segment"], account, built)
    if built.body:
        # The API wants the name with every change.
        built.body.setdefault("full_name", known.text("full_name") or data.get("full_name") or "")
    return built


def has_contact(change: Change) -> bool:
    return bool(change.data.get("phone") or change.data.get("email"))


def phone_forms(phone: str) -> list[str]:
    """How people write a phone: KeyCRM keeps it as it was typed, and does not say how its filter compares."""
    national = national_digits(phone)
    digits = phone.lstrip("+")
    return list(dict.fromkeys(form for form in (phone, digits, national) if form))


def buyer_with(rows: Sequence[Row], name: str, wanted: str, account: Account) -> Row | None:
    """The first buyer of a list who has that phone or e-mail: the filters' own idea of it is not documented."""
    plain = _plain_phone(account) if name == "phone" else str.casefold
    found = [
        row
        for row in rows
        if isinstance(row.get("id"), int) and plain(wanted) in map(plain, Fields(dict(row)).texts(name))
    ]
    return min(found, key=lambda row: int(row["id"]), default=None)


def _contacts(wanted: str | None, there: Sequence[str], plain: Callable[[str], str]) -> list[str]:
    """Phones or e-mails with the wanted one first, in the place of the one that was; others stay behind it."""
    rest = list(there)
    if wanted is None:
        return rest[1:]
    kept = next((text for text in rest if plain(text) == plain(wanted)), None)
    if kept is None:
        return [wanted, *rest[1:]]
    rest.remove(kept)
    return [kept, *rest]


def _plain_phone(account: Account) -> Callable[[str], str]:
    return lambda text: parse_phone(text, account.context.region) or text


def _segment(row: Row, account: Account) -> str | None:
    """The value of the custom field; a list of choices is its first."""
    for entry in row.get("custom_fields") or []:
        if isinstance(entry, dict) and entry.get("uuid") == account.options.get("segment_field"):
            value = entry.get("value")
            first = next(iter(value), None) if isinstance(value, list) else value
            return str(first) if first not in (None, "") else None
    return None


def _add_segment(segment: str | None, account: Account, built: Built) -> None:
    uuid = account.options.get("segment_field")
    if uuid is not None:
        built.body["custom_fields"] = [{"uuid": uuid, "value": segment}]
    elif segment:
        built.ignored["segment"] = NO_SEGMENT
