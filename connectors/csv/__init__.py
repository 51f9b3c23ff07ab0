"""CSV files of sales: no API; files come through the ingest API or `crm-elt import-csv` (sync/csv_import.py)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import phonenumbers

from connectors.base import BaseConnector
from connectors.csv import rows
from connectors.errors import ConfigError, SkipRowError, WebhookUnreadableError
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

_NO_API = "A CSV project has no API to read: upload its files to /uploads/csv/PROJECT, or run `crm-elt import-csv`"
_CURRENCY = re.compile(r"[A-Z]{3}")


def check_options(options: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What is wrong with options whose types are right."""
    problems = []
    region, currency = options.get("phone_region"), options.get("currency")
    if region is not None and region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        problems.append(("phone_region", "not a country of two letters, such as RU or UA"))
    if currency is not None and not _CURRENCY.fullmatch(currency):
        problems.append(("currency", "not a currency of three capital letters, such as RUB or UAH"))
    return problems


class CsvFiles(BaseConnector):
    """See README.md beside this file for what a file looks like and the traps it knows."""

    crm = "csv"
    capabilities = Capabilities(
        streams=(Stream(rows.STREAM),),
        credentials=(),
        options={"phone_region": str, "currency": str},
        check_options=check_options,
        has_api=False,
    )

    def pull(
        self, http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None = None
    ) -> AsyncIterator[Page]:
        """There is nothing to pull. Raises ConfigError."""
        raise ConfigError(f"{_NO_API}.")

    async def read(self, http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
        """There is nothing to read. Raises ConfigError."""
        raise ConfigError(f"{_NO_API}.")

    def map_record(self, context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
        return rows.map_record(context, crm_id, body)

    def map_deletion(self, context: MappingContext, stream: str, crm_id: str) -> Batch:
        return rows.map_deletion(crm_id)

    def check_webhook(self, request: WebhookRequest, context: MappingContext) -> str:
        raise WebhookUnreadableError(
            f"a CSV project takes no webhooks: POST the file to /uploads/csv/{context.project_id}"
        )

    def map_webhook(self, context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
        raise SkipRowError("A CSV project takes no webhooks.")

    async def check_health(self, http: HttpSession, account: Account) -> Health:
        return Health(True, f"Takes CSV files at /uploads/csv/{account.project_id}; there is no API to try.")

    async def register_webhook(self, http: HttpSession, account: Account, url: str) -> str:
        """There is no webhook: says where files go. The secret is not repeated."""
        parts = urlsplit(url)
        path = parts.path.replace("/webhooks/csv/", "/uploads/csv/")
        return (
            "A CSV project gets no webhooks. POST its files, as the multipart field `file` or as the body, to "
            f"{parts.scheme}://{parts.netloc}{path} with the project's webhook.secret in the header X-Webhook-Token"
        )


connector: Connector = CsvFiles()
