"""Reads the visits of a period, clinic by clinic, and in halves where the server fails on the whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.errors import RetryError
from connectors.http import HttpSession
from connectors.protocol import Account, Window
from connectors.renovatio.calls import TooWideError, call
from connectors.renovatio.mapping import timezone_of
from connectors.renovatio.periods import LONGEST, SHORTEST, Period
from connectors.renovatio.privacy import VISITS, Rows
from connectors.values.times import parse_time, zone

BY_VISIT, BY_CHANGE = "date", "date_updated"
"""Which of a visit's times a period is about."""


class VisitReader:
    """One pull's way to the API. Calls go one after the other, as the vendor's own integrators do."""

    def __init__(self, http: HttpSession, account: Account) -> None:
        self.now = http.last_response_date or datetime.now(UTC)
        """By the server's clock, as of the last answer."""
        self.width = LONGEST
        """The longest period that the server has not failed on."""
        self._http = http
        self._account = account
        self._clinics = clinics_of(account)
        self._zone = zone(account.context.timezone_of())
        self._previous: dict[str, dict[str, Any]] = {}

    def local(self, moment: datetime) -> datetime:
        """An instant on the account's wall clock, without a zone."""
        return moment.astimezone(self._zone).replace(tzinfo=None)

    async def read(self, period: Period, by: str) -> Rows:
        """The visits of the period that the period read before had not, word for word. Raises ConnectorError."""
        found = Rows()
        for clinic in self._clinics or (None,):
            rows = await self._read(clinic, period, by)
            found.records += [row for row in rows.records if self._is_of_a_clinic(row)]
            found.problems += rows.problems
        rows_by_id = {row["id"]: row for row in found.records}
        found.records = [row for row in rows_by_id.values() if self._previous.get(row["id"]) != row]
        self._previous = rows_by_id
        return found

    def is_wanted(self, row: Mapping[str, Any], window: Window | None = None) -> bool:
        """Whether a visit lies in the window, or else not before the account's `since`. One without a readable time is
        wanted: mapping tells what is wrong with it."""
        moment = self._time_of(row)
        if moment is None:
            return True
        if window is not None:
            return window.start <= moment < window.end
        return self._account.since is None or moment >= self._account.since

    async def _read(self, clinic: str | None, period: Period, by: str) -> Rows:
        try:
            return await self._call(clinic, period, by)
        except RetryError as error:
            if error.status != 500 or period.length <= SHORTEST:
                raise
        # It was retried as any failure is; now it is the period's length that is in doubt, and waiting does not help.
        return await self._read_halves(clinic, period, by)

    async def _read_halves(self, clinic: str | None, period: Period, by: str) -> Rows:
        found = Rows()
        for half in period.halves():
            try:
                rows = await self._call(clinic, half, by, may_be_too_wide=True)
            except TooWideError as error:
                if half.length <= SHORTEST:
                    raise RetryError(error.message, status=error.status) from None
                rows = await self._read_halves(clinic, half, by)
            else:
                self.width = min(self.width, max(SHORTEST, half.length))
            found.records += rows.records
            found.problems += rows.problems
        return found

    async def _call(self, clinic: str | None, period: Period, by: str, *, may_be_too_wide: bool = False) -> Rows:
        params: dict[str, object] = dict(period.params(by))
        if clinic is not None:
            params["clinic_id"] = clinic
        rows, date = await call(
            self._http, self._account, "getAppointments", VISITS, params, may_be_too_wide=may_be_too_wide
        )
        self.now = date or datetime.now(UTC)
        return rows

    def _is_of_a_clinic(self, row: Mapping[str, Any]) -> bool:
        """An API that does not know a filter ignores it."""
        return not self._clinics or row.get("clinic_id") in (None, *self._clinics)

    def _time_of(self, row: Mapping[str, Any]) -> datetime | None:
        text = row.get("time_start")
        try:
            own_zone = zone(timezone_of(self._account.context, row.get("clinic_id")))
            return None if text is None else parse_time(text, own_zone)
        except ValueError:
            return None


def clinics_of(account: Account) -> tuple[str, ...]:
    """The option clinic_ids; empty: all clinics."""
    return tuple(str(clinic) for clinic in account.options.get("clinic_ids") or ())
