"""YCLIENTS, and Altegio, the same product elsewhere: a company's bookings, payments and clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.base import BaseConnector
from connectors.http import HttpSession
from connectors.protocol import (
    Account,
    Capabilities,
    Cursor,
    Health,
    MappingContext,
    Page,
    RawRecord,
    ReconcilingConnector,
    Stream,
    WebhookRequest,
    Window,
)
from connectors.records import Batch
from connectors.yclients import api, client, hooks, mapping, webhooks


def check_options(options: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """A project is one company of the account."""
    company = options.get("company_id")
    if company is None:
        return [("company_id", "set it: the number of the company in the addresses of YCLIENTS' pages")]
    if company <= 0:
        return [("company_id", "it is the number of the company, greater than 0")]
    return []


class Yclients(BaseConnector):
    """See README.md beside this file for what it reads and the traps it knows."""

    crm = "yclients"
    capabilities = Capabilities(
        streams=(
            Stream("places", is_dictionary=True, can_read_one=True),
            Stream("records", is_incremental=True, has_windows=True, can_read_one=True, can_list_ids=True),
            Stream("transactions", is_incremental=True, has_windows=True, can_read_one=True),
            Stream("customers", is_incremental=True, can_read_one=True, can_list_ids=True),
        ),
        credentials=("partner_token", "user_token"),
        options={"company_id": int},
        check_options=check_options,
        rate_limit=api.RATE_LIMIT,
        is_limit_per_address=True,
        can_register_webhook=True,
        default_base_url=api.BASE_URL,
    )

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
        return mapping.map_deletion(stream, crm_id)

    def check_webhook(self, request: WebhookRequest, context: MappingContext) -> str:
        return webhooks.check_webhook(request)

    def map_webhook(self, context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
        return webhooks.map_webhook(context, body, received_at)

    async def check_health(self, http: HttpSession, account: Account) -> Health:
        return await client.check_health(http, account)

    async def register_webhook(self, http: HttpSession, account: Account, url: str) -> str:
        return await hooks.register(http, account, url)


connector: ReconcilingConnector = Yclients()
