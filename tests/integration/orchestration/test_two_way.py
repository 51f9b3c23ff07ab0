"""The two-way sync under Dagster: what the relay has left, full resyncs, and the nightly comparison."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import dagster as dg
import pytest

from connectors.keycrm.simulator import SimulatorState, create_app
from database.connection import connect
from database.encryption import Keyring
from database.environment import Environment
from orchestration import keys, tags
from orchestration.defs import two_way
from orchestration.defs.two_way.assets import few_objects_differ
from orchestration.defs.two_way.sensors import full_resyncs_due, two_way_waits
from orchestration.resources import CrmElt
from tests.integration.orchestration import shops
from tests.integration.orchestration.ticks import add_run, tick_sensor
from tests.support.http_server import serve

CORE = [dg.AssetSpec(keys.core(table)) for table in ("orders", "customers", "payments", "offers")]
DEFINITIONS = dg.Definitions.merge(
    two_way.definitions(),
    dg.Definitions(assets=CORE, resources={"crm_elt": CrmElt()}, executor=dg.in_process_executor),
)


def execute(instance: dg.DagsterInstance, job: str, **arguments: Any) -> dg.ExecuteInProcessResult:
    return DEFINITIONS.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **arguments)


def _failure(result: dg.ExecuteInProcessResult) -> dg.DagsterEvent:
    return next(event for event in result.all_events if event.is_step_failure)


@pytest.fixture
def rows(environment: Environment) -> Any:
    def select(query: str) -> list[dict[str, Any]]:
        async def call() -> list[dict[str, Any]]:
            assert environment.database_url is not None
            async with await connect(environment.database_url) as connection:
                return await (await connection.execute(query)).fetchall()

        return asyncio.run(call())

    return select


@pytest.fixture
def two_way_project(add_project: Any, database: Any) -> Any:
    """`almond`, both ways; makes customers that both sides have and agree on, but for the note."""
    add_project("almond")
    database("""update config.projects set vms = '{"inbound": true}'""")

    def customers(count: int, differing: int = 0) -> None:
        agreed = json.dumps(dict.fromkeys(("full_name", "phone", "email", "segment", "note")))
        database(
            """
            with made as (
                insert into vms.customers (project_id, id) select 'almond', n from generate_series(1, %(count)s) as n
                returning id
            ), known as (
                insert into core.customers (project_id, customer_id, note, source_created_at)
                select 'almond', 'C-' || id, case when id <= %(differing)s then 'new' end, now() from made
            )
            insert into sync.mappings (project_id, entity_type, vms_entity_id, crm_entity_id, agreed_vms, agreed_crm)
            select 'almond', 'customer', id, 'C-' || id, %(agreed)s, %(agreed)s from made
            """,
            {"count": count, "differing": differing, "agreed": agreed},
        )
        database("delete from sync.outbox")

    return customers


class TestBacklog:
    @pytest.fixture
    def add_change(self, database: Any, add_project: Any) -> Any:
        add_project("almond", crm="yclients")

        def add(seconds_ago: float) -> None:
            database("insert into vms.customers (project_id) values ('almond')")
            database(
                """
                update sync.outbox
                set changed_at = clock_timestamp() - make_interval(secs => %(ago)s),
                    not_before = clock_timestamp() - make_interval(secs => %(ago)s)
                """,
                {"ago": seconds_ago},
            )

        return add

    @pytest.mark.parametrize(("beaten", "waiting", "reason"), [(2, 5, None), (2, 90, "s behind"), (120, 1, "is down")])
    def test_a_change_is_left_to_a_live_relay_for_a_minute(
        self, instance: Any, add_change: Any, beat: Any, beaten: int, waiting: int, reason: str | None
    ) -> None:
        beat(beaten)
        add_change(waiting)
        result = tick_sensor(two_way_waits, instance)
        if reason is None:
            assert isinstance(result, dg.SkipReason)
            return
        (request,) = result.run_requests
        assert reason in request.tags[tags.REASON]
        assert tick_sensor(two_way_waits, instance).run_requests[0].run_key == request.run_key
        add_run(instance, "two_way_backlog")
        assert isinstance(tick_sensor(two_way_waits, instance), dg.SkipReason)

    def test_what_waits_for_a_crm_that_does_not_answer_is_left_to_a_live_relay(
        self, instance: Any, add_change: Any, beat: Any, database: Any
    ) -> None:
        beat(2)
        add_change(90)
        database("insert into sync.alerts (project_id, kind, subject, message) values ('almond', 'crm_away', 'a', 'b')")
        assert isinstance(tick_sensor(two_way_waits, instance), dg.SkipReason)
        database("update sync.alerts set resolved_at = now()")
        assert tick_sensor(two_way_waits, instance).run_requests

    def test_what_the_crm_changed_counts_and_an_empty_queue_or_a_disabled_project_does_not(
        self, instance: Any, add_project: Any, database: Any
    ) -> None:
        assert isinstance(tick_sensor(two_way_waits, instance), dg.SkipReason)
        add_project("closed", is_enabled=False)
        database(
            "insert into sync.inbound_queue (project_id, entity_type, crm_entity_id) values ('closed', 'order', '1')"
        )
        assert isinstance(tick_sensor(two_way_waits, instance), dg.SkipReason)
        add_project("almond")
        database(
            "insert into sync.inbound_queue (project_id, entity_type, crm_entity_id) values ('almond', 'order', '1')"
        )
        assert tick_sensor(two_way_waits, instance).run_requests

    def test_a_run_sends_and_applies_what_waits_and_tells_the_counts(
        self, instance: Any, two_way_project: Any, rows: Any, database: Any
    ) -> None:
        two_way_project(1, differing=1)
        database(
            "insert into sync.inbound_queue (project_id, entity_type, crm_entity_id)"
            " values ('almond', 'customer', 'C-1')"
        )
        result = execute(instance, "two_way_backlog")
        assert result.success
        counts = result.output_for_node("send_and_apply")
        assert (counts["applied"], counts["changed_in_vms"]) == (1, 1)
        assert rows("select note from vms.customers where id = 1") == [{"note": "new"}]
        assert rows("select count(*)::int as n from sync.inbound_queue") == [{"n": 0}]


class TestFullResync:
    @pytest.fixture
    def shop(self, database_url: str, keyring: Keyring) -> Any:
        account: SimulatorState = shops.account("print-key")
        with serve(create_app(account)) as url:
            shops.apply(
                database_url, keyring, shops.settings(url, {"print-shop": "print-key", "gift-shop": "wrong-key"})
            )
            yield account

    def test_one_that_waits_gets_a_run_of_its_own_once(self, instance: Any, add_project: Any, database: Any) -> None:
        assert isinstance(tick_sensor(full_resyncs_due, instance), dg.SkipReason)
        add_project("almond")
        database("insert into sync.resyncs (project_id) values ('almond')")
        (request,) = tick_sensor(full_resyncs_due, instance).run_requests
        assert request.tags[tags.PROJECT] == "almond"
        add_run(instance, "full_resync", **request.tags)
        assert isinstance(tick_sensor(full_resyncs_due, instance), dg.SkipReason)

    def test_one_whose_worker_died_is_gone_on_with(self, instance: Any, add_project: Any, database: Any) -> None:
        add_project("almond")
        database("insert into sync.resyncs (project_id, state, stage) values ('almond', 'running', 'order')")
        assert len(tick_sensor(full_resyncs_due, instance).run_requests) == 1

    def test_a_run_pulls_and_compares_everything_and_tells_the_counts(
        self, instance: Any, shop: SimulatorState, database: Any, rows: Any
    ) -> None:
        database("insert into sync.resyncs (project_id) values ('print-shop')")
        (request,) = tick_sensor(full_resyncs_due, instance).run_requests
        result = execute(instance, "full_resync", run_config=request.run_config)
        assert result.success
        assert result.output_for_node("run_resync") == {"state": "done"}
        (row,) = rows("select state, stage, message from sync.resyncs")
        assert (row["state"], row["stage"]) == ("done", "end")
        assert rows("select count(*)::int as n from core.orders") == [{"n": len(shop.orders)}]
        again = execute(instance, "full_resync", run_config=request.run_config)
        assert again.output_for_node("run_resync") == {"state": "left to others"}

    def test_one_that_fails_fails_its_run_with_the_sentence(
        self, instance: Any, shop: SimulatorState, database: Any, rows: Any
    ) -> None:
        database("insert into sync.resyncs (project_id) values ('gift-shop')")
        (request,) = tick_sensor(full_resyncs_due, instance).run_requests
        result = execute(instance, "full_resync", run_config=request.run_config)
        assert not result.success
        (row,) = rows("select state, error_word, message from sync.resyncs")
        assert (row["state"], row["error_word"]) == ("failed", "config")
        assert f"gift-shop: {row['message']}" in str(_failure(result).event_specific_data)


class TestConsistency:
    def test_the_nightly_comparison_tells_what_differs_and_wakes_it(
        self, instance: Any, two_way_project: Any, rows: Any
    ) -> None:
        two_way_project(200, differing=3)
        result = execute(instance, "consistency")
        (materialization,) = result.asset_materializations_for_node(keys.CONSISTENCY.to_python_identifier())
        told = {name: value.value for name, value in materialization.metadata.items() if name != "by_project"}
        assert told["compared"] == 200
        assert (told["differing"], told["healed"], told["share_differing"]) == (3, 3, 0.015)
        table = materialization.metadata["by_project"].records
        assert [record.data["entity"] for record in table] == ["customer", "article", "order", "payment"]
        assert len(rows("select 1 as one from sync.inbound_queue")) == 3

    @pytest.mark.parametrize(("differing", "passes"), [(1, True), (2, False)])
    def test_the_check_fails_from_one_in_a_hundred_on(
        self, instance: Any, two_way_project: Any, differing: int, passes: bool
    ) -> None:
        two_way_project(200, differing)
        execute(instance, "consistency")
        result: Any = few_objects_differ(CrmElt())
        assert result.passed is passes
        assert list(result.metadata) == ([] if passes else ["almond customer"])

    def test_projects_that_share_nothing_with_vms_are_not_compared(
        self, instance: Any, add_project: Any, rows: Any
    ) -> None:
        add_project("almond")
        assert execute(instance, "consistency").success
        assert rows("select 1 as one from sync.consistency_checks") == []
