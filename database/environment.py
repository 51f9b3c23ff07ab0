"""The environment variables of the whole stack, read and checked once at start."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65535)]


class ConfigurationError(Exception):
    """A variable of the environment is missing or wrong; the message names it and says what is expected."""


class Environment(BaseSettings):
    """`DATABASE_URL` and the `CRM_ELT_*` variables. Each process reads them by `load_environment`."""

    model_config = SettingsConfigDict(env_prefix="CRM_ELT_", extra="ignore", frozen=True)

    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL", repr=False)
    """Unset: an embedded PostgreSQL under `home` is started."""
    home: Path = Path(".crm-elt")
    """State folder: embedded database, master key, Dagster's and dbt's files."""
    master_key: str | None = Field(default=None, repr=False)
    """32 bytes, base64; unset: a key is created under `home` (development)."""
    master_keys_previous: str | None = Field(default=None, repr=False)
    """Comma-separated; keys that may still decrypt while a rotation runs."""
    database_port: Port | None = None
    """Of the embedded server; unset: a free one, kept for later starts."""
    ingest_host: str = "127.0.0.1"
    ingest_port: Port = 8000
    dashboard_host: str = "127.0.0.1"
    dashboard_port: Port = 8080
    dashboard_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated; other sites whose pages may call the dashboard, as https://vms.example.com."""
    dagster_host: str = "127.0.0.1"
    dagster_port: Port = 3000
    dagster_database_url: str | None = Field(default=None, repr=False)
    """Where Dagster keeps its runs and events; unset: the database `dagster` on the same server."""
    first_day: date = date(2020, 1, 1)
    """Oldest day that can be backfilled from Dagster's pages; older history comes by `crm-elt sync --full`."""
    docs_port: Port = 8081
    """Where `crm-elt up` serves the dbt docs."""
    ingest_url: str | None = None
    """As CRMs reach the ingest API, https://hooks.example.com; unset: its host and port. Shown on the dashboard."""
    dagster_url: str | None = None
    """As people reach Dagster; unset: its host and port."""
    docs_url: str | None = None
    """As people reach the dbt docs; unset: 127.0.0.1 and their port."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """auto: JSON lines for services off a terminal, else console."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    ingest_group_limit: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Most webhooks that share one commit."""
    ingest_queue_limit: Annotated[int, Field(ge=1)] = 10_000
    """Webhooks that may wait for a commit before new ones are answered 503."""
    ingest_wait_seconds: Annotated[float, Field(gt=0)] = 10.0
    """How long a webhook waits for the database before it is answered 503."""
    keep_outbox_days: Annotated[float, Field(ge=1, le=3650)] = 14.0
    """Changes of vms that were sent, or had not to be sent, are forgotten after so long; those that failed never."""
    keep_ledger_days: Annotated[float, Field(ge=1, le=3650)] = 30.0
    """What the two-way sync wrote is forgotten after so long: webhooks that repeat it come within hours."""

    @field_validator("database_url", "dagster_database_url")
    @classmethod
    def _is_postgresql(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("expected postgresql://user:password@host:port/database")
        return value or None

    @property
    def public_ingest_url(self) -> str:
        return self.ingest_url or f"http://{self.ingest_host}:{self.ingest_port}"

    @property
    def public_dagster_url(self) -> str:
        return self.dagster_url or f"http://{self.dagster_host}:{self.dagster_port}"

    @property
    def public_docs_url(self) -> str:
        return self.docs_url or f"http://127.0.0.1:{self.docs_port}"

    @field_validator("ingest_url", "dagster_url", "docs_url")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value and (parts.scheme not in ("http", "https") or not parts.netloc):
            raise ValueError("expected an address like https://hooks.example.com")
        return value.rstrip("/") if value else None

    @field_validator("dashboard_origins", mode="before")
    @classmethod
    def _are_origins(cls, value: str | tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
        for name in names:
            parts = urlsplit(name)
            if parts.scheme not in ("http", "https") or not parts.netloc or name != f"{parts.scheme}://{parts.netloc}":
                raise ValueError(f"expected origins like https://vms.example.com, got {name}")
        return names

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()


def load_environment() -> Environment:
    """The environment of this process.

    Raises ConfigurationError naming the variable that is wrong.
    """
    try:
        return Environment()
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentence(item) for item in error.errors())) from None


def _sentence(item: object) -> str:
    assert isinstance(item, dict)
    name = str(item["loc"][0])
    variable = name if name.isupper() else f"CRM_ELT_{name.upper()}"
    reason = str(item["msg"]).removeprefix("Value error, ")
    return f"{variable}: {reason[0].lower()}{reason[1:]}"
