"""Registers the ingest API for iiko's webhooks: one address per API login and organization."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from connectors.errors import PermanentError
from connectors.iiko.api import SPEC, Api

_STATUSES = ["Unconfirmed", "Delivered", "Closed", "Cancelled"]
FILTER = {
    "deliveryOrderFilter": {"orderStatuses": _STATUSES, "errors": False},
    "tableOrderFilter": {"orderStatuses": ["New", "Bill", "Closed", "Deleted"], "errors": False},
}
"""What a sale begins with, becomes, and is undone by."""


async def register(api: Api, url: str) -> str:
    """Register the URL; its `token` becomes the authToken that iiko sends as `Authorization`. What another program has
    registered with the same login is left alone. Raises ConnectorError."""
    parts = urlsplit(url)
    token = (parse_qs(parts.query).get("token") or [""])[0]
    target = urlunsplit(parts._replace(query="", fragment=""))
    if api.dialect == SPEC:
        return f"This dialect of iiko sends no webhooks: {target} was not registered, orders come by polling"
    done, taken = [], []
    for organization in await api.organizations():
        body: dict[str, Any] = {"organizationId": organization.organization_id}
        settings = await api.post("/api/1/webhooks/settings", body)
        known = settings.get("webHooksUri") if isinstance(settings, dict) else None
        if isinstance(known, str) and known and _without_query(known) != target:
            taken.append(organization.name)
            continue
        asked = {**body, "webHooksUri": target, "webHooksFilter": FILTER, **({"authToken": token} if token else {})}
        await api.post("/api/1/webhooks/update_settings", asked)
        done.append(organization.name)
    if taken:
        also = f"; {', '.join(done)} was registered" if done else ""
        raise PermanentError(
            f"{', '.join(taken)} sends its webhooks elsewhere already, and iiko has one address per API login: make "
            f"another login for {target} in iikoWeb, or clear the other address there{also}"
        )
    hint = "" if token else "; set webhook: {auth: bearer, secret: ...} and register again, or they are refused"
    return f"iiko sends the orders of {', '.join(done)} to {target}{hint}"


def _without_query(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(query="", fragment=""))
