"""Between the models of the settings file and the rows of schema config."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from database.repositories.settings import (
    ALL_GROUPS,
    DEFAULT_CALENDAR,
    CalendarRow,
    CycleRow,
    ExceptionRow,
    ProjectRow,
    ProjectValues,
    Rules,
    SlaRow,
    StatusGroupRow,
    StatusRow,
    UrgentRow,
)
from sync.settings.hours import canonical_windows, week_of
from sync.settings.models import Dashboard, Project, Sync, Vms, Webhook

WEBHOOK_DEFAULTS: dict[str, Any] = Webhook().model_dump(mode="json", exclude={"secret"})
SYNC_DEFAULTS: dict[str, Any] = Sync().model_dump(mode="json")
VMS_DEFAULTS: dict[str, Any] = Vms().model_dump(mode="json")
DASHBOARD_DEFAULTS: dict[str, Any] = Dashboard().model_dump(mode="json")


def values_of(project: Project) -> ProjectValues:
    """The project's own row; every setting of `webhook` and `sync` is written out."""
    return ProjectValues(
        name=project.name,
        crm=project.crm,
        base_url=project.base_url,
        timezone=project.timezone,
        region=project.region,
        currency=project.currency,
        near_threshold=project.near_threshold,
        webhook=project.webhook.model_dump(mode="json", exclude={"secret"}),
        sync=project.sync.model_dump(mode="json"),
        options=project.options,
        status_map=project.status_map,
        conflict_policy=project.conflict_policy,
        vms={} if project.vms is None else project.vms.model_dump(mode="json"),
        dashboard=_dashboard(project.dashboard),
    )


def stored_values(row: ProjectRow) -> ProjectValues:
    """The same of a stored project; what another writer left out has its default."""
    return ProjectValues(
        name=row.name,
        crm=row.crm,
        base_url=row.base_url,
        timezone=row.timezone,
        region=row.region,
        currency=row.currency,
        near_threshold=row.near_threshold.normalize(),
        webhook={**WEBHOOK_DEFAULTS, **row.webhook},
        sync={**SYNC_DEFAULTS, **row.sync},
        options=row.options,
        status_map=row.status_map,
        conflict_policy=row.conflict_policy,
        vms={**VMS_DEFAULTS, **row.vms} if row.vms else {},
        dashboard={**DASHBOARD_DEFAULTS, **row.dashboard},
    )


def _dashboard(section: Dashboard) -> dict[str, Any]:
    """Each group and status once, in order."""
    values: dict[str, Any] = section.model_dump(mode="json")
    return {name: sorted(set(value)) if isinstance(value, list) else value for name, value in values.items()}


def rules_of(project: Project) -> Rules:
    hours = project.working_hours
    calendars = [CalendarRow(group, week_of(week)) for group, week in hours.groups.items()]
    if hours.default is not None:
        calendars.append(CalendarRow(DEFAULT_CALENDAR, week_of(hours.default)))
    return Rules(
        status_groups=_sorted(StatusGroupRow(item.id, item.name) for item in project.status_groups),
        statuses=_sorted(StatusRow(item.id, item.name, item.group_id, item.is_closing) for item in project.statuses),
        sla=_sorted(
            SlaRow(profile, item.group_id, seconds)
            for item in project.sla
            for profile, seconds in item.limits().items()
        ),
        cycles=_sorted(
            CycleRow(
                cycle_rule_id=item.id,
                title=item.id if item.title is None else item.title,
                start_group_id=item.start_group,
                start_status_id=item.start_status,
                end_group_id=item.end_group,
                end_status_id=item.end_status,
                is_default=item.default,
            )
            for item in project.cycles
        ),
        urgent=_sorted(UrgentRow(item.match, item.value, item.active) for item in project.urgent),
        calendars=_sorted(calendars),
        exceptions=tuple(
            sorted(
                (
                    ExceptionRow(
                        ALL_GROUPS if item.group is None else item.group, item.date, canonical_windows(item.ranges)
                    )
                    for item in hours.exceptions
                ),
                key=lambda row: (row.exception_date, row.status_group_id),
            )
        ),
    )


def _sorted(rows: Iterable[Any]) -> tuple[Any, ...]:
    """In the order of the repository: by key, which is what comes first in each row."""
    return tuple(sorted(rows, key=_key))


def _key(row: Any) -> tuple[str, ...]:
    match row:
        case SlaRow():
            return row.profile, row.status_group_id
        case UrgentRow():
            return row.match, row.value
        case CycleRow():
            return (row.cycle_rule_id,)
        case StatusRow():
            return (row.status_id,)
        case _:
            return (row.status_group_id,)
