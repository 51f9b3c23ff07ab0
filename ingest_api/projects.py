"""Which projects there are and how their webhooks are verified, kept in memory and never long out of date.

All projects are read at once, so that a flood of unknown names costs one query per `RECHECK_SECONDS` and no memory.
A secret is decrypted at its first use. While the database is away the last known settings are used: nothing is
answered 200 in that time anyway.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from connectors import registry
from connectors.protocol import Connector, MappingContext, WebhookAuth
from database.encryption import EncryptionError, Keyring
from database.repositories.credentials import WEBHOOK_SECRET
from database.repositories.landing import WebhookSettings

FRESH_SECONDS = 2.0
"""How old settings may be that a webhook is verified with."""
RENEW_SECONDS = 1.0
"""Age from which they are read again in the background, so that nobody waits for it under load."""
RECHECK_SECONDS = 0.25
"""Age from which settings are read again before a project is called unknown or a token wrong."""
_LONGEST_READ = 2.0
_PAUSE_AFTER_FAILURE = 0.5

log = structlog.get_logger()


class SettingsUnknownError(Exception):
    """The database has not been reached since this process started."""


@dataclass(frozen=True, slots=True)
class Project:
    project_id: str
    crm: str
    connector: Connector
    auth: WebhookAuth
    context: MappingContext
    problem: str | None = None
    """Why nothing can be verified or read, though its secrets are set: they do not decrypt."""


@dataclass(slots=True)
class _Entry:
    settings: WebhookSettings
    project: Project | None = field(default=None)


class ProjectDirectory:
    """`load` reads the settings of all projects; `keyring` opens their secrets."""

    def __init__(
        self,
        load: Callable[[], Awaitable[Sequence[WebhookSettings]]],
        keyring: Keyring,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._keyring = keyring
        self._entries: dict[str, _Entry] = {}
        self._read_at = float("-inf")
        self._failed_at = float("-inf")
        self._away_since: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._time = clock

    @property
    def age(self) -> float:
        """Seconds since the settings were read; infinite before the first time."""
        return self._time() - self._read_at

    def peek(self, project_id: str) -> Project | None:
        """The project if it is known and fresh: the way of nearly every webhook."""
        age = self.age
        if age > RENEW_SECONDS:
            if age > FRESH_SECONDS:
                return None
            self._begin_reading()
        entry = self._entries.get(project_id)
        return None if entry is None else entry.project

    async def find(self, project_id: str) -> Project | None:
        """The project, or None if there is none. Raises SettingsUnknownError."""
        await self.renew(FRESH_SECONDS)
        entry = self._entries.get(project_id)
        if entry is None:
            await self.renew(RECHECK_SECONDS)
            entry = self._entries.get(project_id)
        if entry is None:
            return None
        if entry.project is None:
            entry.project = self._open(entry.settings)
        return entry.project

    async def names(self, crm: str) -> list[str]:
        """The projects of one CRM. Raises SettingsUnknownError."""
        await self.renew(FRESH_SECONDS)
        return sorted(name for name, entry in self._entries.items() if entry.settings.crm == crm)

    async def renew(self, age: float) -> bool:
        """Read the settings again if they are older than `age` seconds; whether they are new.

        Raises SettingsUnknownError if they have never been read and cannot be read now.
        """
        before = self._read_at
        if self.age > age:
            reading = self._begin_reading()
            if reading is not None:
                await asyncio.shield(reading)
        if self._read_at == float("-inf"):
            raise SettingsUnknownError("The database is away; nothing was stored, send it again in a moment.")
        return self._read_at > before

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _begin_reading(self) -> asyncio.Task[None] | None:
        """The running or a new reading; None shortly after one has failed."""
        if self._reading is None:
            if self._time() - self._failed_at < _PAUSE_AFTER_FAILURE:
                return None
            self._reading = asyncio.get_running_loop().create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        started = self._time()
        try:
            async with asyncio.timeout(_LONGEST_READ):
                settings = await self._load()
        except Exception as error:  # noqa: BLE001 - the last known settings stay
            self._failed_at = self._time()
            if self._away_since is None:  # once per outage, however many attempts it takes
                self._away_since = started
                log.warning("project_settings_not_read", kind=type(error).__name__)
            return
        finally:
            self._reading = None
        old = self._entries
        self._entries = {row.project_id: _kept(old.get(row.project_id), row) for row in settings}
        self._read_at = started  # what was committed later may be missing
        if self._away_since is not None:
            log.info("project_settings_read_again", away_seconds=round(self._time() - self._away_since, 1))
            self._away_since = None

    def _open(self, settings: WebhookSettings) -> Project | None:
        try:
            connector = registry.get(settings.crm)
        except KeyError:
            return None  # of a version that has more connectors
        secrets: dict[str, str] = {}
        problem = None
        for name in (WEBHOOK_SECRET, *connector.capabilities.mapping_secrets):
            if name not in settings.secrets:
                continue
            try:
                secrets[name] = self._keyring.decrypt(settings.project_id, name, settings.secrets[name])
            except EncryptionError as error:
                problem = str(error)
                log.warning("webhook_secret_unreadable", project=settings.project_id, error=problem)
        auth = webhook_auth(settings.webhook, secrets.pop(WEBHOOK_SECRET, None))
        context = MappingContext(
            settings.project_id,
            settings.timezone,
            settings.region,
            settings.currency,
            settings.options,
            secrets=secrets,
        )
        return Project(settings.project_id, settings.crm, connector, auth, context, problem)


def _kept(entry: _Entry | None, settings: WebhookSettings) -> _Entry:
    """The entry with its opened secret where nothing has changed."""
    return entry if entry is not None and entry.settings == settings else _Entry(settings)


def webhook_auth(webhook: dict[str, Any], secret: str | None) -> WebhookAuth:
    """How to verify, from the column config.projects.webhook. Settings that name no scheme refuse everything."""
    return WebhookAuth(
        scheme=webhook.get("auth") or "unset",
        secret=(secret or "").strip() or None,
        header=(webhook.get("header") or "").lower() or None,
        encoding=webhook.get("encoding") or "hex",
        prefix=webhook.get("prefix") or "",
        ip_allow=tuple(webhook.get("ip_allow") or ()),
    )
