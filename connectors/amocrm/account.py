"""The account itself: does its token work, and where does it send its webhooks."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from connectors.amocrm import oauth
from connectors.amocrm.api import Api
from connectors.errors import ConfigError, ConnectorError, NotFoundError, PermanentError
from connectors.http import HttpSession
from connectors.protocol import Account, Health

HOOKS = (
    "add_lead",
    "update_lead",
    "delete_lead",
    "restore_lead",
    "status_lead",
    "add_contact",
    "update_contact",
    "delete_contact",
    "restore_contact",
)
MOST_HOOKS = 100


async def check_health(http: HttpSession, account: Account) -> Health:
    """Try the token with one call."""
    try:
        answer = await Api(http, account).get("/account", [("with", "is_api_filter_enabled")])
    except ConfigError as error:
        return Health(False, _what_is_wrong(account, error))
    except NotFoundError:
        return Health(False, "There is no amoCRM API at this base_url; it should be https://SUBDOMAIN.amocrm.ru")
    except ConnectorError as error:
        return Health(False, error.message)
    value = answer.value
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or type(value.get("id")) is not int:
        return Health(False, "The answer is not amoCRM's; base_url should be https://SUBDOMAIN.amocrm.ru")
    said = f"amoCRM accepts the token; the account is {value['name']}"
    if _filter_state(value) is False:
        said += (
            " (its API filters are switched off, so each pull reads everything: ask amoCRM's support to switch them on)"
        )
    return Health(True, said)


async def register_webhook(http: HttpSession, account: Account, url: str) -> str:
    """Add the URL to the account's webhooks; those of other applications stay. Raises ConnectorError."""
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
    by_hand = (
        f"Add a webhook in amoCRM under amoMarket > ... > WebHooks with the URL {shown}?token=SECRET, where SECRET is "
        "the project's webhook.secret, for leads and contacts added, changed, deleted, restored, and for leads whose "
        "stage changed"
    )
    if "token" not in parts.query:
        return f"amoCRM signs nothing, so the URL itself must carry the project's webhook.secret. {by_hand}"
    api = Api(http, account)
    known = await api.get("/webhooks", [("filter[destination]", url)])
    rows = known.value.get("_embedded", {}).get("webhooks", []) if isinstance(known.value, dict) else []
    mine = next((row for row in rows if isinstance(row, dict) and row.get("destination") == url), None)
    if mine is not None and set(HOOKS) <= set(mine.get("settings") or ()) and not mine.get("disabled"):
        return f"amoCRM sends its webhooks to {shown} already"
    if mine is None and len(rows) >= MOST_HOOKS:
        return f"The account has {MOST_HOOKS} webhooks, which is all that amoCRM allows: remove one, then try again"
    try:
        await api.send("POST", "/webhooks", json={"destination": url, "settings": list(HOOKS)})
    except (PermanentError, ConfigError) as error:
        if error.status == 401:
            raise
        return f"amoCRM does not let this token add webhooks (an administrator's, and a plan with webhooks). {by_hand}"
    return f"amoCRM sends its webhooks to {shown} from now on"


def _what_is_wrong(account: Account, error: ConfigError) -> str:
    if error.status != 401:
        return error.message
    if oauth.uses_oauth(account):
        return error.message.partition(": ")[2] or error.message
    return "amoCRM refuses the credential access_token; it has expired or was revoked, create a new long-lived token"


def _filter_state(value: dict[str, Any]) -> bool | None:
    """None: the account does not tell."""
    found = value.get("is_api_filter_enabled")
    return found if isinstance(found, bool) else None
