"""What the pages and the API read of integrations. Nothing here holds a secret or an unmasked payload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from connectors.protocol import Capabilities
from dashboard.capabilities import capabilities_of
from dashboard.ui.formats import indented
from database.connection import Connection
from database.environment import Environment
from database.repositories import integrations, requests
from database.repositories.credentials import WEBHOOK_SECRET, CredentialInfo
from database.repositories.settings import ProjectRow
from database.repositories.webhook_statistics import Payload
from sync.projects import connector_of

TOKEN_PLACE = "…"  # noqa: S105
"""Stands in addresses where the secret belongs."""
LONGEST_PAYLOAD = 4000
"""Characters of a payload that are shown."""
ENDED = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class CredentialState:
    name: str
    is_required: bool
    """It must be set, by itself or with one of the alternatives."""
    set_at: datetime | None


@dataclass(frozen=True, slots=True)
class WebhookAddress:
    scheme: str
    """token, hmac, bearer, standard, none, unset"""
    address: str
    """To copy; where the secret belongs there, it has a placeholder."""
    has_secret: bool
    secret_set_at: datetime | None


@dataclass(frozen=True, slots=True)
class SyncState:
    """A manual sync, as far as it has come."""

    request_id: int
    project_id: str
    state: str
    """queued, running, done, failed, cancelled"""
    stream: str | None
    since: datetime | None
    is_full: bool
    requested_at: datetime
    requested_by: str | None
    started_at: datetime | None
    finished_at: datetime | None
    transactions: int
    """Sales that got a new version meanwhile."""
    records_read: int
    records_new: int
    records_changed: int
    records_failed: int
    stream_under_way: str | None
    streams: tuple[Mapping[str, Any], ...]
    error_word: str | None
    error: str | None

    @property
    def is_over(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class MaskedPayload:
    event_id: int
    event_name: str | None
    received_at: datetime
    content_type: str | None
    text: str
    is_cut: bool


def credential_fields(capabilities: Capabilities) -> list[str]:
    """Every credential that may be set, required ones first."""
    alternatives = [name for names in capabilities.credential_sets for name in names]
    return list(dict.fromkeys((*capabilities.credentials, *alternatives, *capabilities.optional_credentials)))


def credential_states(row: ProjectRow, stored: list[CredentialInfo]) -> list[CredentialState]:
    """Every credential that the project may have, required ones first, and those that are stored beyond them."""
    capabilities = capabilities_of(row)
    set_at = {info.name: info.updated_at for info in stored if info.name != WEBHOOK_SECRET}
    order = dict.fromkeys((*credential_fields(capabilities), *set_at))
    return [CredentialState(name, name in capabilities.credentials, set_at.get(name)) for name in order]


def webhook_address(row: ProjectRow, environment: Environment, stored: list[CredentialInfo]) -> WebhookAddress:
    secret = next((info for info in stored if info.name == WEBHOOK_SECRET), None)
    scheme = row.webhook.get("auth") or "unset"
    token = TOKEN_PLACE if scheme == "token" else None
    return WebhookAddress(
        scheme, address_with(row, environment, token), secret is not None, None if secret is None else secret.updated_at
    )


def address_with(row: ProjectRow, environment: Environment, token: str | None) -> str:
    """Where the project's CRM sends webhooks, and where files of a CSV project go."""
    kind = "uploads" if row.crm == "csv" else "webhooks"
    address = f"{environment.public_ingest_url}/{kind}/{row.crm}/{row.project_id}"
    if token is None:
        return address
    return f"{address}?token={token if token == TOKEN_PLACE else quote(token, safe='')}"


def masked(row: ProjectRow, payload: Payload) -> MaskedPayload:
    """For people: names, phones, e-mails, addresses and secrets masked, indented where it is JSON."""
    text = indented(connector_of(row.crm).mask_payload(payload.body))
    return MaskedPayload(
        payload.event_id, payload.event_name, payload.received_at, payload.content_type,
        text[:LONGEST_PAYLOAD], len(text) > LONGEST_PAYLOAD,
    )  # fmt: skip


async def sync_state(connection: Connection, project_id: str, request_id: int) -> SyncState | None:
    """None if this project has no such request."""
    found = await requests.get(connection, request_id) if 0 < request_id < 2**63 else None
    if found is None or found["project_id"] != project_id:
        return None
    result: Mapping[str, Any] = found["result"] or {}
    streams = tuple(result.get("streams") or ())
    read = sum(int(stream.get("seen") or 0) for stream in streams)
    under_way, transactions = None, 0
    if found["started_at"] is not None:
        if found["state"] == "running":
            progress = await integrations.progress_since(connection, project_id, found["started_at"])
            read, under_way = int(progress["rows"]), progress["stream"]
        transactions = await integrations.transactions_changed(
            connection, project_id, found["started_at"], found["finished_at"]
        )
    return SyncState(
        request_id=found["request_id"],
        project_id=project_id,
        state=found["state"],
        stream=found["stream"],
        since=found["since"],
        is_full=found["is_full"],
        requested_at=found["requested_at"],
        requested_by=found["requested_by"],
        started_at=found["started_at"],
        finished_at=found["finished_at"],
        transactions=transactions,
        records_read=read,
        records_new=sum(int(stream.get("new") or 0) for stream in streams),
        records_changed=sum(int(stream.get("changed") or 0) for stream in streams),
        records_failed=int((result.get("applied") or {}).get("failed") or 0),
        stream_under_way=under_way,
        streams=streams,
        error_word=found["error_word"],
        error=found["error_message"],
    )
