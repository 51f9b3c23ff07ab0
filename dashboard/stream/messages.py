"""An event as clients get it: the same object by SSE and by SignalR."""

from __future__ import annotations

from typing import Any

import msgspec

from database.repositories.stream_events import StreamEvent

_encode = msgspec.json.Encoder().encode


def event_object(event: StreamEvent) -> dict[str, Any]:
    """The payload, and what is the same of every kind of event."""
    return {
        **event.payload,
        "event_id": event.event_id,
        "project_id": event.project_id,
        "kind": event.kind,
        "entity_id": event.entity_id,
        "vms_id": event.vms_entity_id,
        "origin": event.origin,
        "happened_at": event.happened_at,
    }


def sse_event(event: StreamEvent) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.event_id, event.kind.encode(), _encode(event_object(event)))


def sse_reset(cursor: int) -> bytes:
    """What came between is not kept any more: the client should load what it shows."""
    return b'id: %d\nevent: reset\ndata: {"event_id":%d}\n\n' % (cursor, cursor)


def sse_position(cursor: int) -> bytes:
    """A heartbeat: no event, but a client that comes back goes on from here."""
    return b": heartbeat\nid: %d\n\n" % cursor


def sse_end(reason: str) -> bytes:
    """The last event of a stream whose reader must not come back as it is."""
    return b"event: end\ndata: %b\n\n" % _encode({"detail": reason})
