"""amoCRM (Kommo abroad): leads with the history of their stages, contacts, pipelines, through API v4 and webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from connectors.amocrm import account as accounts
from connectors.amocrm import client, custom_fields, mapping, oauth, webhooks
from connectors.base import BaseConnector
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
from connectors.tokens import Tokens


class AmoCrm(BaseConnector):
    """See README.md beside this file for what it reads and the traps it knows."""

    crm = "amocrm"
    capabilities = Capabilities(
        streams=(
            Stream("account", is_dictionary=True),
            Stream("statuses", is_dictionary=True),
            Stream("orders", is_incremental=True, has_windows=True, can_read_one=True, can_list_ids=True),
            Stream("customers", is_incremental=True, has_windows=True, can_read_one=True, can_list_ids=True),
            Stream("deletions", is_incremental=True, has_windows=True),
        ),
        credentials=(),
        optional_credentials=("refresh_token",),
        credential_sets=(("access_token",), oauth.CLIENT),
        options={"pipeline_ids": list, "paid_statuses": list, "fields": dict},
        check_options=custom_fields.check_options,
        rate_limit=client.RATE_LIMIT,
        can_register_webhook=True,
        order_page="/leads/detail/{id}",
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
        return await accounts.check_health(http, account)

    async def register_webhook(self, http: HttpSession, account: Account, url: str) -> str:
        return await accounts.register_webhook(http, account, url)

    def authorize_url(self, account: Account, state: str) -> str:
        return oauth.authorize_url(account, state)

    async def exchange_code(self, http: HttpSession, account: Account, query: Mapping[str, str]) -> Tokens:
        return await oauth.exchange_code(http, account, query)

    def mask_payload(self, body: str) -> str:
        return webhooks.mask_payload(body)


connector: Connector = AmoCrm()
