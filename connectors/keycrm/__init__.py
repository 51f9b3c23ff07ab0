"""KeyCRM, the Ukrainian order CRM: orders, buyers, catalogue and stocks through its Open API, and its webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from connectors.base import BaseConnector
from connectors.errors import ConnectorError
from connectors.http import HttpSession
from connectors.keycrm import client, mapping, push, push_words, webhooks
from connectors.protocol import (
    Account,
    Capabilities,
    Change,
    Connector,
    Cursor,
    Health,
    MappingContext,
    Page,
    PushResult,
    RawRecord,
    Stream,
    WebhookRequest,
    Window,
)
from connectors.records import Batch


class KeyCrm(BaseConnector):
    """See README.md beside this file for what it reads and writes, and the traps it knows."""

    crm = "keycrm"
    vocabulary = push_words.VOCABULARY
    capabilities = Capabilities(
        streams=(
            Stream("statuses", is_dictionary=True),
            Stream("sources", is_dictionary=True),
            Stream("orders", is_incremental=True, has_windows=True, can_read_one=True, can_list_ids=True),
            Stream("customers", is_incremental=True, has_windows=True, can_read_one=True, can_list_ids=True),
            Stream("products", can_read_one=True),
            Stream("offers", can_read_one=True),
            Stream("stocks", can_read_one=True),
        ),
        credentials=("api_key",),
        options=push_words.OPTIONS,
        check_options=push_words.check_options,
        rate_limit=client.RATE_LIMIT,
        webhook_events=webhooks.EVENT_NAMES,
        default_base_url=client.BASE_URL,
    )

    def pull(
        self, http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None = None
    ) -> AsyncIterator[Page]:
        return client.pull(http, account, stream, cursor, window)

    def list_ids(self, http: HttpSession, account: Account, stream: str) -> AsyncIterator[Sequence[str]]:
        return client.list_ids(http, account, stream)

    async def read(self, http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
        return await client.read(http, account, stream, crm_id)

    def map_record(self, context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
        return mapping.map_record(context, stream, crm_id, body)

    def map_deletion(self, context: MappingContext, stream: str, crm_id: str) -> Batch:
        return mapping.map_deletion(stream, crm_id)

    def most_pushed(self, entity: str, account: Account) -> int:
        return push.most_pushed(entity)

    async def push(
        self, http: HttpSession, account: Account, changes: Sequence[Change]
    ) -> Sequence[PushResult | ConnectorError]:
        return await push.push(http, account, changes)

    def check_webhook(self, request: WebhookRequest, context: MappingContext) -> str:
        return webhooks.check_webhook(request)

    def map_webhook(self, context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
        return webhooks.map_webhook(context, event_name, body, received_at)

    async def check_health(self, http: HttpSession, account: Account) -> Health:
        return await client.check_health(http, account)

    async def register_webhook(self, http: HttpSession, account: Account, url: str) -> str:
        """KeyCRM has no API for it: says what to do by hand. The secret is not repeated."""
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.netloc}{parts.path}?token=SECRET"
        return (
            "KeyCRM sets webhooks up in its own pages only. Add an automation for the trigger 'order status changed' "
            "and one for 'payment status changed', each with the action 'send webhook', method POST, "
            f"and the URL {shown}; for stocks enter the same URL under Settings > Products > Stocks. "
            "SECRET is the project's webhook.secret; KeyCRM signs nothing, so the token is all that proves the sender"
        )


connector: Connector = KeyCrm()
