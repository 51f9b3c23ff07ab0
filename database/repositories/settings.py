"""Schema config without credentials and audit log: projects and their rules, as typed rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import psycopg
from psycopg.types.json import Json, Jsonb

from database.connection import Connection

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DEFAULT_CALENDAR = ""
"""Group id under which config.calendars holds the project's default calendar."""
ALL_GROUPS = "*"
"""Group id of an exception that is for every group and the default calendar."""

_PROJECT_COLUMNS = """
    project_id, name, crm, base_url, timezone, region, currency, is_enabled, disabled_reason, near_threshold, webhook,
    sync, options, status_map, conflict_policy, vms, dashboard, updated_at
"""


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """One CRM account of one business."""

    project_id: str
    name: str
    crm: str
    base_url: str | None
    timezone: str
    region: str | None
    currency: str | None
    is_enabled: bool
    disabled_reason: str | None
    near_threshold: Decimal
    webhook: dict[str, Any]
    """auth, header, encoding, prefix, ip_allow; the secret is the credential `webhook.secret`."""
    sync: dict[str, Any]
    options: dict[str, Any]
    status_map: dict[str, str]
    """In the settings' order: of several statuses with one meaning, the first is what is sent."""
    conflict_policy: str | dict[str, str]
    vms: dict[str, Any]
    """Flags of the two-way sync; empty: the settings say nothing of it."""
    updated_at: datetime
    dashboard: dict[str, Any] = field(default_factory=dict)
    """Which orders the dashboard's list shows: `sync.settings.shown`."""


@dataclass(frozen=True, slots=True)
class ProjectValues:
    """What `apply` sets of a project's own row."""

    name: str
    crm: str
    base_url: str | None
    timezone: str
    region: str | None
    currency: str | None
    near_threshold: Decimal
    webhook: Mapping[str, Any]
    sync: Mapping[str, Any]
    options: Mapping[str, Any]
    status_map: Mapping[str, str]
    conflict_policy: str | Mapping[str, str]
    vms: Mapping[str, Any] = field(default_factory=dict)
    dashboard: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatusGroupRow:
    status_group_id: str
    name: str


@dataclass(frozen=True, slots=True)
class StatusRow:
    """Overlay on what the CRM reports; None leaves that."""

    status_id: str
    name: str | None = None
    status_group_id: str | None = None
    is_closing: bool | None = None


@dataclass(frozen=True, slots=True)
class SlaRow:
    profile: str
    status_group_id: str
    limit_seconds: int


@dataclass(frozen=True, slots=True)
class CycleRow:
    cycle_rule_id: str
    title: str
    start_group_id: str | None
    start_status_id: str | None
    end_group_id: str | None
    end_status_id: str | None
    is_default: bool


@dataclass(frozen=True, slots=True)
class UrgentRow:
    match: str
    value: str
    is_active: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Opening hours as `HH:MM` (or `HH:MM:SS`), up to `24:00`; one that closes before it opens ends on the next day."""

    opens_at: str
    closes_at: str


@dataclass(frozen=True, slots=True)
class CalendarRow:
    status_group_id: str
    """`DEFAULT_CALENDAR`, or a group."""
    windows: Mapping[int, tuple[Window, ...]]
    """By ISO weekday, 1 is Monday; a day that is not there is closed."""


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    status_group_id: str
    """`ALL_GROUPS`, or a group."""
    exception_date: date
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a project; each tuple is in the order of its rows' keys."""

    status_groups: tuple[StatusGroupRow, ...] = ()
    statuses: tuple[StatusRow, ...] = ()
    sla: tuple[SlaRow, ...] = ()
    cycles: tuple[CycleRow, ...] = ()
    urgent: tuple[UrgentRow, ...] = ()
    calendars: tuple[CalendarRow, ...] = ()
    exceptions: tuple[ExceptionRow, ...] = field(default=())


async def load_project(connection: Connection, project_id: str) -> ProjectRow | None:
    cursor = await connection.execute(
        f"select {_PROJECT_COLUMNS} from config.projects where project_id = %s",  # noqa: S608
        [project_id],
    )
    row = await cursor.fetchone()
    return None if row is None else ProjectRow(**row)


async def list_projects(connection: Connection, enabled_only: bool = False) -> list[ProjectRow]:
    """Projects by id."""
    cursor = await connection.execute(
        f"select {_PROJECT_COLUMNS} from config.projects where is_enabled or not %s order by project_id",  # noqa: S608
        [enabled_only],
    )
    return [ProjectRow(**row) for row in await cursor.fetchall()]


async def set_enabled(connection: Connection, project_id: str, enabled: bool, reason: str | None = None) -> bool:
    """Enable or disable a project; `reason` is kept for a disabled one. Returns whether that changed anything."""
    cursor = await connection.execute(
        """
        update config.projects
        set is_enabled = %(enabled)s, disabled_reason = %(reason)s, updated_at = clock_timestamp()
        where project_id = %(project)s and (is_enabled, disabled_reason) is distinct from (%(enabled)s, %(reason)s)
        """,
        {"project": project_id, "enabled": enabled, "reason": None if enabled else reason},
    )
    return cursor.rowcount == 1


