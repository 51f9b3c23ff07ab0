"""Which rows the tests of a build read: those that it changed; at night, and by `dbt test`, all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sync.build import PROJECT_DIR, dbt_environment
from tests.integration.dbt.conftest import Warehouse
from tests.integration.dbt.test_batches import EVENT
from tests.oracle import generated

BROKEN = {"stages_sum_their_intervals", "fct_order_stages_key"}
BREAK_AN_OLD_ROW = """
    update marts.fct_order_stages set elapsed_seconds = elapsed_seconds + 1
    where ctid = (select min(ctid) from marts.fct_order_stages);
    insert into marts.fct_order_stages select * from marts.fct_order_stages
    where ctid = (select max(ctid) from marts.fct_order_stages);
"""
BREAK_NEW_ROWS = """
    create function public.break_row() returns trigger language plpgsql as
        $$ begin new.visits := new.visits + 1; return new; end $$;
    create trigger broken before insert on marts.fct_order_stages for each row execute function public.break_row();
"""


@pytest.fixture(scope="module")
def built(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    warehouse = make_warehouse()
    generated.fill(warehouse.url, seed=6, orders_per_project=3)
    assert warehouse.build().failed == ()
    return warehouse


def failed(warehouse: Warehouse, *, all_rows: bool = False) -> set[str]:
    return {failure.name for failure in warehouse.build(all_rows=all_rows).failed}


def test_a_broken_old_row_is_found_at_night_and_a_broken_new_one_at_once(built: Warehouse) -> None:
    built.execute(BREAK_AN_OLD_ROW, EVENT.format(order="new-1"))
    assert failed(built) == set(), "the tests of a build read what it has computed"
    assert failed(built, all_rows=True) >= BROKEN
    assert _dbt_test(built) != 0
    assert built.build(full_refresh=True).failed == ()
    assert _dbt_test(built) == 0

    built.execute(BREAK_NEW_ROWS, EVENT.format(order="new-2"))
    assert failed(built) == {"stages_sum_their_intervals"}


def _dbt_test(warehouse: Warehouse) -> int:
    folder = str(warehouse.folder)
    command = [
        str(Path(sys.executable).with_name("dbt")), "test", "--select", "fct_order_stages_key",
        "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR),
        "--target-path", folder, "--log-path", folder,
    ]  # fmt: skip
    environment = {**os.environ, **dbt_environment(warehouse.url)}
    return subprocess.run(command, env=environment, check=False, capture_output=True).returncode
