"""1C:Enterprise 8, whose every base is its owner's own: sales from a custom HTTP service or from standard OData."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.base import BaseConnector
from connectors.errors import ConnectorError, PermanentError
from connectors.http import HttpSession
from connectors.onec import access, mapping, masking, settings, webhooks
from connectors.onec.access import Access
from connectors.onec.pull_odata import Base
from connectors.onec.pull_service import Service
from connectors.onec.rows import STREAM
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

_SERVICE_STREAM = Stream(STREAM, is_incremental=True, has_windows=True)


def _refine(options: Mapping[str, Any]) -> Capabilities:
    """Only OData can be asked for one object and for ids."""
    if settings.dialect_of(options) == "service":
        return OneC.capabilities
    return replace(OneC.capabilities, streams=(replace(_SERVICE_STREAM, can_read_one=True, can_list_ids=True),))


class OneC(BaseConnector):
    """See README.md beside this file for what it reads and the traps it knows."""

    crm = "onec"
    capabilities = Capabilities(
        streams=(_SERVICE_STREAM,),
        credentials=(),
        credential_sets=(access.BASIC, access.BEARER),
        options=settings.OPTIONS,
        check_options=settings.check,
        refine=_refine,
        rate_limit=(600, 60.0),  # the platform has none; one slow server is behind it
        timeout=120.0,
    )

    async def pull(
        self, http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None = None
    ) -> AsyncIterator[Page]:
        pages = _source(http, account).pull(cursor, window)
        async for page in pages:
            yield page

    async def read(self, http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
        return await _base(http, account).read(crm_id)

    async def list_ids(self, http: HttpSession, account: Account, stream: str) -> AsyncIterator[Sequence[str]]:
        async for ids in _base(http, account).list_ids():
            yield ids

    def map_record(self, context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
        return mapping.map_record(context, stream, crm_id, body)

    def map_deletion(self, context: MappingContext, stream: str, crm_id: str) -> Batch:
        return mapping.map_deletion(crm_id)

    def check_webhook(self, request: WebhookRequest, context: MappingContext) -> str:
        return webhooks.check_webhook(request)

    def map_webhook(self, context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
        return webhooks.map_webhook(context, body)

    async def check_health(self, http: HttpSession, account: Account) -> Health:
        try:
            source = _source(http, account)
            await source.access.prove()
            what = await source.try_out()
        except ConnectorError as error:
            return Health(False, error.message)
        parts = urlsplit(account.base_url)
        return Health(True, f"1C answers: {what} of {parts.netloc}{parts.path.rstrip('/')} can be read")

    async def register_webhook(self, http: HttpSession, account: Account, url: str) -> str:
        """1C has no webhooks: says what its developer may do. The secret is not repeated."""
        parts = urlsplit(url)
        return (
            "1C sends nothing by itself. Its developer may post a sale in the form of /api/transactions to "
            f"{parts.scheme}://{parts.netloc}{parts.path}?token=SECRET when a document is posted, in UTF-8; "
            "SECRET is the project's webhook.secret. Without it sales come with the next pull"
        )

    def mask_payload(self, body: str) -> str:
        return masking.mask_payload(body)


def _source(http: HttpSession, account: Account) -> Base | Service:
    """Raises ConfigError if options or credentials are wrong."""
    chosen = settings.of_account(account)
    line = Access(http, account, chosen.scope)
    return Base(line, chosen) if chosen.dialect == "odata" else Service(line, chosen)


def _base(http: HttpSession, account: Account) -> Base:
    source = _source(http, account)
    if isinstance(source, Service):
        raise PermanentError("the service of a 1C base cannot be asked for one sale, nor for ids: that takes OData")
    return source


connector: ReconcilingConnector = OneC()