async def lock(connection: Connection) -> None:
    """Let no other transaction apply settings until this one ends."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('crm_elt.config', 0))")


async def upsert_project(connection: Connection, project_id: str, values: ProjectValues) -> None:
    """Create the project, or set all that `apply` sets of it; whether it is enabled stays. Marks it as changed now."""
    await connection.execute(
        """
        insert into config.projects as stored (
            project_id, name, crm, base_url, timezone, region, currency, near_threshold, webhook, sync, options,
            status_map, conflict_policy, vms, dashboard
        )
        values (
            %(project_id)s, %(name)s, %(crm)s, %(base_url)s, %(timezone)s, %(region)s, %(currency)s, %(near_threshold)s,
            %(webhook)s, %(sync)s, %(options)s, %(status_map)s, %(conflict_policy)s, %(vms)s, %(dashboard)s
        )
        on conflict (project_id) do update set
            name = excluded.name,
            crm = excluded.crm,
            base_url = excluded.base_url,
            timezone = excluded.timezone,
            region = excluded.region,
            currency = excluded.currency,
            near_threshold = excluded.near_threshold,
            webhook = excluded.webhook,
            sync = excluded.sync,
            options = excluded.options,
            status_map = excluded.status_map,
            conflict_policy = excluded.conflict_policy,
            vms = excluded.vms,
            dashboard = excluded.dashboard,
            updated_at = clock_timestamp()
        """,
        {
            "project_id": project_id,
            "name": values.name,
            "crm": values.crm,
            "base_url": values.base_url,
            "timezone": values.timezone,
            "region": values.region,
            "currency": values.currency,
            "near_threshold": values.near_threshold,
            "webhook": Jsonb(values.webhook),
            "sync": Jsonb(values.sync),
            "options": Jsonb(values.options),
            "status_map": Json(values.status_map),
            "conflict_policy": Jsonb(values.conflict_policy),
            "vms": Jsonb(values.vms),
            "dashboard": Jsonb(values.dashboard),
        },
    )


async def has_landed(connection: Connection, project_id: str) -> bool:
    """Whether anything of the project's CRM is stored already."""
    cursor = await connection.execute(
        """
        select exists (select from raw.webhook_events where project_id = %(project)s)
            or exists (select from raw.api_records where project_id = %(project)s) as landed
        """,
        {"project": project_id},
    )
    row = await cursor.fetchone()
    assert row is not None
    return bool(row["landed"])


async def knows_timezone(connection: Connection, name: str) -> bool:
    """Whether PostgreSQL's own zone data, by which working hours are measured, has the zone."""
    try:
        async with connection.transaction():
            await connection.execute("select now() at time zone %s", [name])
    except psycopg.errors.InvalidParameterValue:
        return False
    return True


async def load_rules(connection: Connection, project_id: str) -> Rules:
    """All rules of a project; empty ones if there is no such project."""
    return Rules(
        status_groups=await _STATUS_GROUPS.load(connection, project_id),
        statuses=await _STATUSES.load(connection, project_id),
        sla=await _SLA.load(connection, project_id),
        cycles=await _CYCLES.load(connection, project_id),
        urgent=await _URGENT.load(connection, project_id),
        calendars=await _load_calendars(connection, project_id),
        exceptions=await _load_exceptions(connection, project_id),
    )


async def replace_rules(connection: Connection, project_id: str, before: Rules, after: Rules) -> None:
    """Make `after` of what is stored as `before`; kinds of rules that are equal are not written."""
    if before.status_groups != after.status_groups:
        await _STATUS_GROUPS.replace(connection, project_id, after.status_groups)
    if before.statuses != after.statuses:
        await _STATUSES.replace(connection, project_id, after.statuses)
    if before.sla != after.sla:
        await _SLA.replace(connection, project_id, after.sla)
    if before.cycles != after.cycles:
        await _CYCLES.replace(connection, project_id, after.cycles)
    if before.urgent != after.urgent:
        await _URGENT.replace(connection, project_id, after.urgent)
    if before.calendars != after.calendars:
        await _replace_calendars(connection, project_id, after.calendars)
    if before.exceptions != after.exceptions:
        await _replace_exceptions(connection, project_id, after.exceptions)


R = TypeVar("R", bound="DataclassInstance")


