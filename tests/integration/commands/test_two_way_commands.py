"""`crm-elt conflicts`, `consistency` and `resync`, as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from connectors.keycrm.simulator import SimulatorState, create_app
from database.environment import Environment
from tests.integration.orchestration import shops
from tests.support.command_line import Cli, command_line
from tests.support.http_server import serve

ORDERS = shops.DAYS * shops.ORDERS_A_DAY
"""None of which names a customer."""
FIELDS = {
    name: {
        "vms": f"{name} here", "crm": f"{name} there", "crm_own": f"{name} there", "agreed_vms": None,
        "agreed_crm": None, "vms_changed_at": None, "crm_changed_at": None,
    }
    for name in ("note", "full_name")
}  # fmt: skip


@pytest.fixture
def cli(environment: Environment, capfd: pytest.CaptureFixture[str]) -> Cli:
    return command_line(capfd)


@pytest.fixture
def shop(cli: Cli, tmp_path: Path) -> Iterator[SimulatorState]:
    account = shops.account("print-key")
    with serve(create_app(account)) as url:
        path = tmp_path / "settings.yaml"
        path.write_text(shops.settings(url, {"print-shop": "print-key"}) + "    vms: {inbound: true}\n")
        code, _, err = cli("apply", str(path))
        assert code == 0, err
        yield account


def execute(environment: Environment, statement: str, *values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(str(environment.database_url), autocommit=True, row_factory=dict_row) as connection:
        cursor = connection.execute(statement, values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def conflict_id(shop: SimulatorState, environment: Environment) -> int:
    """An open conflict of a customer that both sides have."""
    execute(environment, "insert into vms.customers (project_id, id, note) values ('print-shop', 7, 'note here')")
    execute(environment, "delete from sync.outbox")
    execute(
        environment,
        "insert into sync.mappings (project_id, entity_type, vms_entity_id, crm_entity_id)"
        " values ('print-shop', 'customer', 7, 'C-7')",
    )
    (row,) = execute(
        environment,
        "insert into sync.conflicts (project_id, entity_type, vms_entity_id, crm_entity_id, fields)"
        " values ('print-shop', 'customer', 7, 'C-7', %s) returning conflict_id",
        json.dumps(FIELDS),
    )
    found: int = row["conflict_id"]
    return found


def test_conflicts_are_listed_field_by_field_and_resolved_for_one_side(
    cli: Cli, conflict_id: int, environment: Environment
) -> None:
    code, out, _ = cli("conflicts", "list")
    assert code == 0
    assert all(text in out for text in ("customer 7", "C-7", "note here", "full_name there"))
    code, out, _ = cli("conflicts", "resolve", str(conflict_id), "--vms", "--field", "note")
    assert (code, out) == (0, f"Conflict {conflict_id}: vms wins. Left to decide: full_name.\n")
    code, out, _ = cli("conflicts", "resolve", str(conflict_id), "--crm", "--json")
    assert code == 0
    assert json.loads(out)["resolution"] == {"note": "vms", "full_name": "crm"}
    assert cli("conflicts", "list")[1] == "Conflicts: none\n"
    (row,) = json.loads(cli("conflicts", "list", "print-shop", "--state", "resolved", "--json")[1])
    assert (row["state"], row["conflict_id"]) == ("resolved", conflict_id)
    actors = execute(environment, "select distinct actor from config.audit_log where action = 'resolved'")
    assert [row["actor"].partition(":")[0] for row in actors] == ["cli"]
    assert execute(environment, "select vms_entity_id from sync.outbox") == [{"vms_entity_id": 7}]
    assert execute(environment, "select crm_entity_id from sync.inbound_queue") == [{"crm_entity_id": "C-7"}]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("resolve", "{id}"), "Say which side wins: --vms or --crm."),
        (("resolve", "{id}", "--vms", "--crm"), "Say which side wins: --vms or --crm."),
        (("resolve", "999", "--vms"), "There is no open conflict 999: see `crm-elt conflicts list`."),
        (("resolve", "{id}", "--vms", "--field", "phone"), "is about full_name, note, not phone."),
        (("list", "--state", "closed"), "--state: expected open, resolved or all, got 'closed'."),
    ],
)
def test_what_makes_no_sense_is_a_sentence_and_exit_code_2(
    cli: Cli, conflict_id: int, words: tuple[str, ...], sentence: str
) -> None:
    code, _, err = cli("conflicts", *(word.format(id=conflict_id) for word in words))
    assert (code, sentence in err) == (2, True), err


def test_conflicts_of_a_misspelt_project_are_an_error(cli: Cli, conflict_id: int) -> None:
    code, _, err = cli("conflicts", "list", "print-shup")
    assert (code, "print-shop" in err) == (1, True)


def test_the_comparison_is_shown_by_kind_of_object(cli: Cli, conflict_id: int, environment: Environment) -> None:
    code, out, err = cli("consistency", "print-shop", "--json")
    assert code == 0, err
    rows = {row["entity"]: row for row in json.loads(out)}
    assert list(rows) == ["customer", "article", "order", "payment"]
    assert (rows["customer"]["compared"], rows["customer"]["missing_at_crm"]) == (0, 1)  # core does not know C-7
    code, out, err = cli("consistency", "print-shop")
    assert (code, "share" in out) == (0, True)
    assert "Comparing print-shop" in err
    assert cli("consistency", "no-such")[0] == 1


def test_a_resync_pulls_compares_and_may_be_cancelled(cli: Cli, shop: SimulatorState, environment: Environment) -> None:
    code, out, err = cli("resync", "print-shop")
    assert code == 0, err
    assert "Resynced print-shop" in out
    assert "Resyncing print-shop" in err
    assert execute(environment, "select state, requested_by like 'cli:%%' as is_mine from sync.resyncs", ) == [
        {"state": "done", "is_mine": True}
    ]  # fmt: skip
    orders = execute(environment, "select count(*)::int as n from sync.inbound_queue where entity_type = 'order'")
    assert orders == [{"n": ORDERS}]
    code, _, err = cli("resync", "print-shop", "--cancel")
    assert (code, err) == (1, "Error: No resync of print-shop is under way.\n")
    execute(environment, "insert into sync.resyncs (project_id) values ('print-shop')")
    code, out, _ = cli("resync", "print-shop", "--cancel", "--json")
    assert (code, json.loads(out)["state"]) == (0, "cancelled")


def test_a_resync_that_another_process_runs_is_not_run_twice(
    cli: Cli, shop: SimulatorState, environment: Environment
) -> None:
    (row,) = execute(
        environment,
        "insert into sync.resyncs (project_id, state) values ('print-shop', 'running') returning resync_id",
    )
    with psycopg.connect(str(environment.database_url), autocommit=True) as worker:
        worker.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [f"crm_elt.resync.{row['resync_id']}"])
        code, _, err = cli("resync", "print-shop")
    assert (code, "under way in another process" in err) == (1, True)


def test_processing_brings_the_crms_changes_into_vms_and_sends_those_of_vms(
    cli: Cli, shop: SimulatorState, environment: Environment, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(settings.read_text().replace("{inbound: true}", "{inbound: true, outbound_customers: true}"))
    assert cli("apply", str(settings))[0] == 0
    shop.add_buyer("Anna", phones=["+380671112233"])
    code, _, err = cli("sync", "print-shop")
    assert code == 0, err
    execute(environment, "insert into vms.customers (project_id, full_name) values ('print-shop', 'Bob')")
    code, out, err = cli("process", "--json")
    assert code == 0, err
    processed = json.loads(out)
    assert (processed["rows"], processed["failed"]) == (0, 0)  # the sync has drained what it landed
    assert processed["two_way"] == {
        "applied": 1 + ORDERS, "made_in_vms": 1, "changed_in_vms": 0, "failed_to_apply": ORDERS, "applied_later": 0,
        "sent": 1, "skipped": 0, "failed_to_send": 0, "sent_later": 0,
    }  # fmt: skip
    assert sorted(buyer.fields["full_name"] for buyer in shop.buyers) == ["Anna", "Bob"]
    names = execute(environment, "select full_name from vms.customers order by full_name")
    assert [row["full_name"] for row in names] == ["Anna", "Bob"]

    execute(environment, "update vms.customers set full_name = 'Robert' where full_name = 'Bob'")
    code, out, err = cli("process")
    assert code == 0, err
    assert out.splitlines() == [
        "0 rows processed, 0 new status events, 0 failed.",
        "vms: 0 made, 0 changed, 0 failed, 0 wait; CRMs: 1 sent, 0 skipped, 0 failed, 0 wait.",
    ]
