"""Ticks of schedules and sensors, as the daemon makes them, on an ephemeral Dagster instance and a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from database.environment import Environment
from orchestration import partitions, tags
from orchestration.defs.marts.sensors import marts_follow_core
from orchestration.defs.normalise.checks import backlog_is_short, no_open_dead_letters
from orchestration.defs.normalise.sensors import raw_backlog
from orchestration.defs.pull.assets import pull_assets, pull_jobs
from orchestration.defs.pull.checks import pull_checks
from orchestration.defs.pull.schedules import pull_schedules
from orchestration.defs.pull.sensors import active_projects
from orchestration.defs.requests.sensors import sync_requests_due
from orchestration.resources import CrmElt
from tests.integration.orchestration.ticks import add_run, tick_sensor

NEW, DICTIONARIES = pull_schedules("keycrm")
REPOSITORY = dg.Definitions(
    assets=pull_assets("keycrm"),
    jobs=pull_jobs("keycrm"),
    schedules=[NEW, DICTIONARIES],
    resources={"crm_elt": CrmElt()},
).get_repository_def()
TICK = datetime(2025, 3, 1, 12, 5, tzinfo=UTC)


@pytest.fixture
def add_pull(database: Any) -> Any:
    def add(project_id: str, started_at: datetime, state: str = "success", error: str | None = None) -> None:
        database(
            """
            insert into sync.runs (project_id, kind, stream, trigger, state, started_at, finished_at, error_message)
            values (%s, 'pull', 'orders', 'schedule', %s, %s, %s, %s)
            """,
            [project_id, state, started_at, started_at + timedelta(seconds=3), error],
        )

    return add


def known_partitions(instance: dg.DagsterInstance) -> set[str]:
    return set(instance.get_dynamic_partitions(partitions.projects_name("keycrm")))


def tick_schedule(
    schedule: dg.ScheduleDefinition, instance: dg.DagsterInstance, at: datetime = TICK
) -> tuple[list[dg.RunRequest], str | None]:
    """Run requests and skip message of one tick, by project."""
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, repository_def=REPOSITORY, resources={"crm_elt": CrmElt()}
    ) as context:
        data = schedule.evaluate_tick(context)
    return sorted(data.run_requests or [], key=lambda request: request.tags[tags.PROJECT]), data.skip_message


class TestActiveProjects:
    def test_partitions_become_equal_to_the_active_projects(
        self, instance: Any, add_project: Any, database: Any
    ) -> None:
        add_project("almond")
        add_project("print-shop")
        add_project("closed", is_enabled=False)
        instance.add_dynamic_partitions(partitions.projects_name("keycrm"), ["gone"])
        result = tick_sensor(active_projects, instance)
        changes = {type(request).__name__: request.partition_keys for request in result.dynamic_partitions_requests}
        assert changes == {
            "AddDynamicPartitionsRequest": ["almond", "print-shop"],
            "DeleteDynamicPartitionsRequest": ["gone"],
        }

    def test_a_partition_that_a_run_still_needs_stays(self, instance: Any, environment: Environment) -> None:
        instance.add_dynamic_partitions(partitions.projects_name("keycrm"), ["gone", "going"])
        add_run(instance, "__ASSET_JOB", **{"dagster/partition/project": "going"})
        (request,) = tick_sensor(active_projects, instance).dynamic_partitions_requests
        assert request.partition_keys == ["gone"]

    def test_while_a_backfill_goes_no_partition_is_removed(self, instance: Any, environment: Environment) -> None:
        instance.add_dynamic_partitions(partitions.projects_name("keycrm"), ["gone"])
        instance.add_backfill(
            PartitionBackfill(
                backfill_id="b", status=BulkActionStatus.REQUESTED, from_failure=False, tags={}, backfill_timestamp=0.0
            )
        )
        assert isinstance(tick_sensor(active_projects, instance), dg.SkipReason)

    def test_an_equal_set_is_left_alone(self, instance: Any, add_project: Any) -> None:
        add_project("almond")
        instance.add_dynamic_partitions(partitions.projects_name("keycrm"), ["almond"])
        assert isinstance(tick_sensor(active_projects, instance), dg.SkipReason)


class TestNewRecords:
    @pytest.fixture(autouse=True)
    def _partitions(self, instance: Any) -> None:
        instance.add_dynamic_partitions(partitions.projects_name("keycrm"), ["almond", "print-shop"])

    def test_each_active_project_gets_a_run_of_its_own_for_the_day_under_way(
        self, instance: Any, add_project: Any
    ) -> None:
        add_project("almond")
        add_project("print-shop")
        requests, _ = tick_schedule(NEW, instance)
        assert [request.tags[tags.PROJECT] for request in requests] == ["almond", "print-shop"]
        assert [str(request.partition_key) for request in requests] == ["2025-03-01|almond", "2025-03-01|print-shop"]
        assert len({request.run_key for request in requests}) == 2
        assert requests[0].run_config["ops"]["keycrm__by_day"]["config"] == {"only_new": True}

    def test_a_disabled_project_is_not_pulled(self, instance: Any, add_project: Any) -> None:
        add_project("almond", is_enabled=False)
        requests, skipped = tick_schedule(NEW, instance)
        assert requests == []
        assert skipped == "No active project."

    def test_a_project_is_skipped_while_its_previous_run_goes_and_the_other_is_pulled(
        self, instance: Any, add_project: Any
    ) -> None:
        add_project("almond")
        add_project("print-shop")
        add_run(instance, "keycrm_pull", **{tags.PROJECT: "almond"})
        requests, _ = tick_schedule(NEW, instance)
        assert [request.tags[tags.PROJECT] for request in requests] == ["print-shop"]

    def test_a_project_waits_for_its_own_interval(self, instance: Any, add_project: Any, add_pull: Any) -> None:
        add_project("almond", interval_minutes=60)
        add_project("print-shop", interval_minutes=5)
        for project_id in ("almond", "print-shop"):
            add_pull(project_id, TICK - timedelta(minutes=5) + timedelta(seconds=10))
        requests, _ = tick_schedule(NEW, instance)
        assert [request.tags[tags.PROJECT] for request in requests] == ["print-shop"]
        requests, _ = tick_schedule(NEW, instance, TICK + timedelta(minutes=55))
        assert [request.tags[tags.PROJECT] for request in requests] == ["almond", "print-shop"]

    def test_a_pull_that_failed_is_tried_again_at_the_next_tick_whatever_the_interval(
        self, instance: Any, add_project: Any, add_pull: Any
    ) -> None:
        add_project("almond", interval_minutes=1440)
        add_pull("almond", TICK - timedelta(days=2))
        add_pull("almond", TICK - timedelta(minutes=5), "failed", "HTTP 503.")
        requests, _ = tick_schedule(NEW, instance)
        assert [request.tags[tags.PROJECT] for request in requests] == ["almond"]

    def test_only_streams_that_are_switched_on_are_selected(self, instance: Any, add_project: Any) -> None:
        add_project("almond", customers=False)
        (request,), _ = tick_schedule(NEW, instance)
        assert request.asset_selection == [dg.AssetKey(["raw", "keycrm", "orders"])]

    def test_a_project_without_its_partition_waits_for_it_instead_of_failing_the_tick(
        self, instance: Any, add_project: Any
    ) -> None:
        add_project("brand-new")
        requests, skipped = tick_schedule(NEW, instance)
        assert requests == []
        assert skipped == "brand-new: its partition is not there yet"


class TestDictionaries:
    def test_each_active_project_gets_its_dictionaries(self, instance: Any, add_project: Any) -> None:
        instance.add_dynamic_partitions(partitions.projects_name("keycrm"), ["almond", "print-shop"])
        add_project("almond", products=False)
        add_project("print-shop")
        requests, _ = tick_schedule(DICTIONARIES, instance)
        streams = [[key.path[-1] for key in request.asset_selection] for request in requests]
        assert streams == [["statuses", "sources"], ["statuses", "sources", "products", "offers", "stocks"]]


class TestRawBacklog:
    @pytest.fixture
    def add_entry(self, database: Any) -> Any:
        def add(seconds_ago: float) -> None:
            database(
                """
                insert into sync.raw_queue (project_id, source, raw_ids, enqueued_at)
                values ('almond', 'webhook', '{1}', clock_timestamp() - make_interval(secs => %s))
                """,
                [seconds_ago],
            )

        return add

    @pytest.fixture
    def upload(self, database: Any, add_project: Any) -> Any:
        add_project("salon", crm="csv")

        def add(delay_seconds: float = 0, state: str = "queued") -> None:
            database(
                """
                with landed as (
                    insert into raw.csv_uploads (project_id, content_hash, content) values ('salon', '\\x01', '')
                    returning file_id
                )
                insert into sync.csv_imports (project_id, file_id, size_bytes, origin, state, not_before, finished_at)
                select 'salon', file_id, 0, 'http', s.state, clock_timestamp() + make_interval(secs => %s),
                    case when s.state = 'done' then clock_timestamp() end
                from landed, (values (%s)) as s (state)
                """,
                [delay_seconds, state],
            )

        return add

    def test_an_empty_queue_asks_for_nothing(self, instance: Any, environment: Environment) -> None:
        assert isinstance(tick_sensor(raw_backlog, instance), dg.SkipReason)

    def test_a_live_relay_keeps_what_came_a_moment_ago(self, instance: Any, add_entry: Any, beat: Any) -> None:
        beat(2)
        add_entry(5)
        assert isinstance(tick_sensor(raw_backlog, instance), dg.SkipReason)

    def test_a_minute_behind_is_drained(self, instance: Any, add_entry: Any, beat: Any) -> None:
        beat(2)
        add_entry(90)
        (request,) = tick_sensor(raw_backlog, instance).run_requests
        assert request.tags[tags.REASON].startswith("the relay is 9")

    def test_a_dead_relay_is_stood_in_for_at_once_and_by_one_run(
        self, instance: Any, add_entry: Any, beat: Any
    ) -> None:
        beat(120)
        add_entry(1)
        first = tick_sensor(raw_backlog, instance)
        again = tick_sensor(raw_backlog, instance, first.cursor)
        assert first.run_requests[0].run_key == again.run_requests[0].run_key
        add_run(instance, "normalise")
        assert isinstance(tick_sensor(raw_backlog, instance, first.cursor), dg.SkipReason)

    def test_an_uploaded_file_is_imported_while_the_relay_is_down(self, instance: Any, upload: Any, beat: Any) -> None:
        beat(120)
        upload()
        first = tick_sensor(raw_backlog, instance)
        again = tick_sensor(raw_backlog, instance, first.cursor)
        assert [request.tags[tags.REASON] for request in first.run_requests] == ["the relay is down"]
        assert first.run_requests[0].run_key == again.run_requests[0].run_key

    @pytest.mark.parametrize(("beaten", "delay", "state"), [(2, 0, "queued"), (120, 60, "queued"), (120, 0, "done")])
    def test_a_file_that_a_live_relay_or_its_uploader_has_in_hand_or_that_is_done_asks_for_nothing(
        self, instance: Any, upload: Any, beat: Any, beaten: int, delay: int, state: str
    ) -> None:
        beat(beaten)
        upload(delay, state)
        assert isinstance(tick_sensor(raw_backlog, instance), dg.SkipReason)


class TestSyncRequests:
    @pytest.fixture
    def add_request(self, database: Any) -> Any:
        def add(project_id: str, crm_id: str | None = None, seconds_ago: float = 0) -> None:
            database(
                """
                insert into sync.requests (project_id, stream, crm_id, origin, requested_at)
                values (%s, 'orders', %s, 'manual', clock_timestamp() - make_interval(secs => %s))
                """,
                [project_id, crm_id, seconds_ago],
            )

        return add

    def test_a_project_wide_request_starts_at_once_in_a_run_of_its_own(
        self, instance: Any, add_project: Any, add_request: Any
    ) -> None:
        for project_id in ("almond", "print-shop"):
            add_project(project_id)
            add_request(project_id)
        result = tick_sensor(sync_requests_due, instance)
        assert [request.tags[tags.PROJECT] for request in result.run_requests] == ["almond", "print-shop"]

    def test_a_request_for_one_object_is_left_to_the_relay_for_a_minute(
        self, instance: Any, add_project: Any, add_request: Any
    ) -> None:
        add_project("almond")
        add_request("almond", "501", 30)
        assert isinstance(tick_sensor(sync_requests_due, instance), dg.SkipReason)
        add_request("almond", "502", 70)
        add_request("almond", "503", 80)
        (request,) = tick_sensor(sync_requests_due, instance).run_requests
        assert request.tags[tags.REQUEST] == "single"

    def test_a_request_whose_run_goes_is_not_started_twice(
        self, instance: Any, add_project: Any, add_request: Any
    ) -> None:
        add_project("almond")
        add_request("almond")
        (request,) = tick_sensor(sync_requests_due, instance).run_requests
        add_run(instance, "sync_requests", **{tags.REQUEST: request.tags[tags.REQUEST]})
        assert isinstance(tick_sensor(sync_requests_due, instance), dg.SkipReason)

    def test_many_requests_make_a_bounded_number_of_runs(
        self, instance: Any, add_project: Any, add_request: Any
    ) -> None:
        for number in range(25):
            add_project(f"shop-{number}")
            add_request(f"shop-{number}")
        assert len(tick_sensor(sync_requests_due, instance).run_requests) == 10


class TestMartsFollowCore:
    def test_a_change_of_core_leads_to_one_build_after_a_pause(
        self, instance: Any, add_project: Any, database: Any
    ) -> None:
        add_project("almond")
        database("select pg_stat_force_next_flush()")
        cursor, builds = None, []
        for _ in range(4):
            result = tick_sensor(marts_follow_core, instance, cursor)
            cursor = result.cursor
            builds.append(len(result.run_requests or []))
        assert sum(builds) == 1
        database("insert into core.orders (project_id, order_id) values ('almond', '1')")
        for _ in range(3):
            result = tick_sensor(marts_follow_core, instance, cursor)
            cursor = result.cursor
            builds.append(len(result.run_requests or []))
        assert sum(builds) == 2

    def test_no_second_build_is_asked_for_while_one_goes(self, instance: Any, add_project: Any) -> None:
        add_project("almond")
        add_run(instance, "build_marts")
        cursor = None
        for _ in range(3):
            result = tick_sensor(marts_follow_core, instance, cursor)
            cursor = result.cursor
            assert not result.run_requests


class TestChecks:
    def test_a_project_that_is_not_pulled_any_more_is_named_with_its_error(
        self, environment: Environment, add_project: Any, add_pull: Any
    ) -> None:
        add_project("almond")
        add_project("print-shop")
        now = datetime.now(UTC)
        add_pull("almond", now - timedelta(minutes=4))
        add_pull("print-shop", now - timedelta(hours=2))
        add_pull("print-shop", now - timedelta(minutes=4), "failed", "The key is wrong.")
        (check,) = pull_checks("keycrm")
        result = check(crm_elt=CrmElt())
        assert not result.passed
        assert list(result.metadata["late"].value) == ["print-shop"]
        assert "The key is wrong." in result.metadata["late"].value["print-shop"]

    def test_a_short_backlog_and_no_dead_letter_pass(self, environment: Environment) -> None:
        assert backlog_is_short(crm_elt=CrmElt()).passed
        assert no_open_dead_letters(crm_elt=CrmElt()).passed

    def test_a_dead_letter_is_counted_by_project(self, environment: Environment, database: Any) -> None:
        database(
            """
            insert into sync.dead_letters (project_id, source, raw_id, error_word, reason)
            values ('almond', 'webhook', 1, 'skip_row', 'no id')
            """
        )
        result = no_open_dead_letters(crm_elt=CrmElt())
        assert not result.passed
        assert result.metadata["almond"].value == 1
