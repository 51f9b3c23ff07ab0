"""iiko and Syrve, for restaurants: closed orders become sales, through iikoCloud or the dialect of the requirement."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from connectors.base import BaseConnector
from connectors.errors import ConnectorError
from connectors.http import HttpSession
from connectors.iiko import api, cloud, mapping, masks, places, registration, spec, webhooks
from connectors.iiko.api import CLOUD, DIALECTS, SPEC, Api
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


def check_options(options: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What is wrong with options whose types are right."""
    problems = []
    if options.get("dialect") not in (None, *DIALECTS):
        problems.append(("dialect", f"expected {CLOUD} or {SPEC}"))
    if not all(isinstance(one, str) and one for one in options.get("organization_ids") or ()):
        problems.append(("organization_ids", 'expected a list of ids in quotes, such as ["0a1b2c3d-..."]'))
    return problems


def refine(options: Mapping[str, Any]) -> Capabilities:
    """The dialect decides on credentials and address."""
    if api.dialect_of(options) == CLOUD:
        return _CLOUD
    return replace(
        _CLOUD, credentials=("login", "password"), credential_sets=(), default_base_url=None, can_register_webhook=False
    )


_CLOUD = Capabilities(
    streams=(
        Stream("places", is_dictionary=True),
        Stream("orders", is_incremental=True, has_windows=True, can_read_one=True),
    ),
    credentials=(),
    credential_sets=(("api_login",), ("api_key", "app_id", "client_secret")),
    options={"dialect": str, "organization_ids": list[str]},
    check_options=check_options,
    refine=refine,
    rate_limit=api.RATE_LIMIT,
    can_register_webhook=True,
    default_base_url=api.BASE_URL,
)


class Iiko(BaseConnector):
    """See README.md beside this file for what it reads and the traps it knows."""

    crm = "iiko"
    capabilities = _CLOUD

    async def pull(
        self, http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None = None
    ) -> AsyncIterator[Page]:
        session = Api(http, account)
        if stream == "places":
            yield await places.read_places(session, await session.organizations())
            return
        orders = spec.Orders(session) if session.dialect == SPEC else cloud.Deliveries(session)
        async for page in orders.changes(cursor) if window is None else orders.window(window):
            yield page

    async def read(self, http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
        session = Api(http, account)
        if session.dialect == SPEC:
            return await spec.Orders(session).read(crm_id)
        return await cloud.read(session, crm_id)

    def map_record(self, context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
        return mapping.map_record(context, stream, crm_id, body)

    def map_deletion(self, context: MappingContext, stream: str, crm_id: str) -> Batch:
        """Means nothing: iiko marks what was undone, and what it does not find has only grown old."""
        return Batch()

    def check_webhook(self, request: WebhookRequest, context: MappingContext) -> str:
        return webhooks.check_webhook(request)

    def map_webhook(self, context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
        return webhooks.map_webhook(context, body, received_at)

    async def check_health(self, http: HttpSession, account: Account) -> Health:
        try:
            names = [one.name for one in await Api(http, account).organizations()]
        except ConnectorError as error:
            return Health(False, error.message)
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return Health(True, f"iiko accepts the credentials; they open {shown}")

    async def register_webhook(self, http: HttpSession, account: Account, url: str) -> str:
        return await registration.register(Api(http, account), url)

    def mask_payload(self, body: str) -> str:
        return super().mask_payload(masks.without_people(body))


connector: Connector = Iiko()
