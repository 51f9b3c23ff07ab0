"""What people have done for a project that changes no setting: how the audit log names it, and says it on its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.identity import Identity
from dashboard.marks import N_
from database.connection import Connection
from database.repositories import audit


@dataclass(frozen=True, slots=True)
class Deed:
    action: str
    object: str
    sentence: str
    """English; translated where it is shown, after who did it."""


SYNC = Deed("asked", "synchronisation", N_("asked for a synchronisation"))
TEST = Deed("tested", "connection", N_("tested the connection to the CRM"))
REGISTRATION = Deed("registered", "address for webhooks", N_("asked the CRM to register our address for webhooks"))
UPLOAD = Deed("uploaded", "file", N_("uploaded a file"))

_SENTENCES = {(deed.action, deed.object): deed.sentence for deed in (SYNC, TEST, REGISTRATION, UPLOAD)}


async def note(connection: Connection, identity: Identity, project_id: str, deed: Deed, **facts: Any) -> None:
    """An entry of the audit log; `facts` are JSON values without secrets, None is left out."""
    told: Mapping[str, Any] = {name: value for name, value in facts.items() if value is not None}
    await audit.record(
        connection, actor=identity.actor, action=deed.action, project_id=project_id, object=deed.object, after=told
    )


def sentence_of(action: str, object: str) -> str | None:  # noqa: A002
    """English, of an entry of the audit log; None: the words of the entry say it."""
    return _SENTENCES.get((action, object))
