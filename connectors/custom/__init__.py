"""Any vendor with an API of lists in JSON or XML: where its records are and what they mean is in the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.base import BaseConnector
from connectors.custom import client, health, mapping, trial, webhooks
from connectors.custom.definition import DEFAULT_RATE, check, definition_of
from connectors.custom.documents import plain_body
from connectors.custom.shapes import CUSTOMERS, ORDERS, TRANSACTIONS
from connectors.errors import ConfigError
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


def refine(options: Mapping[str, Any]) -> Capabilities:
    """Streams, credentials and rate limit of a project with this definition; of a wrong one all that there may be."""
    try:
        definition = definition_of(options)
    except ConfigError:
        return CAPABILITIES
    streams = tuple(
        replace(
            stream,
            is_incremental=entity.incremental is not None,
            can_read_one=entity.one is not None,
            can_list_ids=entity.lists_all,
        )
        for stream in CAPABILITIES.streams
        if (entity := definition.entities.get(stream.name)) is not None
    )
    names = tuple(definition.auth.credentials.values())
    return replace(CAPABILITIES, streams=streams, credentials=names, rate_limit=definition.rate_limit)


CAPABILITIES = Capabilities(
    streams=tuple(
        Stream(name, is_incremental=True, has_windows=True, can_read_one=True, can_list_ids=True)
        for name in (CUSTOMERS, ORDERS, TRANSACTIONS)
    ),
    credentials=(),
    options={"definition": dict},
    check_options=check,
    refine=refine,
    trial=trial.fingerprint,
    rate_limit=DEFAULT_RATE,
)
"""Of all projects: what one of them has is narrower."""


class Custom(BaseConnector):
    """See README.md beside this file for the definition and the traps it knows."""

    crm = "custom"
    capabilities = CAPABILITIES

    def pull(
        self, http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None = None
    ) -> AsyncIterator[Page]:
        return client.pull(http, account, stream, cursor, window)

    async def read(self, http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
        return await client.read(http, account, stream, crm_id)

    def list_ids(self, http: HttpSession, account: Account, stream: str) -> AsyncIterator[Sequence[str]]:
        return client.list_ids(http, account, stream)

    def map_record(self, context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
        return mapping.map_record(context, stream, crm_id, body)

    def map_deletion(self, context: MappingContext, stream: str, crm_id: str) -> Batch:
        return mapping.map_deletion(context, stream, crm_id)

    def check_webhook(self, request: WebhookRequest, context: MappingContext) -> str:
        return webhooks.check_webhook(request, context)

    def map_webhook(self, context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
        return webhooks.map_webhook(context, body)

    async def check_health(self, http: HttpSession, account: Account) -> Health:
        return await health.check(http, account)

    async def register_webhook(self, http: HttpSession, account: Account, url: str) -> str:
        """A definition knows no way to register one: says what to do by hand. The secret is not repeated."""
        parts = urlsplit(url)
        return (
            f"Enter the URL {parts.scheme}://{parts.netloc}{parts.path}?token=SECRET where the vendor sets "
            "webhooks up, method POST; SECRET is the project's webhook.secret. With another webhook.auth leave "
            "`?token=SECRET` out"
        )

    def mask_payload(self, body: str) -> str:
        return super().mask_payload(plain_body(body))


connector: Connector = Custom()
