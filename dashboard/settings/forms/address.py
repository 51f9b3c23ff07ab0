"""Where the CRM's API is, and how its webhooks prove that they are from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.settings.forms.base import Draft, Fields
from sync.settings.rows import WEBHOOK_DEFAULTS

_CHOSEN, _TYPED = ("auth", "encoding"), ("header", "prefix")


def show(value: Mapping[str, Any]) -> dict[str, str]:
    """`base_url`, and a field of its name for each setting of webhooks but the secret, which nobody is shown."""
    webhook = {**WEBHOOK_DEFAULTS, **value.get("webhook", {})}
    fields = {name: str(webhook[name]) for name in (*_CHOSEN, *_TYPED) if webhook[name]}
    fields["ip_allow"] = ", ".join(webhook["ip_allow"])
    fields["base_url"] = value.get("base_url") or ""
    return {name: text for name, text in fields.items() if text}


def read(fields: Fields) -> Draft:
    """What has its default is left out, as a settings file does; an empty `secret` keeps the stored one."""
    draft = Draft()
    draft.at("base_url", "base_url")
    draft.at("auth", "webhook")
    for name in (*_CHOSEN, *_TYPED, "ip_allow", "secret"):
        draft.at(name, "webhook", name)
    if address := fields.get("base_url", "").strip():
        draft.value["base_url"] = address
    webhook: dict[str, Any] = {
        name: text for name in _CHOSEN if (text := fields.get(name, "")) not in ("", WEBHOOK_DEFAULTS[name])
    }
    webhook |= {name: text for name in (*_TYPED, "secret") if (text := fields.get(name, "").strip())}
    if networks := fields.get("ip_allow", "").replace(",", " ").split():
        webhook["ip_allow"] = networks
    if webhook:
        draft.value["webhook"] = webhook
    return draft
