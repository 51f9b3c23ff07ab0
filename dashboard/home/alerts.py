"""What is wrong with a project, and what to do about it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dashboard.marks import N_, NN_
from database.repositories.overview import AlertCount, SyncState, Waiting
from database.repositories.settings import ProjectRow
from sync.switching import BY_HAND

Tone = Literal["over", "near"]
"""It stands still, or it goes on but somebody has to look."""
_INTEGRATION, _LETTERS, _CONFLICTS = "/integrations/{}", "/sync/dead-letters?project={}", "/sync/conflicts?project={}"
_DEFAULT_INTERVAL = 5
_INTERVALS = 3
_GRACE = timedelta(minutes=10)
"""A project is late after so many of its intervals and what a run may take beyond them, as Dagster's check has it."""
_LONGEST = 240


@dataclass(frozen=True, slots=True)
class Words:
    """English; translated where they are shown."""

    title: tuple[str, str]
    """For one, and for `%(num)s`."""
    advice: str
    page: str
    """Where it is mended; `{}` is the project."""
    tone: Tone


@dataclass(frozen=True, slots=True)
class Alert:
    kind: str
    count: int
    since: datetime | None
    message: str | None
    """What the newest one says, in English or in the CRM's words."""

    @property
    def words(self) -> Words:
        return WORDS.get(self.kind, _UNKNOWN)

    def page(self, project_id: str) -> str:
        """The address of the page that mends it."""
        return self.words.page.format(project_id)


def _one(text: str) -> tuple[str, str]:
    return text, text


WORDS: Mapping[str, Words] = {
    "disabled": Words(
        _one(N_("The project is stopped: its settings do not work")),
        N_("Mend the settings, test the connection, then enable the project."), _INTEGRATION, "over",
    ),
    "pull_failed": Words(
        _one(N_("The last synchronisation failed")),
        N_("Test the connection, and read in the log what the CRM answers."), _INTEGRATION, "over",
    ),
    "pull_retried": Words(
        _one(N_("The last synchronisation failed")),
        N_("It is tried again by itself. If this stays, test the connection."), _INTEGRATION, "near",
    ),
    "late": Words(
        _one(N_("The project is synchronised too rarely")),
        N_("See whether Dagster runs, then synchronise by hand."), _INTEGRATION, "near",
    ),
    "crm_away": Words(
        _one(N_("The CRM does not answer")),
        N_("Changes wait and are sent when it is back. If this stays, test the connection."), _INTEGRATION, "over",
    ),
    "inbound": Words(
        NN_("%(num)s record could not be applied", "%(num)s records could not be applied"),
        N_("Read why, mend it, then retry or discard them."), _LETTERS, "near",
    ),
    "outbound": Words(
        NN_("%(num)s change could not be sent", "%(num)s changes could not be sent"),
        N_("Read what the CRM answered, mend it, then retry or discard them."), _LETTERS, "near",
    ),
    "conflict": Words(
        NN_("%(num)s conflict waits for a decision", "%(num)s conflicts wait for a decision"),
        N_("Choose for each field which side is right."), _CONFLICTS, "near",
    ),
    "subscription_gone": Words(
        _one(N_("A subscription to sales was disabled")),
        N_("Its address takes nothing any more: give it another one, then enable it."), _INTEGRATION, "near",
    ),
}  # fmt: skip
_UNKNOWN = Words(_one(N_("This project needs somebody")), N_("Read what has happened."), "/sync?project={}", "near")
_TOLD_OTHERWISE = frozenset({"record_failed", "delivery_failed", "outbox_failed", "conflict", "project_disabled"})
"""Alerts about what is counted itself: dead letters, conflicts, a project that is disabled."""


def alerts_of(
    project: ProjectRow, sync: SyncState, raised: Sequence[AlertCount], waiting: Sequence[Waiting], now: datetime
) -> list[Alert]:
    """What somebody has to look at, the worst first."""
    found: list[Alert] = []
    if not project.is_enabled:
        if project.disabled_reason not in (None, BY_HAND):
            found.append(Alert("disabled", 1, None, _short(project.disabled_reason)))
    else:
        found += _pull_alerts(project, sync, now)
    found += [
        Alert(alert.kind, alert.count, alert.since, _short(alert.message))
        for alert in raised
        if alert.kind not in _TOLD_OTHERWISE
    ]
    found += [Alert(one.kind, one.count, one.since, None) for one in waiting]
    return sorted(found, key=lambda alert: alert.words.tone != "over")


def _pull_alerts(project: ProjectRow, sync: SyncState, now: datetime) -> list[Alert]:
    failed = [run for run in sync.streams if not run.is_success]
    if failed:
        worst = min(failed, key=lambda run: run.error_word == "retry")
        kind = "pull_retried" if worst.error_word == "retry" else "pull_failed"
        return [Alert(kind, len(failed), worst.finished_at, _short(worst.error_message))]
    interval = timedelta(minutes=int(project.sync.get("interval_minutes") or _DEFAULT_INTERVAL))
    is_pulled = any(run.stream for run in sync.streams) and project.crm != "csv"
    if is_pulled and sync.success_at is not None and now - sync.success_at > _INTERVALS * interval + _GRACE:
        return [Alert("late", 1, sync.success_at, None)]
    return []


def _short(text: str | None) -> str | None:
    if text is None:
        return None
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
