"""What can go wrong with a CRM, grouped by how one recovers: the four words of the project's error vocabulary."""

from __future__ import annotations

from typing import ClassVar, Literal

ErrorWord = Literal["retry", "config", "permanent", "skip_row"]


class ConnectorError(Exception):
    """Base of all; `word` says how to recover. The message is one sentence, fit for a user, without secrets."""

    word: ClassVar[ErrorWord]

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        """HTTP status of the CRM's answer, if there was one."""
        self.retry_after = retry_after
        """Seconds that the CRM asked to wait, if it did."""
        self.request: str | None = None
        """What was asked, as `PUT /order/5 {...}`, without secrets; set where the CRM answered."""
        self.answer: str | None = None
        """What the CRM answered: the body, cut short, without secrets."""


class RetryError(ConnectorError):
    """Network, 408, 429, 5xx, unreadable answer: try again later."""

    word = "retry"


class UnreachableError(RetryError):
    """Nobody answers at the address: what else is asked there just now fails too."""


class ConfigError(ConnectorError):
    """Credentials, rights, wrong address: stop this project and tell its owner."""

    word = "config"


class PermanentError(ConnectorError):
    """The CRM refuses this request for good: dead letter."""

    word = "permanent"


class NotFoundError(PermanentError):
    """The object does not exist at the CRM (any more)."""


class SkipRowError(ConnectorError):
    """One record is unreadable: keep it as a dead letter, go on with the rest."""

    word = "skip_row"


class WebhookRefusedError(Exception):
    """A webhook that is not authentic (401)."""


class WebhookUnreadableError(Exception):
    """An authentic webhook that cannot be read (400); kept in raw.rejected. The message says why."""
