"""Runs of the jobs in this process: real database, a simulated CRM over HTTP, an ephemeral Dagster instance."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from connectors.keycrm.simulator import SimulatorState, create_app
from database.connection import connect
from database.encryption import Keyring
from orchestration import failures, partitions, tags
from orchestration.defs import normalise, pull, requests
from orchestration.defs.pull.assets import only_new
from orchestration.defs.requests.jobs import RequestsConfig
from orchestration.resources import CrmElt
from sync import csv_import
from tests.integration.orchestration import shops
from tests.support.http_server import serve
from tests.support.waiting import wait_until

ORDERS = dg.AssetKey(["raw", "keycrm", "orders"])
DEFINITIONS = dg.Definitions.merge(
    pull.definitions(),
    normalise.definitions(),
    requests.definitions(),
    dg.Definitions(resources={"crm_elt": CrmElt()}, executor=dg.in_process_executor),
)
TODAY = datetime.now(UTC)
SALON = """
projects:
  - id: salon
    name: Salon
    crm: csv
    timezone: Europe/Moscow
    region: RU
    currency: RUB
    options: {phone_region: RU, currency: RUB}
"""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(partitions.projects_name("keycrm"), ["gift-shop", "print-shop"])
        yield instance


@pytest.fixture
def print_shop() -> SimulatorState:
    return shops.account("print-key")


@pytest.fixture(autouse=True)
def _projects(database_url: str, keyring: Keyring, print_shop: SimulatorState) -> Iterator[None]:
    with serve(create_app(print_shop)) as url:
        keys = {"print-shop": "print-key", "gift-shop": "wrong-key"}
        shops.apply(database_url, keyring, shops.settings(url, keys))
        yield


def execute(instance: dg.DagsterInstance, job: str, **arguments: Any) -> dg.ExecuteInProcessResult:
    return DEFINITIONS.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **arguments)


def pull_new(instance: dg.DagsterInstance, project_id: str) -> dg.ExecuteInProcessResult:
    return execute(
        instance,
        "keycrm_pull",
        partition_key=partitions.key(project_id, TODAY),
        run_config=only_new("keycrm"),
        asset_selection=[ORDERS, dg.AssetKey(["raw", "keycrm", "customers"])],
    )


def counts(result: dg.ExecuteInProcessResult, key: dg.AssetKey = ORDERS) -> dict[str, Any]:
    (materialization,) = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == key
    ]
    return {name: value.value for name, value in materialization.metadata.items()}


def failure_of(result: dg.ExecuteInProcessResult) -> Any:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data


def test_a_partition_of_a_past_day_pulls_that_day_and_nothing_else(
    instance: dg.DagsterInstance, database_url: str, print_shop: SimulatorState
) -> None:
    result = execute(instance, "keycrm_pull", partition_key=partitions.key("print-shop", shops.FIRST_DAY))
    assert result.success
    assert shops.core_orders(database_url, "print-shop") == shops.orders_of(print_shop, 0)
    found = counts(result)
    assert (found["seen"], found["new"], found["failed"]) == (shops.ORDERS_A_DAY, shops.ORDERS_A_DAY, 0)
    assert found["projects"] == "print-shop"


def test_a_range_of_days_is_one_window_and_marks_each_day(
    instance: dg.DagsterInstance, database_url: str, print_shop: SimulatorState
) -> None:
    first, last = f"{shops.day(1)}|print-shop", f"{shops.day(3)}|print-shop"
    result = execute(
        instance,
        "keycrm_pull",
        tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
    )
    assert result.success
    wanted = set.union(*(shops.orders_of(print_shop, number) for number in (1, 2, 3)))
    assert shops.core_orders(database_url, "print-shop") == wanted
    assert instance.get_materialized_partitions(ORDERS) == {f"{shops.day(number)}|print-shop" for number in (1, 2, 3)}
    runs = shops.select(database_url, "select kind, trigger from sync.runs where stream = 'orders'")
    assert runs == [{"kind": "backfill", "trigger": "backfill"}]


def test_in_a_run_of_several_projects_the_one_that_fails_leaves_the_others_alone(
    instance: dg.DagsterInstance, database_url: str, print_shop: SimulatorState
) -> None:
    first, last = f"{shops.day(0)}|gift-shop", f"{shops.day(0)}|print-shop"
    result = execute(
        instance,
        "keycrm_pull",
        tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
    )
    assert not result.success
    assert failure_of(result).user_failure_data.description.startswith("gift-shop: ")
    assert shops.core_orders(database_url, "print-shop") == shops.orders_of(print_shop, 0)
    assert instance.get_materialized_partitions(ORDERS) == {last}


def test_the_schedules_run_pulls_everything_once_and_then_only_what_is_new(
    instance: dg.DagsterInstance, database_url: str, print_shop: SimulatorState
) -> None:
    first = counts(pull_new(instance, "print-shop"))
    assert first["new"] == shops.DAYS * shops.ORDERS_A_DAY
    before = shops.select(database_url, "select count(*) as rows from raw.api_records")
    again = counts(pull_new(instance, "print-shop"))
    assert (again["new"], again["changed"]) == (0, 0)
    assert shops.select(database_url, "select count(*) as rows from raw.api_records") == before
    order = print_shop.add_order(announce=False)
    assert counts(pull_new(instance, "print-shop"))["new"] == 1
    assert str(order.id) in shops.core_orders(database_url, "print-shop")


def test_a_pull_says_that_core_changed_and_its_run_is_tagged_with_the_project(instance: dg.DagsterInstance) -> None:
    result = pull_new(instance, "print-shop")
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[tags.PROJECT] == "print-shop"
    assert instance.get_latest_materialization_event(dg.AssetKey(["core", "orders"])) is not None


def test_a_wrong_key_fails_in_one_sentence_without_retry_and_stops_only_its_project(
    instance: dg.DagsterInstance, database_url: str
) -> None:
    result = pull_new(instance, "gift-shop")
    assert not result.success
    data = failure_of(result)
    assert data.user_failure_data.description.startswith("gift-shop: ")
    assert data.user_failure_data.metadata["error_word"].value == "config"
    assert "wrong-key" not in str(data)
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    rows = shops.select(database_url, "select project_id, is_enabled from config.projects order by project_id")
    assert [row["is_enabled"] for row in rows] == [False, True]
    assert pull_new(instance, "print-shop").success


def test_an_error_that_may_pass_is_tried_again(
    instance: dg.DagsterInstance, print_shop: SimulatorState, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0.0)
    print_shop.faults.add("server_error", "/order", times=1)
    result = execute(instance, "keycrm_pull", partition_key=partitions.key("print-shop", shops.FIRST_DAY))
    assert result.success
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 1
    assert len(shops.core_orders(database_url, "print-shop")) == shops.ORDERS_A_DAY


def test_an_error_that_does_not_pass_ends_in_one_sentence_after_three_attempts(
    instance: dg.DagsterInstance, print_shop: SimulatorState, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0.0)
    print_shop.faults.add("server_error", "/order", times=None)
    result = execute(instance, "keycrm_pull", partition_key=partitions.key("print-shop", shops.FIRST_DAY))
    assert not result.success
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == failures.MAX_RETRIES
    data = failure_of(result).user_failure_data
    assert data.description.startswith("print-shop: ")
    assert data.metadata["error_word"].value == "retry"
    assert shops.select(database_url, "select is_enabled from config.projects where project_id = 'print-shop'") == [
        {"is_enabled": True}
    ]


def test_a_run_that_is_cancelled_is_not_tried_again(instance: dg.DagsterInstance, print_shop: SimulatorState) -> None:
    print_shop.faults.add("slow", "/order", times=None, seconds=600)

    def cancel() -> None:
        wait_until(lambda: print_shop.requests.count("GET", "/order"), 30, "the request", every=0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=cancel, daemon=True).start()
    before = signal.getsignal(signal.SIGTERM)
    try:
        result = execute(instance, "keycrm_pull", partition_key=partitions.key("print-shop", shops.FIRST_DAY))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [request.status for request in print_shop.requests.find("GET", "/order")] == [None]  # not waited for
    assert not result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]


def test_dictionaries_fill_their_core_tables(instance: dg.DagsterInstance, database_url: str) -> None:
    assert execute(instance, "keycrm_pull_whole", partition_key="print-shop").success
    assert shops.select(database_url, "select count(*) > 3 as found from core.statuses")[0]["found"]


def test_what_the_relay_left_in_raw_is_applied(
    instance: dg.DagsterInstance, database_url: str, print_shop: SimulatorState
) -> None:
    pull_new(instance, "print-shop")
    shops.select(database_url, "delete from core.orders returning order_id")
    shops.select(
        database_url,
        """
        insert into sync.raw_queue (project_id, source, raw_ids)
        select project_id, 'api', array_agg(record_id) from raw.api_records where stream = 'orders' group by project_id
        returning queue_id
        """,
    )
    result = execute(instance, "normalise")
    assert result.success
    assert len(shops.core_orders(database_url, "print-shop")) == shops.DAYS * shops.ORDERS_A_DAY
    assert counts(result, dg.AssetKey(["core", "orders"]))["raw_rows"] == shops.DAYS * shops.ORDERS_A_DAY


def test_a_file_that_was_uploaded_while_the_relay_was_down_is_imported_and_applied(
    instance: dg.DagsterInstance, database_url: str, keyring: Keyring
) -> None:
    shops.apply(database_url, keyring, SALON)
    content = b"date,customer_phone,amount\n2026-01-15,+79001234567,1500.50\n2026-01-16,nobody,1\n"

    async def upload() -> int:
        async with await connect(database_url) as connection:
            return await csv_import.land(connection, "salon", content, filename="till.csv", origin="http")

    upload_id = asyncio.run(upload())
    result = execute(instance, "normalise")
    assert result.success
    jobs = shops.select(database_url, "select upload_id, state, imported, errors from sync.csv_imports")
    assert jobs == [{"upload_id": upload_id, "state": "done", "imported": 1, "errors": 1}]
    sales = shops.select(database_url, "select amount, phone_e164 from core.transactions where project_id = 'salon'")
    assert sales == [{"amount": Decimal("1500.50"), "phone_e164": "+79001234567"}]
    assert execute(instance, "normalise").success
    assert shops.select(database_url, "select attempts from sync.csv_imports") == [{"attempts": 1}]


def queue_request(database_url: str, project_id: str) -> int:
    (row,) = shops.select(
        database_url,
        "insert into sync.requests (project_id, origin) values (%s, 'manual') returning request_id",
        [project_id],
    )
    return int(row["request_id"])


def request_config(request_id: int) -> dg.RunConfig:
    return dg.RunConfig(ops={"run_requests": RequestsConfig(request_id=request_id)})


def test_a_manual_request_is_run(instance: dg.DagsterInstance, database_url: str) -> None:
    request_id = queue_request(database_url, "print-shop")
    assert execute(instance, "sync_requests", run_config=request_config(request_id)).success
    states = shops.select(database_url, "select state from sync.requests where request_id = %s", [request_id])
    assert states == [{"state": "done"}]
    assert len(shops.core_orders(database_url, "print-shop")) == shops.DAYS * shops.ORDERS_A_DAY


def test_a_manual_request_that_cannot_be_run_says_why(instance: dg.DagsterInstance, database_url: str) -> None:
    request_id = queue_request(database_url, "gift-shop")
    result = execute(instance, "sync_requests", run_config=request_config(request_id))
    assert not result.success
    assert failure_of(result).user_failure_data.description.startswith("gift-shop: ")
