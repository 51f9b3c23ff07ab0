"""Sentences about integrations in the user's language; pure."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.integrations.reading import SyncState
from dashboard.ui.language import Language, translations
from sync.settings.problems import Problem

WORDS = ("retry", "config", "permanent", "skip_row")
"""The vocabulary of errors."""


def sync_sentence(state: SyncState, language: Language) -> str:
    """How a manual sync stands: `12 transactions synchronised`."""
    texts = translations(language)
    _, plural = texts.gettext, texts.ngettext
    if state.state == "queued":
        if state.error is not None:
            return _("It is tried again: %(reason)s") % {"reason": state.error}
        return _("The synchronisation waits for its turn; it usually begins within half a minute.")
    if state.state == "running":
        said = plural(
            "Synchronising: %(count)d record read so far.", "Synchronising: %(count)d records read so far.",
            state.records_read,
        )  # fmt: skip
        return said % {"count": state.records_read}
    if state.state == "failed":
        return _("The synchronisation failed: %(reason)s") % {"reason": state.error or ""}
    if state.state == "cancelled":
        return _("Another synchronisation of the same took its place.")
    said = plural("%(count)d transaction synchronised.", "%(count)d transactions synchronised.", state.transactions) % {
        "count": state.transactions
    }
    records = plural("%(count)d record read", "%(count)d records read", state.records_read) % {
        "count": state.records_read
    }
    changed = _("%(new)d new, %(changed)d changed") % {"new": state.records_new, "changed": state.records_changed}
    return f"{said} {records}: {changed}."


def meaning_of(word: str, language: Language) -> str:
    """What one of the four words for errors asks of people."""
    _ = translations(language).gettext
    return {
        "retry": _("The network or the CRM was away: it is tried again by itself."),
        "config": _("Credentials, rights or settings are wrong: correct them, then enable the project."),
        "permanent": _("The CRM or the record refuses for good: see the dead letters."),
        "skip_row": _("One row could not be read: it was kept aside, the others went on."),
    }.get(word, word)


def in_one(problems: Sequence[Problem]) -> str:
    """All that is wrong with a project's settings in one text."""
    return "; ".join(
        f"{problem.where}: {problem.message}" if problem.where else problem.message for problem in problems
    )
