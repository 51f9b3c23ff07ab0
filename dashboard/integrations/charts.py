"""The charts of a project's runs by day; pure."""

from __future__ import annotations

from collections.abc import Sequence

from babel.dates import format_date

from dashboard.ui.charts import Chart, Series, bars
from dashboard.ui.language import Language, translations
from database.repositories.integrations import RunDay


def run_charts(days: Sequence[RunDay], language: Language) -> list[Chart]:
    """How many runs succeeded and failed, and how many records they found new or changed, day by day."""
    _ = translations(language).gettext
    labels = [format_date(day.day, "d MMM", locale=language) for day in days]
    ended = [
        Series(_("Succeeded"), [day.succeeded for day in days], "ok"),
        Series(_("Failed"), [day.failed for day in days], "over"),
    ]
    records = [Series(_("Records"), [day.rows for day in days], "c1")]
    return [
        bars(language, _("Synchronisations by day"), labels, ended, "count", _("Day")),
        bars(language, _("New and changed records by day"), labels, records, "count", _("Day")),
    ]
