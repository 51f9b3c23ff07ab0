"""Random changes of random projects, written as the product writes them: orders that go on, settings that are edited.

A change is a method of `OrderChanges` or `SettingsChanges`; what it does comes from the `random.Random` it is given.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tests.oracle.random_projects import GROUPS, STATUSES, ZONES, Filler

Log = dict[str, list[str]]
"""The changes of each project, by name."""

_SECOND = timedelta(seconds=1)


def change(connection: psycopg.Connection[Any], chance: random.Random, projects: Iterable[str]) -> Log:
    """One to four changes to about half of the projects; some get changes of orders only, some of settings too."""
    log: Log = {}
    for project_id in projects:
        if chance.random() < 0.5:
            continue
        orders = OrderChanges(connection, project_id, chance)
        settings = SettingsChanges(connection, project_id, chance)
        kinds = chance.choice([[orders], [settings], [orders, settings]])
        log[project_id] = [chance.choice(kinds).some() for _ in range(chance.choice([1, 1, 2, 4]))]
    return log


def is_settings(name: str) -> bool:
    """Whether a change of that name is one of settings: it shows at the next build."""
    return hasattr(SettingsChanges, name)


class _Changes:
    def __init__(self, connection: psycopg.Connection[Any], project_id: str, chance: random.Random) -> None:
        self._connection = connection
        self._project = project_id
        self._chance = chance

    def some(self) -> str:
        """Make a random change; its name."""
        name = self._chance.choice([name for name in vars(type(self)) if not name.startswith("_") and name != "some"])
        getattr(self, name)()
        return name

    def _run(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(query.encode(), {"project": self._project, **values})
        return cursor.fetchall() if cursor.description else []

    def _one(self, query: str, **values: Any) -> Any:
        """A random value of those that the query gives, in its order; None if there is none."""
        rows = self._run(query, **values)
        return self._chance.choice(rows)[0] if rows else None


class OrderChanges(_Changes):
    """Of events, items, records and overrides."""

    def order_comes(self) -> None:
        number = self._chance.randrange(10**9)
        Filler(self._connection, self._project, random.Random(number)).order(f"new-{number}")

    def event_comes(self) -> None:
        self._event(lambda _, last: last + self._span())

    def late_event_comes(self) -> None:
        self._event(lambda first, last: first + self._chance.random() * (last - first))

    def older_event_comes(self) -> None:
        self._event(lambda first, _: first - self._span())

    def event_comes_in_the_same_instant(self) -> None:
        self._event(lambda first, last: self._chance.choice([first, last]))

    def event_is_read_again(self) -> None:
        self._run(
            "insert into core.order_status_events"
            " (project_id, order_id, status_id, status_changed_at, source, dedup_key)"
            " select project_id, order_id, status_id, status_changed_at, 'reread', dedup_key"
            " from core.order_status_events where project_id = %(project)s on conflict do nothing"
        )

    def event_gets_another_group(self) -> None:
        self._run(
            "update core.order_status_events set status_group_id = %(group)s where event_id = %(event)s",
            group=self._chance.choice([*GROUPS, None]), event=self._any_event(),
        )  # fmt: skip

    def event_goes(self) -> None:
        self._run("delete from core.order_status_events where event_id = %(event)s", event=self._any_event())

    def all_events_go(self) -> None:
        self._of_an_order("delete from core.order_status_events where")

    def record_goes(self) -> None:
        self._of_an_order("delete from core.orders where")

    def order_goes(self) -> None:
        order = self._any_order()
        for table in ("orders", "order_status_events", "order_items"):
            self._run(f"delete from core.{table} where project_id = %(project)s and order_id = %(order)s", order=order)

    def record_comes(self) -> None:
        self._run(
            "insert into core.orders (project_id, order_id, status_id, order_created_at)"
            " values (%(project)s, %(order)s, %(status)s, now()) on conflict do nothing",
            order=self._chance.choice([self._any_order(), f"record-{self._chance.randrange(10**9)}"]) or "record",
            status=self._chance.choice(STATUSES),
        )  # fmt: skip

    def order_is_deleted_or_restored(self) -> None:
        self._of_an_order("update core.orders set is_deleted = not is_deleted where")

    def record_is_changed(self) -> None:
        self._of_an_order(
            "update core.orders set status_id = %(status)s, closed_at = %(closed)s, order_created_at = %(created)s,"
            " grand_total = 1 where",
            status=self._chance.choice(STATUSES),
            closed=self._chance.choice([None, datetime(2025, 5, 5, tzinfo=UTC)]),
            created=self._chance.choice([None, datetime(2025, 4, 4, tzinfo=UTC)]),
        )

    def items_are_read(self) -> None:
        order = self._any_order()
        self._run("delete from core.order_items where project_id = %(project)s and order_id = %(order)s", order=order)
        for line in range(self._chance.randint(0, 2)):
            self._run(
                "insert into core.order_items (project_id, order_id, line_number, quantity, sku, offer_id)"
                " select %(project)s, %(order)s, %(line)s, 1, %(sku)s, %(offer)s where %(order)s::text is not null",
                order=order, line=line + 1, sku=self._chance.choice(["plain", "urgent", "urgent"]),
                offer=self._chance.choice(["15", "16", None]),
            )  # fmt: skip

    def override_is_set(self) -> None:
        self._run(
            "insert into config.order_overrides (project_id, order_id, is_urgent, sla_profile, cycle_start, cycle_end)"
            " select project_id, %(order)s, %(urgent)s, %(profile)s, %(start)s, %(end)s"
            " from config.projects where project_id = %(project)s"
            " on conflict (project_id, order_id) do update set is_urgent = excluded.is_urgent,"
            " sla_profile = excluded.sla_profile, cycle_start = excluded.cycle_start, cycle_end = excluded.cycle_end",
            order=self._any_order() or "of-nothing", urgent=self._chance.choice([True, False, None]),
            profile=self._chance.choice(["vip", "urgent", None]), start=self._chance.choice([*GROUPS, None]),
            end=self._chance.choice([*GROUPS, None]),
        )  # fmt: skip

    def override_is_removed(self) -> None:
        self._run(
            "delete from config.order_overrides where project_id = %(project)s and order_id = %(order)s",
            order=self._one("select order_id from config.order_overrides where project_id = %(project)s order by 1"),
        )

    def _any_order(self) -> Any:
        return self._one(
            "select order_id from core.orders where project_id = %(project)s"
            " union select order_id from core.order_status_events where project_id = %(project)s order by 1"
        )

    def _any_event(self) -> Any:
        return self._one("select event_id from core.order_status_events where project_id = %(project)s order by 1")

    def _of_an_order(self, statement: str, **values: Any) -> None:
        self._run(f"{statement} project_id = %(project)s and order_id = %(order)s", order=self._any_order(), **values)

    def _span(self) -> timedelta:
        return self._chance.choice([0.001, 1, 4000, 100_000, 3_000_000]) * self._chance.random() * _SECOND

    def _event(self, moment: Any) -> None:
        order = self._any_order()
        if order is None:
            return
        ((first, last),) = self._run(
            "select coalesce(min(status_changed_at), now() - interval '9 days'),"
            " coalesce(max(status_changed_at), now())"
            " from core.order_status_events where project_id = %(project)s and order_id = %(order)s",
            order=order,
        )
        at = moment(first, last)
        status = self._chance.choice([*STATUSES, "unknown"])
        self._run(
            "insert into core.order_status_events"
            " (project_id, order_id, status_id, status_group_id, status_changed_at, source, dedup_key)"
            " values (%(project)s, %(order)s, %(status)s, %(group)s, %(at)s, 'webhook', %(key)s)"
            " on conflict do nothing",
            order=order, status=status, at=at, key=f"{self._project}|{order}|{at.isoformat()}|{status}",
            group=self._chance.choice([None, None, *GROUPS]),
        )  # fmt: skip


class SettingsChanges(_Changes):
    """Of rules, calendars, dictionaries and of the project itself."""

    def limit_is_set(self) -> None:
        self._run(
            "insert into config.sla_rules values (%(project)s, %(profile)s, %(group)s, %(limit)s)"
            " on conflict (project_id, profile, status_group_id) do update set limit_seconds = excluded.limit_seconds",
            profile=self._chance.choice(["normal", "urgent", "vip"]), group=self._chance.choice(GROUPS),
            limit=self._chance.choice([1, 600, 7200, 90_000, 800_000]),
        )  # fmt: skip

    def limit_is_removed(self) -> None:
        self._of_a_group("delete from config.sla_rules where")

    def threshold_is_set(self) -> None:
        self._run(
            "update config.projects set near_threshold = %(share)s where project_id = %(project)s",
            share=self._chance.choice([0.1, 0.6, 1]),
        )

    def windows_are_edited(self) -> None:
        group = self._one("select status_group_id from config.calendars where project_id = %(project)s order by 1")
        if group is None:
            return
        self._run(
            "delete from config.calendar_windows where project_id = %(project)s and status_group_id = %(group)s"
            " and weekday = %(day)s",
            group=group, day=(day := self._chance.randint(1, 7)),
        )  # fmt: skip
        self._windows(group, [day])

    def calendar_is_added(self) -> None:
        group = self._chance.choice(["", *GROUPS])
        self._run("insert into config.calendars values (%(project)s, %(group)s) on conflict do nothing", group=group)
        self._windows(group, [1, 2, 3, 4, 5])

    def calendar_is_removed(self) -> None:
        self._run(
            "delete from config.calendars where project_id = %(project)s and status_group_id = %(group)s",
            group=self._one("select status_group_id from config.calendars where project_id = %(project)s order by 1"),
        )

    def exception_is_set(self) -> None:
        group, day = self._chance.choice(["*", *GROUPS]), self._any_date()
        key = {"group": group, "day": day}
        self._run("delete from config.calendar_exceptions where project_id = %(project)s"
                  " and status_group_id = %(group)s and exception_date = %(day)s", **key)  # fmt: skip
        self._run("insert into config.calendar_exceptions values (%(project)s, %(group)s, %(day)s)", **key)
        for opens, closes in self._some_windows() if self._chance.random() < 0.5 else ():
            self._run(
                "insert into config.calendar_exception_windows"
                " values (%(project)s, %(group)s, %(day)s, %(opens)s, %(closes)s)",
                **key, opens=opens, closes=closes,
            )  # fmt: skip

    def exceptions_are_removed(self) -> None:
        self._run(
            "delete from config.calendar_exceptions where project_id = %(project)s and status_group_id = %(group)s",
            group=self._one(
                "select status_group_id from config.calendar_exceptions where project_id = %(project)s order by 1"
            ),
        )

    def cycle_rule_is_set(self) -> None:
        sides = {}
        for name in ("start", "end"):
            group, status = self._filler().side()
            sides |= {f"{name}_group": group, f"{name}_status": status}
        self._run(
            "insert into config.cycle_rules (project_id, cycle_rule_id, title,"
            " start_group_id, start_status_id, end_group_id, end_status_id)"
            " values (%(project)s, %(rule)s, %(title)s,"
            " %(start_group)s, %(start_status)s, %(end_group)s, %(end_status)s)"
            " on conflict (project_id, cycle_rule_id) do update set title = excluded.title,"
            " start_group_id = excluded.start_group_id, start_status_id = excluded.start_status_id,"
            " end_group_id = excluded.end_group_id, end_status_id = excluded.end_status_id",
            rule=f"rule-{self._chance.randint(0, 4)}", title=f"Title {self._chance.randint(0, 9)}", **sides,
        )  # fmt: skip

    def cycle_rule_is_named(self) -> None:
        self._run(
            "update config.cycle_rules set title = title || '!'"
            " where project_id = %(project)s and cycle_rule_id = 'rule-0'"
        )

    def cycle_rule_is_removed(self) -> None:
        rule = self._one("select cycle_rule_id from config.cycle_rules where project_id = %(project)s order by 1")
        self._run(
            "delete from config.cycle_rules where project_id = %(project)s and cycle_rule_id = %(rule)s", rule=rule
        )

    def default_cycle_is_moved(self) -> None:
        rule = self._one("select cycle_rule_id from config.cycle_rules where project_id = %(project)s order by 1")
        self._run("update config.cycle_rules set is_default = false where project_id = %(project)s")
        self._run(
            "update config.cycle_rules set is_default = true"
            " where project_id = %(project)s and cycle_rule_id = %(rule)s",
            rule=rule,
        )

    def urgent_rule_is_set(self) -> None:
        match, value = self._chance.choice(
            [("sku", "urgent"), ("sku", "plain"), ("offer_id", "16"), ("offer_id", "15")]
        )
        self._run(
            "insert into config.urgent_rules values (%(project)s, %(match)s, %(value)s)"
            " on conflict (project_id, match, value) do update set is_active = not urgent_rules.is_active",
            match=match, value=value,
        )  # fmt: skip

    def urgent_rule_is_removed(self) -> None:
        self._run(
            "delete from config.urgent_rules where project_id = %(project)s and match = %(match)s",
            match=self._chance.choice(["sku", "offer_id", "product_id"]),
        )

    def reported_status_is_changed(self) -> None:
        self._run(
            "insert into core.statuses (project_id, status_id, name, status_group_id, is_closing)"
            " values (%(project)s, %(status)s, %(name)s, %(group)s, %(closing)s) on conflict (project_id, status_id)"
            " do update set name = excluded.name, status_group_id = excluded.status_group_id,"
            " is_closing = excluded.is_closing",
            status=self._chance.choice([*STATUSES, "unknown"]), name=self._chance.choice(["One", "Other"]),
            group=self._chance.choice([*GROUPS, None]), closing=self._chance.random() < 0.3,
        )  # fmt: skip

    def status_is_inactive(self) -> None:
        self._of_a_status("update core.statuses set is_active = not is_active, alias = 'gone' where")

    def reported_status_goes(self) -> None:
        self._of_a_status("delete from core.statuses where")

    def status_is_overlaid(self) -> None:
        self._run(
            "insert into config.statuses values (%(project)s, %(status)s, %(name)s, %(group)s, %(closing)s)"
            " on conflict (project_id, status_id) do update set name = excluded.name,"
            " status_group_id = excluded.status_group_id, is_closing = excluded.is_closing",
            status=self._chance.choice([*STATUSES, "unknown"]), name=self._chance.choice([None, "Mine"]),
            group=self._chance.choice([*GROUPS, "own", None]), closing=self._chance.choice([None, True, False]),
        )  # fmt: skip

    def status_overlay_is_removed(self) -> None:
        self._of_a_status("delete from config.statuses where")

    def reported_group_is_named(self) -> None:
        self._name_group("core")

    def group_is_named(self) -> None:
        self._name_group("config")

    def group_name_is_removed(self) -> None:
        self._of_a_group(f"delete from {self._chance.choice(['core', 'config'])}.status_groups where")

    def connector_is_another(self) -> None:
        self._run(
            "update config.projects set crm = case crm when 'keycrm' then 'other' else 'keycrm' end"
            " where project_id = %(project)s"
        )

    def time_zone_is_another(self) -> None:
        self._run(
            "update config.projects set timezone = %(zone)s where project_id = %(project)s",
            zone=self._chance.choice(ZONES),
        )

    def project_is_named(self) -> None:
        self._run(
            "update config.projects set name = name || '+', is_enabled = not is_enabled, region = 'UA'"
            " where project_id = %(project)s"
        )

    def project_is_removed(self) -> None:
        self._run("delete from config.projects where project_id = %(project)s")
        if self._chance.random() < 0.5:
            self._run(
                "insert into config.projects (project_id, name, crm, timezone)"
                " values (%(project)s, 'Again', 'keycrm', 'UTC')"
            )

    def project_is_added(self) -> None:
        seed = self._chance.randrange(10**9)
        Filler(self._connection, f"added-{seed}", random.Random(seed)).fill()

    def some(self) -> str:
        if not self._run("select 1 from config.projects where project_id = %(project)s"):
            return "none: removed"
        return super().some()

    def _name_group(self, schema: str) -> None:
        self._run(
            f"insert into {schema}.status_groups (project_id, status_group_id, name)"
            " values (%(project)s, %(group)s, %(name)s)"
            " on conflict (project_id, status_group_id) do update set name = excluded.name",
            group=self._chance.choice([*GROUPS, "9"]),
            name=self._chance.choice(["In work", "Delivery", "Cancelled", "Скасовано"]),
        )

    def _of_a_group(self, statement: str) -> None:
        self._run(
            f"{statement} project_id = %(project)s and status_group_id = %(group)s", group=self._chance.choice(GROUPS)
        )

    def _of_a_status(self, statement: str) -> None:
        self._run(
            f"{statement} project_id = %(project)s and status_id = %(status)s", status=self._chance.choice(STATUSES)
        )

    def _any_date(self) -> Any:
        return self._one(
            "select distinct cast(status_changed_at as date) from core.order_status_events"
            " where project_id = %(project)s order by 1"
        ) or datetime.now(UTC).date()  # fmt: skip

    def _filler(self) -> Filler:
        return Filler(self._connection, self._project, random.Random(self._chance.randrange(10**9)))

    def _some_windows(self) -> list[tuple[str, str]]:
        return sorted(self._filler().windows())

    def _windows(self, group: str, weekdays: list[int]) -> None:
        for weekday in weekdays:
            for opens, closes in self._some_windows():
                self._run(
                    "insert into config.calendar_windows"
                    " values (%(project)s, %(group)s, %(day)s, %(opens)s, %(closes)s)"
                    " on conflict do nothing",
                    group=group, day=weekday, opens=opens, closes=closes,
                )  # fmt: skip
