"""What belongs to a lead and is not in it: the history of its stages, and its main contact's phones.

amoCRM gives neither with the lead. Both are read for a page of leads at once and put into the stored record, so that
one record tells the lead's whole story however it was read: `_embedded.events` (oldest first) and
`_embedded.main_contact`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from connectors.amocrm.api import Api
from connectors.amocrm.paging import Listing, Place, Row, row_id, row_time, walk
from connectors.errors import NotFoundError

STATUS_CHANGED = "lead_status_changed"
EVENTS_PER_PAGE = 100
_DELAY = 300
"""Seconds after a change in which the log may still be without it: fewer than a pull reaches back."""
_LEADS_AT_ONCE = 10
"""Most ids that the log's filter takes."""
_CONTACTS_AT_ONCE = 50
_EVENT_FIELDS = ("id", "type", "created_at", "created_by", "value_before", "value_after")
_CONTACT_FIELDS = ("id", "name", "first_name", "last_name", "custom_fields_values")

_log = structlog.get_logger(__name__)


async def complete(api: Api, leads: Sequence[Row]) -> None:
    """Put events and main contacts into these leads. Raises ConnectorError."""
    await _add_events(api, leads)
    await _add_contacts(api, leads)


async def _add_events(api: Api, leads: Sequence[Row]) -> None:
    for start in range(0, len(leads), _LEADS_AT_ONCE):
        some = {name: lead for lead in leads[start : start + _LEADS_AT_ONCE] if (name := row_id(lead)) is not None}
        # Once more before it counts: an answer out of a cache is no rule.
        found = await _log_of(api, some) or await _log_of(api, some)
        if found is None:
            _log.warning("amocrm_filter_ignored", project_id=api.account.project_id, list="events")
            return
        now = (api.http.last_response_date or datetime.now(UTC)).timestamp()
        for name, events in found.items():
            _embedded(some[name])["events"] = sorted(events, key=_by_time)
            changed_at = row_time(some[name]) or 0
            if not events and changed_at != row_time(some[name], "created_at") and changed_at > now - _DELAY:
                # Whether the lead never moved, or moved just now, the next pull's reading tells.
                _embedded(some[name])["events_may_be_late"] = True


async def _log_of(api: Api, names: Iterable[str]) -> dict[str, list[Row]] | None:
    """Changes of stage of these leads, by lead; None if the log gives others: all of it would be read for each few."""
    found: dict[str, list[Row]] = {name: [] for name in names}
    params: list[tuple[str, object]] = [("filter[type]", STATUS_CHANGED), ("filter[entity]", "lead")]
    params += [("filter[entity_id][]", name) for name in found]
    async for read in walk(Listing(api, "/events", "events", params, EVENTS_PER_PAGE), Place()):
        for event in read.rows:
            if not _is_asked_for(event, found):
                return None
            found[str(event["entity_id"])].append({name: event.get(name) for name in _EVENT_FIELDS})
    return found


def _is_asked_for(event: Row, found: dict[str, list[Row]]) -> bool:
    return event.get("type") == STATUS_CHANGED and str(event.get("entity_id")) in found


def _by_time(event: Row) -> tuple[int, str]:
    """Ids of events are made of their time, so they tell the order within a second."""
    moment = event.get("created_at")
    return (moment if type(moment) is int else 0, str(event.get("id")))


async def _add_contacts(api: Api, leads: Sequence[Row]) -> None:
    main = {name: contact for lead in leads if (name := row_id(lead)) and (contact := main_contact_id(lead))}
    wanted = sorted(set(main.values()))
    known: dict[str, Row] = {}
    for start in range(0, len(wanted), _CONTACTS_AT_ONCE):
        some = wanted[start : start + _CONTACTS_AT_ONCE]
        params: list[tuple[str, object]] = [("filter[id][]", contact) for contact in some]
        listed = await api.page("/contacts", "contacts", params, 1, _CONTACTS_AT_ONCE)
        found = {name: row for row in listed.rows if type(row) is dict and (name := row_id(row)) is not None}
        known |= {name: row for name, row in found.items() if name in some}
        if found.keys() - set(some):  # the filter was ignored: this is any page of all contacts
            known |= await _one_by_one(api, [name for name in some if name not in known])
    for lead in leads:
        person = known.get(main.get(row_id(lead) or "", ""))
        if person is not None:
            _embedded(lead)["main_contact"] = {name: person.get(name) for name in _CONTACT_FIELDS}


async def _one_by_one(api: Api, names: Sequence[str]) -> dict[str, Row]:
    found = {}
    for name in names:
        try:
            answer = await api.get(f"/contacts/{name}")
        except NotFoundError:
            continue  # deleted meanwhile
        if isinstance(answer.value, dict):
            found[name] = answer.value
    return found


def main_contact_id(lead: Row) -> str | None:
    """The lead's main contact; the first one where none is marked."""
    embedded = lead.get("_embedded")
    contacts = embedded.get("contacts") if isinstance(embedded, dict) else None
    rows = [row for row in contacts if isinstance(row, dict)] if isinstance(contacts, list) else []
    chosen = next((row for row in rows if row.get("is_main") is True), rows[0] if rows else None)
    return None if chosen is None else row_id(chosen)


def _embedded(lead: Row) -> dict[str, Any]:
    value = lead.get("_embedded")
    if not isinstance(value, dict):
        value = lead["_embedded"] = {}
    return value
