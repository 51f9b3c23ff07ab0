"""Troubles of the two-way sync in a project: a linked customer, a conflict about it, letters.

Written by the repositories' own functions, and taken away again, for tests of the dashboard on a database that lives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from database.connection import Connection
from database.repositories import conflicts, dead_letters, mappings
from database.repositories.dead_letters import Letter

BASE = 9_000_000
"""Ids of the objects that are made: far from those that live."""
PAYLOAD = '{"id": 9000001, "buyer": {"full_name": "Olena Kovalenko", "phone": "+380671234567"}, "total": 5}'
REQUEST = 'PUT /buyer/9000002 {"full_name": "Ihor Bondar", "phone": ["+380501234567"], "email": ["ihor@example.com"]}'
ANSWER = '{"message": "The phone +380501234567 is invalid.", "errors": {"phone": ["invalid"]}}'
AGREED = {"full_name": "Olena", "phone": None, "email": None, "segment": None, "note": None}


@dataclass(frozen=True)
class Trouble:
    project_id: str
    customer_id: int
    """Of vms, whose phone and note are disputed."""
    conflict_id: int
    inbound_letter: int
    outbound_letter: int


def versions(vms: Any, crm: Any) -> dict[str, Any]:
    """A disputed field as `sync.two_way.conflicts.record` keeps it."""
    return {
        "vms": vms, "crm": crm, "crm_own": crm, "agreed_vms": None, "agreed_crm": None,
        "vms_changed_at": "2026-03-01T12:00:00+00:00", "crm_changed_at": "2026-03-01T12:01:00+00:00",
    }  # fmt: skip


async def make(connection: Connection, project_id: str, number: int = 1) -> Trouble:
    """One linked customer with a conflict about phone and note, an inbound and an outbound letter."""
    async with connection.transaction():
        return await _make(connection, project_id, number)


async def _make(connection: Connection, project_id: str, number: int) -> Trouble:
    customer_id, crm_id = BASE + number, str(BASE + number)
    await connection.execute("select set_config('crm_elt.origin', 'crm', true)")  # nothing of it is to be sent
    await connection.execute(
        "insert into vms.customers (project_id, id, full_name, phone, note) overriding system value"
        " values (%s, %s, 'Olena', '+380671112233', 'Call in the morning')",
        [project_id, customer_id],
    )
    mapping = await mappings.link(connection, project_id, "customer", customer_id, crm_id)
    assert mapping is not None
    await mappings.save_synced(
        connection, mapping, crm_id=crm_id, agreed_vms=AGREED, agreed_crm=AGREED, direction="outbound"
    )
    fields = {
        "phone": versions("+380671112233", "+380509998877"),
        "note": versions("Call in the morning", "Call in the evening"),
    }
    await mappings.save_disputed(connection, mapping, list(fields))
    conflict_id, _ = await conflicts.save_open(connection, project_id, "customer", customer_id, crm_id, fields)
    await dead_letters.open_many(
        connection, project_id,
        [Letter("vms", "skip_row", "The order names no customer: name one at the CRM.", stream="order",
                crm_id=crm_id, payload=PAYLOAD)],
    )  # fmt: skip
    await dead_letters.open_outbound(
        connection, project_id,
        Letter("outbox", "permanent", "PUT /buyer: the CRM answers 422: The phone is invalid.", raw_id=customer_id,
               stream="customer", crm_id=crm_id, request=REQUEST, answer=ANSWER),
    )  # fmt: skip
    cursor = await connection.execute(
        "select dead_letter_id, direction from sync.dead_letters where project_id = %s and crm_id = %s"
        " order by dead_letter_id desc limit 2",
        [project_id, crm_id],
    )
    found = {row["direction"]: row["dead_letter_id"] for row in await cursor.fetchall()}
    return Trouble(project_id, customer_id, conflict_id, found["inbound"], found["outbound"])


async def take_away(connection: Connection, project_id: str) -> None:
    """All that `make` has made in the project, and what became of it."""
    statements = (
        "delete from vms.customers where project_id = %(project)s and id >= %(base)s",
        "delete from sync.outbox where project_id = %(project)s and vms_entity_id >= %(base)s",
        "delete from sync.inbound_queue where project_id = %(project)s and crm_entity_id ~ '^9[0-9]{6}$'",
        "delete from sync.mappings where project_id = %(project)s and vms_entity_id >= %(base)s",
        "delete from sync.conflicts where project_id = %(project)s and vms_entity_id >= %(base)s",
        "delete from sync.dead_letters where project_id = %(project)s and crm_id ~ '^9[0-9]{6}$'",
        "delete from sync.alerts where project_id = %(project)s and subject ~ ' 9[0-9]{6}$'",
    )
    async with connection.transaction():
        await connection.execute("select set_config('crm_elt.origin', 'crm', true)")
        for statement in statements:
            await connection.execute(statement, {"project": project_id, "base": BASE})
