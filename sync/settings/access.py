"""Single changes of a project's access to its CRM, by the code of `crm-elt apply`: checked, audited, no secret shown.

Secrets travel beside the settings' text, as its variables: no message can repeat one.
"""

from __future__ import annotations

import base64
import secrets as randomness
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from database.connection import Connection
from database.encryption import Keyring
from database.repositories import settings
from sync.settings.applying import ApplyResult, apply_settings
from sync.settings.exporting import export_settings
from sync.settings.problems import Problem, SettingsError
from sync.settings.strict_yaml import load, natural
from sync.settings.variables import escaped

Document = dict[str, Any]
"""A project as a settings file has it."""

_SOURCE = "dashboard"


async def replace_credentials(
    connection: Connection, keyring: Keyring, project_id: str, values: Mapping[str, str], *, actor: str
) -> ApplyResult:
    """Set these credentials; the others stay. Raises SettingsError, UnknownProjectError."""
    return await edit_project(connection, keyring, project_id, lambda document: None, actor=actor, credentials=values)


async def new_webhook_secret(connection: Connection, keyring: Keyring, project_id: str, *, actor: str) -> str:
    """Replace the secret of the project's webhooks by a random one, and give it back: it is shown nowhere else.

    Raises SettingsError, UnknownProjectError.
    """
    row = await settings.load_project(connection, project_id)
    scheme = "token" if row is None else row.webhook.get("auth") or "token"
    secret = randomness.token_urlsafe(32)
    if scheme == "standard":
        secret = "whsec_" + base64.b64encode(randomness.token_bytes(32)).decode()
    await edit_project(connection, keyring, project_id, lambda document: None, actor=actor, webhook_secret=secret)
    return secret


async def replace_options(
    connection: Connection, keyring: Keyring, project_id: str, options: Mapping[str, Any], *, actor: str
) -> ApplyResult:
    """Set these options; the others stay. Raises SettingsError, UnknownProjectError."""

    def edit(document: Document) -> None:
        document["options"] = {**document.get("options", {}), **escaped(dict(options))}

    return await edit_project(connection, keyring, project_id, edit, actor=actor)


async def edit_project(
    connection: Connection,
    keyring: Keyring,
    project_id: str,
    edit: Callable[[Document], None],
    *,
    actor: str,
    credentials: Mapping[str, str] | None = None,
    webhook_secret: str | None = None,
) -> ApplyResult:
    """Change what is stored of a project. Raises SettingsError, UnknownProjectError."""
    async with connection.transaction():
        await settings.lock(connection)  # nobody else changes it between reading and writing
        document = await stored_document(connection, project_id)
        edit(document)
        return await apply_document(
            connection, keyring, document, actor=actor, credentials=credentials, webhook_secret=webhook_secret
        )


async def add_project(
    connection: Connection,
    keyring: Keyring,
    values: Mapping[str, Any],
    credentials: Mapping[str, str],
    *,
    actor: str,
) -> ApplyResult:
    """A new project of these settings (id, name, crm, timezone ...). Raises SettingsError."""
    async with connection.transaction():
        await settings.lock(connection)
        if await settings.load_project(connection, str(values.get("id") or "")) is not None:
            raise SettingsError([Problem("projects[0].id", "there is a project of this id already")])
        return await apply_document(connection, keyring, escaped(dict(values)), actor=actor, credentials=credentials)


async def apply_document(
    connection: Connection,
    keyring: Keyring,
    document: Document,
    *,
    actor: str,
    credentials: Mapping[str, str] | None = None,
    webhook_secret: str | None = None,
) -> ApplyResult:
    """Apply one project; text in it is escaped already. Raises SettingsError."""
    variables: dict[str, str] = {}
    for number, (name, value) in enumerate((credentials or {}).items()):
        variables[f"CREDENTIAL_{number}"] = value
        document.setdefault("credentials", {})[name] = f"${{CREDENTIAL_{number}}}"
    if webhook_secret is not None:
        variables["WEBHOOK_SECRET"] = webhook_secret
        document.setdefault("webhook", {})["secret"] = "${WEBHOOK_SECRET}"  # noqa: S105 - a variable
    text = yaml.safe_dump({"projects": [document]}, sort_keys=False, allow_unicode=True)
    return await apply_settings(connection, keyring, text, source=_SOURCE, environ=variables, actor=actor)


async def stored_document(connection: Connection, project_id: str) -> Document:
    """A project as `apply` takes it, without any secret: what is left out stays. Raises UnknownProjectError."""
    document: Document = yaml.safe_load(await export_settings(connection, project_id))["projects"][0]
    document.pop("credentials", None)
    document.get("webhook", {}).pop("secret", None)
    if not document.get("webhook"):
        document.pop("webhook", None)
    return document


def read_mapping(text: str, source: str) -> dict[str, Any]:
    """A part of a settings file, in YAML or JSON, that somebody typed. Raises SettingsError."""
    tree, problems = load(text, source)
    if problems:
        raise SettingsError(problems)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError([Problem(source, "expected a mapping")])
    value = natural(tree)
    assert isinstance(value, dict)
    return value
