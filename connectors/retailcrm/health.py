"""Whether the key works, and is allowed what the connector needs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from connectors.errors import ConnectorError
from connectors.http import HttpSession
from connectors.protocol import Account, Health
from connectors.retailcrm import api

NEEDED_SCOPES = ("order_read", "customer_read", "reference_read")


async def check_health(http: HttpSession, account: Account) -> Health:
    """Try the key, its rights and its sites. Never raises ConnectorError."""
    try:
        granted = await api.get_unversioned(http, account, "/credentials")
    except ConnectorError as error:
        return Health(False, error.message)
    scopes = granted.get("scopes")
    if type(scopes) is list and (missing := [scope for scope in NEEDED_SCOPES if scope not in scopes]):
        return Health(False, f"The api_key lacks the right {', '.join(missing)}: add it in RetailCRM's API settings")
    sites, wanted = granted.get("sitesAvailable"), account.options.get("site")
    if granted.get("siteAccess") == "access_selective" and wanted and type(sites) is list and wanted not in sites:
        return Health(False, f"The api_key has no access to the site {wanted}: allow it, or correct options.site")
    return Health(True, f"RetailCRM accepts the key; the account is {await _name(http, account)}")


async def _name(http: HttpSession, account: Account) -> str:
    """The account's public address, by which its owner knows it."""
    try:
        info: dict[str, Any] = await api.get_unversioned(http, account, "/system-info")
    except ConnectorError:
        info = {}
    public = info.get("publicUrl")
    host = urlsplit(public).hostname if type(public) is str else None
    return host or urlsplit(account.base_url).hostname or account.base_url
