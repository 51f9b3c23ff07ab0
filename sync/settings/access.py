"""A project's access to its CRM, by the code of `crm-elt apply`: checked and audited, and no secret in any message.

Secrets travel beside the settings' text, as its variables.
"""

from __future__ import annotations

import base64
import secrets as randomness
from collections.abc import Mapping
from typing import Any

from database.connection import Connection
from database.encryption import Keyring
from database.repositories import settings
from sync.settings.applying import ApplyResult, apply_settings
from sync.settings.editing import Document, load_document
from sync.settings.exporting import escaped, yaml_of
from sync.settings.problems import Problem, SettingsError
from sync.settings.strict_yaml import load, natural

_SOURCE = "dashboard"
_PREFIX = "projects[0]."


async def replace_credentials(
    connection: Connection, keyring: Keyring, project_id: str, values: Mapping[str, str], *, actor: str
) -> ApplyResult:
    """Set these credentials; the others stay. Raises UnknownProjectError, and SettingsError with places inside of the
    project (`credentials.api_key`)."""
    async with connection.transaction():
        await settings.lock(connection)  # nobody else changes it between reading and writing
        document = escaped(await load_document(connection, project_id))
        return await _apply(connection, keyring, document, actor, credentials=values)


async def new_webhook_secret(connection: Connection, keyring: Keyring, project_id: str, *, actor: str) -> str:
    """Replace the secret of the project's webhooks by a random one, and give it back: it is shown nowhere else.

    Raises SettingsError, UnknownProjectError.
    """
    async with connection.transaction():
        await settings.lock(connection)
        document = escaped(await load_document(connection, project_id))
        secret = randomness.token_urlsafe(32)
        if document.get("webhook", {}).get("auth") == "standard":
            secret = "whsec_" + base64.b64encode(randomness.token_bytes(32)).decode()
        await _apply(connection, keyring, document, actor, webhook_secret=secret)
    return secret


async def add_project(
    connection: Connection, keyring: Keyring, values: Mapping[str, Any], credentials: Mapping[str, str], *, actor: str
) -> ApplyResult:
    """A new project of these settings (id, name, crm, timezone ...). Raises SettingsError."""
    async with connection.transaction():
        await settings.lock(connection)
        if await settings.load_project(connection, str(values.get("id") or "")) is not None:
            raise SettingsError([Problem("id", "there is a project of this id already")])
        return await _apply(connection, keyring, escaped(dict(values)), actor, credentials=credentials)


def read_mapping(text: str, source: str) -> dict[str, Any]:
    """A part of a settings file, in YAML or JSON, that somebody typed. Raises SettingsError."""
    tree, problems = load(text, source)
    if problems:
        raise SettingsError(problems)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError([Problem(source, "expected a mapping")])
    return dict(natural(tree))


async def _apply(
    connection: Connection,
    keyring: Keyring,
    document: Document,
    actor: str,
    *,
    credentials: Mapping[str, str] | None = None,
    webhook_secret: str | None = None,
) -> ApplyResult:
    """Apply one project, whose texts are escaped already."""
    variables: dict[str, str] = {}
    given = dict(document)
    for number, (name, value) in enumerate((credentials or {}).items()):
        variables[f"CREDENTIAL_{number}"] = value
        given["credentials"] = {**given.get("credentials", {}), name: f"${{CREDENTIAL_{number}}}"}
    if webhook_secret is not None:
        variables["WEBHOOK_SECRET"] = webhook_secret
        given["webhook"] = {**given.get("webhook", {}), "secret": "${WEBHOOK_SECRET}"}
    text = yaml_of({"projects": [{key: item for key, item in given.items() if item not in (None, {}, [])}]})
    try:
        return await apply_settings(connection, keyring, text, source=_SOURCE, environ=variables, actor=actor)
    except SettingsError as error:
        problems = [Problem(item.where.removeprefix(_PREFIX), item.message) for item in error.problems]
        raise SettingsError(problems) from None
