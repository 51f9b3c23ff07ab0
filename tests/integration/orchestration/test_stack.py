"""Real webserver and daemon on PostgreSQL storage: what a user does in the UI, through the GraphQL that the UI uses."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.keycrm.simulator import SimulatorState, create_app
from database.embedded import EmbeddedServer
from database.encryption import Keyring, new_key
from database.environment import Environment
from orchestration.instance import WORKSPACE, prepare
from orchestration.manifest import prepare_manifest
from tests.integration.orchestration import shops
from tests.integration.orchestration.dagster_processes import Dagster, running
from tests.support.http_server import serve
from tests.support.waiting import wait_until

LAUNCH = """
mutation($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
BACKFILL = """
query($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status error { message } } }
}
"""
PARTITIONS = """
query {
  assetNodeOrError(assetKey: {path: ["raw", "keycrm", "orders"]}) {
    ... on AssetNode { partitionKeysByDimension { name partitionKeys } }
  }
}
"""
PARTITION_STATES = """
query {
  assetNodeOrError(assetKey: {path: ["raw", "keycrm", "orders"]}) {
    ... on AssetNode { assetPartitionStatuses { ... on MultiPartitionStatuses { ranges {
      primaryDimStartKey primaryDimEndKey
      secondaryDim { ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } }
    } } } }
  }
}
"""
RUNS = """
query($backfill: String!) {
  runsOrError(filter: {tags: [{key: "dagster/backfill", value: $backfill}]}) {
    ... on Runs { results { runId status creationTime eventConnection { events { ... on MessageEvent { message } } } } }
  }
}
"""
UPSTREAM = """
query($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode { groupName dependencyKeys { path } assetChecksOrError { ... on AssetChecks { checks { name } } } }
  }
}
"""


def backfill_parameters(project_ids: list[str], numbers: list[int]) -> dict[str, Any]:
    return {
        "assetSelection": [{"path": ["raw", "keycrm", "orders"]}, {"path": ["raw", "keycrm", "customers"]}],
        "partitionNames": [f"{shops.day(number)}|{name}" for name in project_ids for number in numbers],
    }


@dataclass
class Stack:
    dagster: Dagster
    database_url: str
    variables: dict[str, str]
    print_shop: SimulatorState

    def backfill(self, project_ids: list[str], numbers: list[int]) -> str:
        """Launch a backfill of orders and customers as the UI does; its status at the end."""
        parameters = backfill_parameters(project_ids, numbers)
        answer = self.dagster.query(LAUNCH, parameters=parameters)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer

        def end() -> str | None:
            backfill = self.dagster.query(BACKFILL, id=answer["backfillId"])["partitionBackfillOrError"]
            assert backfill["error"] is None, backfill["error"]["message"]
            return None if backfill["status"] in {"REQUESTED", "FAILING"} else str(backfill["status"])

        return wait_until(end, 480, "the end of the backfill", every=1)

    def mart(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """Rows of a mart; none while it does not exist."""
        if not shops.select(self.database_url, "select to_regclass('marts.orders_current') as found")[0]["found"]:
            return []
        return shops.select(self.database_url, statement, parameters)


@pytest.fixture(scope="module")
def stack(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("home")
    server.create_database("orchestration_stack", template="template_migrated")
    url = server.url("orchestration_stack")
    print_shop = shops.account("print-key")
    with pytest.MonkeyPatch.context() as patch, serve(create_app(print_shop)) as simulator:
        patch.setenv("DATABASE_URL", url)
        patch.setenv("CRM_ELT_HOME", str(home))
        patch.setenv("CRM_ELT_MASTER_KEY", new_key())
        patch.delenv("DAGSTER_HOME", raising=False)
        environment = Environment()
        keys = {"print-shop": "print-key", "gift-shop": "wrong-key"}
        shops.apply(url, Keyring.load(environment), shops.settings(simulator, keys))
        prepare_manifest(environment, url)
        variables = prepare(environment, url)
        monitor_often(home / "dagster" / "dagster.yaml")
        with running(variables, home / "logs") as dagster:
            stack = Stack(dagster, url, variables, print_shop)
            wait_until(
                lambda: project_keys(stack) == {"print-shop", "gift-shop"},
                240,
                "the partitions of the projects",
                every=0.5,
            )
            yield stack
    server.drop_database("orchestration_stack")


def monitor_often(path: Path) -> None:
    """Look after runs every second instead of twice a minute."""
    content = yaml.safe_load(path.read_text())
    content["run_monitoring"]["poll_interval_seconds"] = 1
    path.write_text(yaml.safe_dump(content))


def project_keys(stack: Stack) -> set[str]:
    dimensions = stack.dagster.query(PARTITIONS)["assetNodeOrError"]["partitionKeysByDimension"]
    return set(next(item["partitionKeys"] for item in dimensions if item["name"] == "project"))


def test_a_partition_backfilled_in_the_ui_fills_core_and_the_marts(stack: Stack) -> None:
    """The failing project of the same backfill leaves it alone, and is stopped with its reason."""
    assert stack.backfill(["print-shop", "gift-shop"], [0, 1]) == "COMPLETED_FAILED"

    wanted = shops.orders_of(stack.print_shop, 0) | shops.orders_of(stack.print_shop, 1)
    assert shops.core_orders(stack.database_url, "print-shop") >= wanted

    def built() -> set[str]:
        # orders_current is live; this table shows what a build has seen.
        rows = stack.mart("select order_id from marts.fct_order_status_intervals where project_id = 'print-shop'")
        return {row["order_id"] for row in rows}

    try:
        wait_until(lambda: built() >= wanted, 480, "the orders in the marts", every=1)
    except AssertionError as error:
        pytest.fail(f"{error}; marts hold {built()}, wanted {wanted}\n{stack.dagster.output()}")
    current = stack.mart("select order_id from marts.orders_current where project_id = 'print-shop'")
    assert {row["order_id"] for row in current} >= wanted

    (project,) = shops.select(
        stack.database_url, "select is_enabled, disabled_reason from config.projects where project_id = 'gift-shop'"
    )
    assert not project["is_enabled"]
    assert project["disabled_reason"]
    wait_until(
        lambda: project_keys(stack) == {"print-shop"}, 240, "the partition of the stopped project to go", every=0.5
    )
    days = stack.dagster.query(PARTITION_STATES)["assetNodeOrError"]["assetPartitionStatuses"]["ranges"]
    # The schedule pulls what is new meanwhile: the day under way may have the project already, or not yet.
    (backfilled,) = [item for item in days if item["primaryDimStartKey"] == shops.day(0)]
    assert backfilled["primaryDimEndKey"] == shops.day(1)
    assert backfilled["secondaryDim"]["materializedPartitions"] == ["print-shop"]
    assert all({*item["secondaryDim"]["materializedPartitions"]} <= {"print-shop"} for item in days)


def test_a_run_whose_process_is_killed_is_noticed_and_started_again(stack: Stack) -> None:
    # For as long as it takes: the schedule may ask too.
    stack.print_shop.faults.add("slow", "/order", times=None, seconds=25)
    answer = stack.dagster.query(LAUNCH, parameters=backfill_parameters(["print-shop"], [3]))["launchPartitionBackfill"]

    def runs() -> list[dict[str, Any]]:
        found = stack.dagster.query(RUNS, backfill=answer["backfillId"])["runsOrError"]["results"]
        return sorted(found, key=lambda run: run["creationTime"])

    def process() -> int | None:
        """Of the run, once it pulls."""
        ids = [run["runId"] for run in runs()]
        pulling = "select run_id from sync.runs where state = 'running' and dagster_run_id = any(%s)"
        if not shops.select(stack.database_url, pulling, [ids]):
            return None
        messages = [event["message"] for event in runs()[0]["eventConnection"]["events"]]
        return next(int(found[1]) for text in messages if (found := re.search(r"in process \(pid: (\d+)\)", text)))

    def states() -> list[str]:
        return [run["status"] for run in runs()]

    os.kill(wait_until(process, 240, "the run's process", every=0.5), signal.SIGKILL)
    stack.print_shop.faults.clear()
    wait_until(lambda: states()[0] == "FAILURE", 240, "the run to be failed", every=0.5)
    wait_until(lambda: states()[1:] == ["SUCCESS"], 360, "the run to be started again, and succeed", every=0.5)
    wanted = shops.orders_of(stack.print_shop, 3)
    assert shops.core_orders(stack.database_url, "print-shop") >= wanted


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        (["core", "orders"], ["raw", "keycrm", "orders"]),
        (["core", "order_status_events"], ["raw", "webhook_events"]),
        (["staging", "stg_core__order_status_events"], ["core", "order_status_events"]),
        (["marts", "fct_order_status_intervals"], ["staging", "stg_core__order_status_events"]),
    ],
)
def test_lineage_is_whole_from_raw_to_the_marts(stack: Stack, path: list[str], upstream: list[str]) -> None:
    node = stack.dagster.query(UPSTREAM, path=path)["assetNodeOrError"]
    assert upstream in [key["path"] for key in node["dependencyKeys"]]
    assert node["groupName"] == path[0]


def test_dbts_tests_are_checks_of_their_asset(stack: Stack) -> None:
    node = stack.dagster.query(UPSTREAM, path=["marts", "fct_order_stages"])["assetNodeOrError"]
    assert node["assetChecksOrError"]["checks"]


def test_schedules_and_sensors_run_without_being_switched_on(stack: Stack) -> None:
    answer = stack.dagster.query(
        """
        query {
          workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { ... on RepositoryLocation {
            repositories { schedules { name scheduleState { status } } sensors { name sensorState { status } } }
          } } } } }
        }
        """
    )
    (entry,) = answer["workspaceOrError"]["locationEntries"]
    (repository,) = entry["locationOrLoadError"]["repositories"]
    states = {item["name"]: item["scheduleState"]["status"] for item in repository["schedules"]}
    states |= {item["name"]: item["sensorState"]["status"] for item in repository["sensors"]}
    assert {f"{crm}_new" for crm in ("keycrm", "retailcrm", "yclients", "amocrm", "iiko", "onec", "renovatio")} <= {
        *states
    }
    assert {"health", "nightly_build", "nightly_reconcile", "raw_backlog", "sync_requests_due"} <= {*states}
    assert set(states.values()) == {"RUNNING"}


def test_the_workspace_passes_dagsters_own_validation(stack: Stack) -> None:
    result = subprocess.run(
        [str(Path(sys.executable).parent / "dagster"), "definitions", "validate", "-w", str(WORKSPACE)],
        env={**os.environ, **stack.variables}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


def test_no_secret_is_in_dagsters_own_database(stack: Stack) -> None:
    storage = stack.variables["CRM_ELT_DAGSTER_DATABASE_URL"]
    secrets = ["print-key", "wrong-key", os.environ.get("CRM_ELT_MASTER_KEY", ""), storage.split(":")[2].split("@")[0]]
    for table, column in (("event_logs", "event"), ("runs", "run_body"), ("run_tags", "value")):
        for secret in filter(None, secrets):
            rows = shops.select(
                storage, f"select count(*) as found from {table} where {column} like %s", [f"%{secret}%"]
            )
            assert rows[0]["found"] == 0, f"{table}.{column} holds a secret"
