"""Tries a definition on the vendor: reads the first page of each entity and maps it, in memory."""

from __future__ import annotations

from urllib.parse import urlsplit

from connectors.custom.access import open_access
from connectors.custom.client import first_rows
from connectors.custom.definition import definition_of
from connectors.custom.trial import Outcome, try_rows
from connectors.errors import ConnectorError
from connectors.http import HttpSession
from connectors.protocol import Account, Health


async def check(http: HttpSession, account: Account) -> Health:
    """As `Connector.check_health`; without a single record there is no proof of the definition."""
    try:
        outcomes = await try_live(http, account)
    except ConnectorError as error:
        return Health(False, error.message)
    for outcome in outcomes:
        if failures := outcome.failures:
            more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
            return Health(False, f"{outcome.entity}: {failures[0]}{more}: correct the definition and apply it again")
    host = urlsplit(account.base_url).hostname
    read = " and ".join(f"{len(outcome.records)} {outcome.entity}" for outcome in outcomes)
    if not any(outcome.records for outcome in outcomes):
        return Health(True, f"{host} answers, but has no record to try the definition on", is_proof=False)
    return Health(True, f"{host} answers; {read} of the first pages are read as the definition says")


async def try_live(http: HttpSession, account: Account) -> list[Outcome]:
    """What the first page of each entity becomes. Raises ConnectorError."""
    definition = definition_of(account.options)
    access = await open_access(http, account, definition)
    return [
        try_rows(entity, await first_rows(access, entity), account.context) for entity in definition.entities.values()
    ]
