"""Reads objects at the CRM before they are changed there, where nobody would have told of somebody else's change.

What was read is landed and applied like all that comes from the CRM. Then both sides are compared anew: what both have
changed is seen as the conflict that it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import structlog

from connectors.errors import ConnectorError
from connectors.protocol import RawRecord
from database.connection import Pool
from sync import rereads
from sync.normalise import drain
from sync.two_way.objects import Entity
from sync.two_way.outbound_change import Outgoing
from sync.two_way.outbound_context import Context

STREAMS: Mapping[Entity, str] = {"order": "orders", "customer": "customers"}
"""Kind of object -> stream that has it whole. Articles are changed by dozens in one request: they are not read."""
TRIGGER = "outbound"

_log = structlog.get_logger(__name__)


def is_to_be_read(context: Context, out: Outgoing) -> bool:
    """Whether the CRM may have another value than is known of what is about to be written."""
    announced = context.announced
    stream = STREAMS.get(out.entity)
    if announced is None or stream is None or not context.flags.inbound or out.change.crm_id is None:
        return False
    return bool(out.names - announced) and context.project.capabilities.stream(stream).can_read_one


async def read(pool: Pool, context: Context, outgoing: Sequence[Outgoing]) -> list[Outgoing]:
    """Read them side by side and bring what comes into core; those that were read.

    One that could not be is left as it is: writing it meets the same trouble, and tells of it. Raises psycopg.Error.
    """
    done: list[Outgoing] = []
    for entity, stream in STREAMS.items():
        group = [out for out in outgoing if out.entity == entity]
        if group:
            done += await _read(pool, context, stream, group)
    return done


async def _read(pool: Pool, context: Context, stream: str, group: Sequence[Outgoing]) -> list[Outgoing]:
    target = context.target
    assert target is not None  # nothing is to be sent without one
    began = time.monotonic()

    async def ask(out: Outgoing) -> RawRecord | ConnectorError:
        try:
            return await target.connector.read(target.http, target.account, stream, out.change.crm_id or "")
        except ConnectorError as error:
            return error

    answers = await asyncio.gather(*(ask(out) for out in group))
    found: dict[str, rereads.Answer] = {answer.crm_id: answer for answer in answers if isinstance(answer, RawRecord)}
    if found:
        elapsed = time.monotonic() - began
        async with pool.connection() as connection:
            await rereads.land(connection, target.account, stream, found, TRIGGER, elapsed)
        async with context.applying:  # only one drains a project: the others would wait with a connection each
            await drain(pool, context.project_id, wait=True, lookup=context.lookup)
    return [out for out, answer in zip(group, answers, strict=True) if isinstance(answer, RawRecord)]
