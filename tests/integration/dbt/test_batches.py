"""What a build takes as its batch of changed orders, and when it forgets one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.integration.dbt.conftest import Warehouse
from tests.oracle import generated

EVENT = (
    "insert into core.order_status_events (project_id, order_id, status_id, status_changed_at, source, dedup_key)"
    " values ('p0', '{order}', '1', '2025-06-02 10:00+00', 'webhook', '{order}')"
)
BATCH = (
    "select project_id, order_id from sync.build_orders"
    " where batch_id = (select max(batch_id) from sync.build_batches) and order_id <> '' order by 1, 2"
)
LAST_INTERVAL = (
    "select order_id from marts.fct_order_status_intervals where project_id = 'p0' and order_id like 'new-%'"
)


@pytest.fixture(scope="module")
def built(make_warehouse: Callable[[], Warehouse]) -> Iterator[Warehouse]:
    warehouse = make_warehouse()
    generated.fill(warehouse.url, seed=5, orders_per_project=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_EXCLUDE_RESOURCE_TYPES", "test unit_test")
        assert warehouse.build(unit_tests=True).failed == ()
        yield warehouse


def build(warehouse: Warehouse) -> None:
    # With unit tests means without excluding them alone: the variable of the fixture leaves out all tests.
    assert warehouse.build(unit_tests=True).failed == ()


def test_what_commits_while_a_build_runs_waits_for_the_next(built: Warehouse) -> None:
    with psycopg.connect(built.url) as late:
        late.execute(EVENT.format(order="new-late").encode())
        built.execute(EVENT.format(order="new-early"))
        build(built)
        assert built.rows(BATCH) == [{"project_id": "p0", "order_id": "new-early"}]
        late.commit()
    assert built.rows(LAST_INTERVAL) == [{"order_id": "new-early"}]
    # Until then orders_current computes it.
    assert built.rows("select * from sync.changed_orders") == [{"project_id": "p0", "order_id": "new-late"}]
    assert len(built.rows("select * from marts.orders_current where order_id = 'new-late'")) == 1
    build(built)
    assert built.rows(BATCH) == [{"project_id": "p0", "order_id": "new-late"}]
    assert built.rows(f"{LAST_INTERVAL} order by 1") == [{"order_id": "new-early"}, {"order_id": "new-late"}]
    assert built.rows("select * from sync.changed_orders") == []


def test_a_limit_of_one_group_concerns_the_orders_that_were_in_it(built: Warehouse) -> None:
    built.execute(
        "insert into config.sla_rules values ('p1', 'normal', '2', 77)"
        " on conflict (project_id, profile, status_group_id) do update set limit_seconds = 77"
    )
    build(built)
    batch = {row["order_id"] for row in built.rows(BATCH)}
    been = built.rows("select order_id from marts.fct_order_stages where project_id = 'p1' and status_group_id = '2'")
    assert batch == {row["order_id"] for row in been}
    assert built.rows(
        "select distinct sla_limit_seconds from marts.fct_order_stages"
        " where project_id = 'p1' and status_group_id = '2' and not is_urgent and sla_limit_seconds is not null"
    ) in ([{"sla_limit_seconds": 77}], [])


def test_batches_that_every_model_has_done_are_forgotten(built: Warehouse) -> None:
    build(built)
    for notes in ("orders", "dates", "transitions", "variants"):
        assert built.rows(f"select * from sync.build_{notes}") == [], notes
