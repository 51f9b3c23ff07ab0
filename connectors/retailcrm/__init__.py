"""RetailCRM (Simla): read through the histories of its API v5 and its triggers as webhooks, and written to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.base import BaseConnector
from connectors.errors import ConnectorError
from connectors.http import HttpSession
from connectors.protocol import (
    Account,
    Capabilities,
    Change,
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
from connectors.retailcrm import api, catalogue, client, health, mapping, push, webhooks
from connectors.retailcrm.statuses import DEFAULT_STATUS_MAP, VOCABULARY, vms_status

__all__ = ["DEFAULT_STATUS_MAP", "RetailCrm", "connector", "vms_status"]

_ORDERS = Stream("orders", is_incremental=True, has_windows=True, can_read_one=True, can_list_ids=True)


def _check_options(options: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    problems = list(push.problems_of_options(options))
    statuses = options.get("statuses")
    if statuses is not None and not all(isinstance(code, str) and code for code in statuses):
        problems.append(("statuses", "expected a list of status codes, such as [new, complete]"))
    if "webhook_template" in options:
        problems += webhooks.problems_of_template(options["webhook_template"])
    return problems


def _refine(options: Mapping[str, Any]) -> Capabilities:
    """With a filter by status an order that has left it is here and not in the list: no ids are compared. The
    catalogue is for those who keep stocks and prices in step: its key has the right to read it."""
    streams = _STREAMS
    if options.get("statuses"):
        streams = tuple(
            replace(stream, can_list_ids=stream.can_list_ids and stream.name != "orders") for stream in streams
        )
    if not (options.get("store") or options.get("price_type")):
        streams = tuple(stream for stream in streams if stream.name not in catalogue.PATHS)
    return replace(CAPABILITIES, streams=streams)


_STREAMS = (
    Stream(client.PLACES, is_dictionary=True),
    Stream("sources", is_dictionary=True),
    Stream("status_groups", is_dictionary=True),
    Stream("statuses", is_dictionary=True),
    # Before the orders: what the history tells of a status goes before what the order itself says.
    Stream(client.STATUS_HISTORY, is_incremental=True, has_windows=True),
    _ORDERS,
    Stream("customers", is_incremental=True, has_windows=True, can_read_one=True, can_list_ids=True),
    *(Stream(name, can_read_one=True) for name in catalogue.PATHS),
)
CAPABILITIES = Capabilities(
    streams=_STREAMS,
    credentials=("api_key",),
    options={"site": str, "statuses": list, "webhook_template": dict, **push.OPTIONS},
    check_options=_check_options,
    refine=_refine,
    rate_limit=api.RATE_LIMIT,
    order_page="/orders/{id}/edit",
)


class RetailCrm(BaseConnector):
    """See README.md beside this file for what it reads and the traps it knows."""

    crm = "retailcrm"
    capabilities = CAPABILITIES
    vocabulary = VOCABULARY

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
        return webhooks.check_webhook(request, context)

    def map_webhook(self, context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
        return webhooks.map_webhook(context, body)

    def most_pushed(self, entity: str, account: Account) -> int:
        return push.most_pushed(entity)

    async def push(
        self, http: HttpSession, account: Account, changes: Sequence[Change]
    ) -> Sequence[PushResult | ConnectorError]:
        return await push.push(http, account, changes)

    async def check_health(self, http: HttpSession, account: Account) -> Health:
        return await health.check_health(http, account)

    async def register_webhook(self, http: HttpSession, account: Account, url: str) -> str:
        """RetailCRM has no API for it: says what to do by hand. The secret is not repeated."""
        parts = urlsplit(url)
        return webhooks.instructions(account.options, f"{parts.scheme}://{parts.netloc}{parts.path}?token=SECRET")


connector = RetailCrm()
