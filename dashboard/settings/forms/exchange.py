"""What is pulled and how, the two-way sync and its conflicts, and the orders that the dashboard shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.settings.forms.base import ON, Draft, Fields, kept_rows, put, rows
from sync.settings.rows import SYNC_DEFAULTS, VMS_DEFAULTS

SYNC_FLAGS = tuple(name for name, default in SYNC_DEFAULTS.items() if isinstance(default, bool))
SYNC_NUMBERS = ("interval_minutes", "batch_size", "retry_attempts", "max_concurrent_requests")
VMS_FLAGS = tuple(name for name, default in VMS_DEFAULTS.items() if isinstance(default, bool))
PER_FIELD = "per-field"


def show_sync(value: Mapping[str, Any]) -> dict[str, str]:
    """A field of its name for each setting."""
    return _shown({**SYNC_DEFAULTS, **value.get("sync", {})})


def read_sync(fields: Fields) -> Draft:
    draft = _with_places("sync", (*SYNC_FLAGS, *SYNC_NUMBERS, "since"))
    sync: dict[str, Any] = {name: fields.get(name) == ON for name in SYNC_FLAGS}
    sync |= {name: fields.get(name, "").strip() for name in SYNC_NUMBERS}
    if since := fields.get("since", "").strip():
        sync["since"] = since
    draft.value["sync"] = sync
    return draft


def show_two_way(value: Mapping[str, Any]) -> dict[str, str]:
    """`given`: the settings say anything of it."""
    vms = value.get("vms")
    return _shown({"given": vms is not None, **VMS_DEFAULTS, **(vms or {})})


def read_two_way(fields: Fields) -> Draft:
    draft = _with_places("vms", (*VMS_FLAGS, "clock_skew_seconds"))
    if fields.get("given") == ON:
        flags: dict[str, Any] = {name: fields.get(name) == ON for name in VMS_FLAGS}
        draft.value["vms"] = {**flags, "clock_skew_seconds": fields.get("clock_skew_seconds", "").strip()}
    return draft


def show_conflicts(value: Mapping[str, Any]) -> dict[str, str]:
    """`policy` (a policy or `per-field`), `field.N.name`, `.policy`."""
    policy = value.get("conflict_policy", "newest")
    if isinstance(policy, str):
        return {"policy": policy}
    fields = {"policy": PER_FIELD}
    for index, (name, chosen) in enumerate(policy.items()):
        put(fields, "field", index, {"name": name, "policy": chosen})
    return fields


def read_conflicts(fields: Fields) -> Draft:
    """Without a row, `per-field` is the default."""
    draft = Draft()
    draft.at("policy", "conflict_policy")
    if fields.get("policy") != PER_FIELD:
        draft.value["conflict_policy"] = fields.get("policy", "")
        return draft
    found: dict[str, str] = {}
    for row in kept_rows(fields, "field"):
        name = row.get("name")
        if not name:
            continue
        if name in found:
            draft.problems.append((f"{row.name}.name", "This field has a policy already."))
            continue
        draft.at(f"{row.name}.policy", "conflict_policy", name)
        found[name] = row.get("policy")
    draft.value["conflict_policy"] = found
    return draft


def show_dashboard(value: Mapping[str, Any], groups: Sequence[str], statuses: Sequence[str]) -> dict[str, str]:
    """`group.N.id`, `.hidden`; `status.N.id`, `.hidden`; `closed_days`."""
    section = value.get("dashboard", {})
    closed_days = section.get("closed_days")
    fields = {"closed_days": "" if closed_days is None else str(closed_days)}
    for name, known, key in (("group", groups, "hidden_groups"), ("status", statuses, "hidden_statuses")):
        hidden = section.get(key, [])
        for index, one in enumerate(dict.fromkeys((*known, *hidden))):
            put(fields, name, index, {"id": one, "hidden": one in hidden})
    return fields


def read_dashboard(fields: Fields) -> Draft:
    draft = Draft()
    draft.at("closed_days", "dashboard", "closed_days")
    section: dict[str, Any] = {}
    for name, key in (("group", "hidden_groups"), ("status", "hidden_statuses")):
        hidden = [row for row in rows(fields, name) if row.has("hidden")]
        for index, row in enumerate(hidden):
            draft.at(f"{row.name}.hidden", "dashboard", key, index)
        section[key] = [row.get("id") for row in hidden]
    if days := fields.get("closed_days", "").strip():
        section["closed_days"] = days
    draft.value["dashboard"] = section
    return draft


def _with_places(section: str, names: Sequence[str]) -> Draft:
    draft = Draft()
    for name in names:
        draft.at(name, section, name)
    return draft


def _shown(values: Mapping[str, Any]) -> dict[str, str]:
    texts = {name: ON if value is True else str(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if values[name] is not None and values[name] is not False}
