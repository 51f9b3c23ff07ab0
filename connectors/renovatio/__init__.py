"""Renovatio, the medical information system of clinics: completed visits as transactions, without who was treated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.base import BaseConnector
from connectors.errors import NotFoundError
from connectors.http import HttpSession
from connectors.protocol import (
    Account,
    Capabilities,
    Connector,
    Cursor,
    Health,
    MappingContext,
    Page,
    RawRecord,
    Stream,
    WebhookRequest,
    Window,
)
from connectors.records import Batch
from connectors.renovatio import client, mapping, privacy, webhooks
from connectors.values.times import zone


def check_options(options: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What is wrong with options whose types are right."""
    problems: list[tuple[str, str]] = []
    if any(clinic <= 0 for clinic in options.get("clinic_ids") or ()):
        problems.append(("clinic_ids", "expected the numbers of clinics, which are above 0"))
    for clinic, name in (options.get("timezones") or {}).items():
        try:
            zone(name)
        except (ValueError, TypeError):
            problems.append((f"timezones.{clinic}", "expected an IANA time zone such as Europe/Lisbon"))
    return problems


class Renovatio(BaseConnector):
    """See README.md beside this file for what it reads, what it leaves out, and the traps it knows."""

    crm = "renovatio"
    capabilities = Capabilities(
        streams=(
            Stream(privacy.PLACES, is_dictionary=True),
            Stream(privacy.VISITS, is_incremental=True, has_windows=True, can_read_one=True, can_list_ids=True),
        ),
        credentials=("api_key", "salt"),
        check_credentials=privacy.check_credentials,
        mapping_secrets=("salt",),
        options={"clinic_ids": list[int], "timezones": dict, "ca_file": str},
        check_options=check_options,
        is_medical=True,
        rate_limit=client.RATE_LIMIT,
        default_base_url=client.BASE_URL,
    )

    def pull(
        self, http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None = None
    ) -> AsyncIterator[Page]:
        return client.pull(http, account, stream, cursor, window)

    async def read(self, http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
        if stream != privacy.VISITS:
            raise NotFoundError(f"Renovatio reads no single object of {stream}")
        return await client.read(http, account, crm_id)

    def list_ids(self, http: HttpSession, account: Account, stream: str) -> AsyncIterator[Sequence[str]]:
        return client.list_ids(http, account)

    def map_record(self, context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
        return mapping.map_record(context, stream, crm_id, body)

    def map_deletion(self, context: MappingContext, stream: str, crm_id: str) -> Batch:
        return mapping.map_deletion(stream, crm_id)

    def check_webhook(self, request: WebhookRequest, context: MappingContext) -> str:
        return webhooks.check_webhook(request, context)

    def map_webhook(self, context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
        return webhooks.map_webhook(body)

    async def check_health(self, http: HttpSession, account: Account) -> Health:
        return await client.check_health(http, account)

    async def register_webhook(self, http: HttpSession, account: Account, url: str) -> str:
        """Renovatio has no API for it: says what to do by hand. The secret is not repeated."""
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.netloc}{parts.path}?token=SECRET"
        return (
            "Renovatio sets webhooks up in its own pages only. Under event notifications ('Уведомления о событиях') "
            "add a new one ('Новое уведомление') for each event of a visit: created, changed, cancelled; "
            f"with the URL {shown}. SECRET is the project's webhook.secret; Renovatio signs nothing, so set "
            "webhook.ip_allow to the server's address as well"
        )


connector: Connector = Renovatio()