@dataclass(frozen=True)
class _Table(Generic[R]):
    """A table that has project_id and a column for each field of its row type."""

    name: str
    row: type[R]
    key: tuple[str, ...]

    @property
    def _columns(self) -> list[str]:
        return [column.name for column in fields(self.row)]

    async def load(self, connection: Connection, project_id: str) -> tuple[R, ...]:
        order = ", ".join(f'{column} collate "C"' for column in self.key)
        cursor = await connection.execute(
            f"select {', '.join(self._columns)} from {self.name} where project_id = %s order by {order}",  # noqa: S608
            [project_id],
        )
        return tuple(self.row(**row) for row in await cursor.fetchall())

    async def replace(self, connection: Connection, project_id: str, rows: Sequence[R]) -> None:
        columns = self._columns
        await connection.execute(f"delete from {self.name} where project_id = %s", [project_id])  # noqa: S608
        async with connection.cursor() as cursor:
            await cursor.executemany(
                f"insert into {self.name} (project_id, {', '.join(columns)}) "  # noqa: S608
                f"values (%s{', %s' * len(columns)})",
                [(project_id, *(getattr(row, column) for column in columns)) for row in rows],
            )


_STATUS_GROUPS = _Table("config.status_groups", StatusGroupRow, ("status_group_id",))
_STATUSES = _Table("config.statuses", StatusRow, ("status_id",))
_SLA = _Table("config.sla_rules", SlaRow, ("profile", "status_group_id"))
_CYCLES = _Table("config.cycle_rules", CycleRow, ("cycle_rule_id",))
_URGENT = _Table("config.urgent_rules", UrgentRow, ("match", "value"))


async def _load_calendars(connection: Connection, project_id: str) -> tuple[CalendarRow, ...]:
    # Times as text: Python has no 24:00.
    cursor = await connection.execute(
        """
        select status_group_id, weekday, opens_at::text as opens_at, closes_at::text as closes_at
        from config.calendars left join config.calendar_windows using (project_id, status_group_id)
        where project_id = %s
        order by status_group_id collate "C", weekday, calendar_windows.opens_at, calendar_windows.closes_at
        """,
        [project_id],
    )
    calendars: dict[str, dict[int, tuple[Window, ...]]] = {}
    for row in await cursor.fetchall():
        days = calendars.setdefault(row["status_group_id"], {})
        if row["weekday"] is not None:
            days[row["weekday"]] = (*days.get(row["weekday"], ()), _window(row["opens_at"], row["closes_at"]))
    return tuple(CalendarRow(group, days) for group, days in calendars.items())


async def _load_exceptions(connection: Connection, project_id: str) -> tuple[ExceptionRow, ...]:
    cursor = await connection.execute(
        """
        select status_group_id, exception_date, opens_at::text as opens_at, closes_at::text as closes_at
        from config.calendar_exceptions
        left join config.calendar_exception_windows as windows using (project_id, status_group_id, exception_date)
        where project_id = %s
        order by exception_date, status_group_id collate "C", windows.opens_at, windows.closes_at
        """,
        [project_id],
    )
    exceptions: dict[tuple[date, str], tuple[Window, ...]] = {}
    for row in await cursor.fetchall():
        key = (row["exception_date"], row["status_group_id"])
        windows = exceptions.setdefault(key, ())
        if row["opens_at"] is not None:
            exceptions[key] = (*windows, _window(row["opens_at"], row["closes_at"]))
    return tuple(ExceptionRow(group, day, windows) for (day, group), windows in exceptions.items())


async def _replace_calendars(connection: Connection, project_id: str, rows: Sequence[CalendarRow]) -> None:
    await connection.execute("delete from config.calendars where project_id = %s", [project_id])
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "insert into config.calendars (project_id, status_group_id) values (%s, %s)",
            [(project_id, row.status_group_id) for row in rows],
        )
        await cursor.executemany(
            """
            insert into config.calendar_windows (project_id, status_group_id, weekday, opens_at, closes_at)
            values (%s, %s, %s, %s, %s)
            """,
            [
                (project_id, row.status_group_id, weekday, window.opens_at, window.closes_at)
                for row in rows
                for weekday, windows in row.windows.items()
                for window in windows
            ],
        )


async def _replace_exceptions(connection: Connection, project_id: str, rows: Sequence[ExceptionRow]) -> None:
    await connection.execute("delete from config.calendar_exceptions where project_id = %s", [project_id])
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "insert into config.calendar_exceptions (project_id, status_group_id, exception_date) values (%s, %s, %s)",
            [(project_id, row.status_group_id, row.exception_date) for row in rows],
        )
        await cursor.executemany(
            """
            insert into config.calendar_exception_windows (
                project_id, status_group_id, exception_date, opens_at, closes_at
            )
            values (%s, %s, %s, %s, %s)
            """,
            [
                (project_id, row.status_group_id, row.exception_date, window.opens_at, window.closes_at)
                for row in rows
                for window in row.windows
            ],
        )


def _window(opens_at: str, closes_at: str) -> Window:
    return Window(_short(opens_at), _short(closes_at))


def _short(time: str) -> str:
    """09:00:00 -> 09:00, as in settings files."""
    return time[:5] if time.endswith(":00") and len(time) == 8 else time
