"""Analytics before the first build, and the way from a transition to its orders, on rows made by hand."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import httpx
import psycopg
import pytest
from dashboard_process import Dashboard

from database.connection import Connection
from database.repositories import analytics_paths
from database.repositories.analytics_paths import Path, Variants

PAGES = ("", "/cycles", "/sla", "/flow", "/map", "/variants")


def test_before_the_first_build_pages_say_so_and_programs_are_told_to_wait(dash: Dashboard) -> None:
    login = dash.user(projects=["print-shop"])
    with dash.browser(login) as browser:
        for path in PAGES:
            answer = browser.get(f"/analytics{path}", headers={"accept": "text/html"})
            assert answer.status_code == 200, path
            assert "Nothing has been built yet" in answer.text
    token = dash.bearer(login)
    refused = [
        httpx.get(f"{dash.url}/api/analytics/{name}", headers=token) for name in ("stages", "ageing", "variants")
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(503, "not_built")] * 3


def test_without_a_login_and_without_rights_nothing_is_told(dash: Dashboard) -> None:
    login = dash.user(projects=["print-shop"])
    with dash.browser(login) as browser:
        for path in ("/analytics/map/orders?from=1&to=2", "/analytics/variants/orders?variant=x"):
            for project in ("mug-shop", "nowhere", ""):
                assert browser.get(f"{path}&project={project}").status_code == 404, (path, project)
    assert httpx.get(f"{dash.url}/api/analytics/stages").status_code == 401


Orders = dict[str, tuple[bool, list[str]]]
"""Number -> whether it is urgent, and the statuses it has been in."""


def made(seed: int) -> Orders:
    chance = random.Random(seed)
    return {
        f"{number:04}": (chance.random() < 0.2, [chance.choice("abc") for _ in range(chance.randint(1, 5))])
        for number in range(300)
    }


async def tables(connection: Connection, orders: Orders) -> None:
    """The three tables that are read, as far as they are; they go with the transaction."""
    for schema in ("marts", "intermediate"):
        await connection.execute(f"create schema if not exists {schema}".encode())
    await connection.execute(
        """
        create table intermediate.int_orders__paths (
            project_id text, order_id text, is_urgent boolean, is_ended boolean, status_ids text[],
            status_names text[], variant_id text, elapsed_seconds numeric, working_seconds numeric
        );
        create table intermediate.int_orders__latest (
            project_id text, order_id text, last_status_id text, last_status_name text,
            last_changed_at timestamptz, is_closed boolean
        )
        """
    )
    for number, (is_urgent, path) in orders.items():
        await connection.execute(
            """
            insert into intermediate.int_orders__paths
            values ('p', %(n)s, %(u)s, %(n)s < '0200', %(p)s, %(p)s, md5(array_to_json(%(p)s::text[])::text), 60, 30),
                ('q', %(n)s, %(u)s, true, %(p)s, %(p)s, md5(array_to_json(%(p)s::text[])::text), 60, 30)
            """,
            {"n": number, "u": is_urgent, "p": path},
        )
    await connection.execute(
        """
        create table marts.agg_variants as
        select project_id, is_urgent, is_ended, variant_id, array_to_string(status_ids, ' > ') as status_path,
            status_ids, count(*) as orders, 0.5 as orders_share, 0.0 as median_elapsed_seconds,
            0.0 as p90_elapsed_seconds, 0.0 as median_working_seconds, 0.0 as p90_working_seconds, 0::bigint as cycles,
            0.0 as median_cycle_seconds
        from intermediate.int_orders__paths
        group by project_id, is_urgent, is_ended, variant_id, status_ids
        """
    )


def behind(orders: Orders, one: str, two: str, is_urgent: bool | None) -> set[str]:
    return {
        number
        for number, (urgent, path) in orders.items()
        if (is_urgent is None or urgent == is_urgent)
        and ((one, two) in pairwise(path) or (one == "" and path[0] == two))
    }


@pytest.mark.parametrize("is_urgent", [None, True, False])
def test_the_orders_behind_a_transition_are_those_whose_path_has_it(dash: Dashboard, is_urgent: bool | None) -> None:
    orders = made(7)

    async def walk(connection: Connection) -> dict[tuple[str, str], tuple[list[str], int]]:
        found = {}
        async with connection.transaction(force_rollback=True):
            await tables(connection, orders)
            for one in ("", "a", "b", "c"):
                for two in "abc":
                    found[one, two] = await walked(connection, one, two)
        return found

    async def walked(connection: Connection, one: str, two: str) -> tuple[list[str], int]:
        """All pages of four orders, as the page of a transition goes through them."""
        whole = await analytics_paths.paths_with(connection, "p", one, two, is_urgent, limit=1000)
        counts = {(path.variant_id, path.is_urgent): path.orders for path in whole}
        numbers: list[str] = []
        since: Path | None = None
        after: str | None = None
        while True:
            paths = await analytics_paths.paths_with(connection, "p", one, two, is_urgent, since=since, limit=6)
            rows = await analytics_paths.orders_of(connection, "p", paths, after=after, limit=5)
            numbers += [row["order_id"] for row in rows[:4]]
            if len(rows) <= 4:
                return numbers, sum(counts.values())
            last = rows[3]
            key = (last["variant_id"], last["is_urgent"])
            since, after = Path(*key, counts[key]), last["order_id"]

    for (one, two), (numbers, count) in dash.do(walk).items():
        expected = behind(orders, one, two, is_urgent)
        assert len(numbers) == len(set(numbers)) == count == len(expected), (one, two)
        assert set(numbers) == expected, (one, two)


def test_pages_of_variants_have_each_path_once_the_most_frequent_first(dash: Dashboard) -> None:
    orders = made(8)
    counted = Counter((urgent, number < "0200", tuple(path)) for number, (urgent, path) in orders.items())

    async def walk(connection: Connection) -> list[dict[str, Any]]:
        async with connection.transaction(force_rollback=True):
            await tables(connection, orders)
            found: list[dict[str, Any]] = []
            after: list[Any] | None = None
            while rows := await analytics_paths.variants(connection, Variants(["p"]), after=after, limit=7):
                found += rows
                after = [rows[-1][name] for name in analytics_paths.VARIANT_KEY]
            return found

    found = dash.do(walk)
    sizes = [int(str(row["orders"])) for row in found]
    assert sizes == sorted(sizes, reverse=True)
    by_path: dict[tuple[object, ...], list[object]] = defaultdict(list)
    for row in found:
        by_path[row["is_urgent"], row["is_ended"], tuple(row["status_ids"])].append(row["orders"])
    assert by_path == {path: [count] for path, count in counted.items()}


def test_a_cursor_of_other_types_is_no_failure_of_the_server(dash: Dashboard) -> None:
    async def ask(connection: Connection) -> None:
        async with connection.transaction(force_rollback=True):
            await tables(connection, made(9))
            await analytics_paths.variants(connection, Variants(["p"]), after=["x", "p", True, True, "v"], limit=7)

    with pytest.raises(psycopg.DataError):
        dash.do(ask)
