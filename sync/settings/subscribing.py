"""The part of `crm-elt apply` that is about subscriptions. One that the file does not name stays as it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from connectors.errors import WebhookRefusedError
from connectors.webhook_auth import standard_keys
from database.connection import Connection
from database.encryption import EncryptionError, Keyring
from database.repositories import settings, subscriptions
from database.repositories.subscriptions import SubscriptionRow
from sync.settings.changes import Change
from sync.settings.models import Subscription
from sync.settings.problems import FilePath, Problem, format_path

OBJECT = "subscription"
"""How its changes are named."""


async def check(
    connection: Connection, items: Sequence[tuple[FilePath, Subscription]], named: Collection[str]
) -> list[Problem]:
    """What is wrong with subscriptions, given the projects that the same file names."""
    if not items:
        return []
    stored = {row.subscription_id: row for row in await subscriptions.load_all(connection)}
    known = {project.project_id for project in await settings.list_projects(connection)} | set(named)
    problems = []
    for path, item in items:
        if item.secret is None and item.id not in stored:
            problems.append(Problem(format_path((*path, "secret")), "required"))
        if item.secret is not None:
            try:
                standard_keys(item.secret)
            except WebhookRefusedError:
                problems.append(Problem(format_path((*path, "secret")), "what follows whsec_ is not base64"))
        problems += [
            Problem(format_path((*path, "projects", index)), f"there is no project {name}")
            for index, name in enumerate(item.projects or ())
            if name not in known
        ]
    return problems


async def apply(connection: Connection, keyring: Keyring, items: Sequence[Subscription]) -> list[Change]:
    """Make the stored subscriptions so. Returns what changed, and writes nothing else."""
    if not items:
        return []
    stored = {row.subscription_id: row for row in await subscriptions.load_all(connection)}
    changes: list[Change] = []
    for item in items:
        row = stored.get(item.id)
        before = None if row is None else _shown(row.url, row.project_ids, row.is_medical)
        after = _shown(item.url, item.projects, item.medical)
        old_secret = None if row is None else _secret(row, keyring)
        secret = item.secret or old_secret
        if secret is None:
            continue  # it does not decrypt and no other is given: it stays as it is
        found = []
        if before is None:
            found.append(Change(item.id, OBJECT, "added", None, after))
        else:
            if before != after:
                found.append(Change(item.id, OBJECT, "changed", before, after))
            if secret != old_secret:
                found.append(Change(item.id, f"{OBJECT} secret", "changed"))
        if found:
            await subscriptions.upsert(
                connection, keyring, item.id,
                url=item.url, project_ids=item.projects, is_medical=item.medical, secret=secret,
            )  # fmt: skip
        changes += found
    return changes


def _shown(url: str | None, projects: list[str] | None, is_medical: bool) -> dict[str, Any]:
    return {"url": url, "projects": "all" if projects is None else sorted(projects), "medical": is_medical}


def _secret(row: SubscriptionRow, keyring: Keyring) -> str | None:
    try:
        return row.secret(keyring)
    except EncryptionError:
        return None
