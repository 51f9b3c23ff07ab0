"""Analytics in a browser: every tab's figures against an independent calculation, and the orders behind the map."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from demo_windows import Demo, fits, serious_findings
from playwright.sync_api import Page, expect

from dashboard.ui import formats
from tests.oracle import flow, inputs
from tests.oracle.expected import cancellations, compliance, successes
from tests.oracle.metrics import Metrics
from tests.support.waiting import wait_until

PROJECT = "print-shop"
THIS_MONTH = datetime.now(UTC).date().replace(day=1)
MONTH = (THIS_MONTH - timedelta(days=1)).replace(day=1)
"""The last whole month: the demo's orders go on, but its past hardly changes."""
LAST_DAY = THIS_MONTH - timedelta(days=1)
SPAN = f"from={MONTH}&to={LAST_DAY}&grain=month"
BUILD_SECONDS = 120.0
"""What was written lately, and settings that other tests change and change back, are in the marts by then."""
TABS = {
    "times": "/analytics",
    "cycles": "/analytics/cycles",
    "sla": "/analytics/sla",
    "flow": "/analytics/flow",
    "map": "/analytics/map",
    "variants": "/analytics/variants",
}


def metrics_of(demo: Demo) -> Metrics:
    """From the demo's events and settings as they are now."""
    return Metrics(inputs.read(demo.database_url)[PROJECT])


def table(page: Page, name: str) -> list[list[str]]:
    """The cells of a table's rows."""
    rows = page.locator(f"table[data-table={name}] tbody tr, [data-table={name}] table tbody tr")
    found: list[list[str]] = rows.evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    )
    return found


def agree(page: Page, demo: Demo, path: str, found: Any, expected: Any) -> None:
    """The page shows what the calculation says, at the latest when the next build is over."""
    seen: list[Any] = []

    def same() -> bool:
        wanted = expected(metrics_of(demo))
        assert wanted, "the calculation says nothing: there is nothing to compare"
        page.goto(path)
        seen[:] = [found(page), wanted]
        return bool(seen[0] == seen[1])

    wait_until(same, BUILD_SECONDS, lambda: f"{path}: {seen[0]} as calculated, {seen[1]}", every=5)


def duration(seconds: Decimal) -> str:
    return formats.duration(seconds, "en")


def lines(page: Page, name: str) -> dict[tuple[str, bool], list[str]]:
    """Rows of a table of durations by their key: orders, visits, average, median, 90th percentile, total."""
    rows = page.locator(f"[data-table={name}] tbody tr").evaluate_all(
        "rows => rows.map(row =>"
        " [row.dataset.key, row.dataset.urgent, ...[...row.cells].map(cell => cell.textContent.trim())])"
    )
    return {(row[0], row[1] == "true"): row[4:10] for row in rows}


def expected_lines(cells: dict[tuple[Any, ...], dict[str, Any]]) -> dict[tuple[str, bool], list[str]]:
    return {
        (key, is_urgent): [
            formats.number(row["orders"], "en"),
            formats.number(row["visits"], "en"),
            *(duration(row[f"{measure}_working_seconds"]) for measure in ("avg", "median", "p90", "total")),
        ]
        for (grain, start, key, is_urgent), row in cells.items()
        if (grain, start) == ("month", MONTH)
    }


def test_times_of_stages_statuses_and_cycles_agree_with_the_events(admin: Page, demo: Demo) -> None:
    times = f"/analytics?project={PROJECT}&period={MONTH}&{SPAN}"

    def shown(page: Page) -> Any:
        page.get_by_text("Statuses", exact=True).click()
        return lines(page, "stages"), lines(page, "statuses")

    agree(
        admin, demo, times, shown,
        lambda metrics: (expected_lines(metrics.stage_durations()), expected_lines(metrics.status_durations())),
    )  # fmt: skip
    assert len(lines(admin, "stages")) >= 8
    assert {is_urgent for _, is_urgent in lines(admin, "stages")} == {False, True}
    agree(
        admin, demo, f"/analytics/cycles?project={PROJECT}&period={MONTH}&{SPAN}",
        lambda page: lines(page, "cycles"), lambda metrics: expected_lines(metrics.cycle_durations()),
    )  # fmt: skip
    # The table behind the first chart says the same medians as the page's own table.
    admin.goto(times)
    admin.get_by_text("Table", exact=True).first.click()
    medians = {row[0]: row[1] for row in admin.locator("figure").first.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    )}  # fmt: skip
    own = admin.locator("[data-table=stages] tbody tr[data-urgent=false]").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    )
    assert {row[0]: row[5] for row in own} == {name: medians[name] for name in (row[0] for row in own)}


def in_month(cells: dict[tuple[Any, ...], dict[str, Any]], *names: str) -> Counter[tuple[Any, ...]]:
    """(rest of the key, name) -> sum in the month."""
    found: Counter[tuple[Any, ...]] = Counter()
    for (grain, start, *rest), row in cells.items():
        if (grain, start) == ("month", MONTH):
            found.update({(*rest, name): row[name] for name in names})
    return found


def numbers(row: list[str], *places: int) -> list[int]:
    return [int(row[place].replace(",", "")) for place in places]


def test_sla_success_and_cancellations_agree_with_each_order_judged_alone(admin: Page, demo: Demo) -> None:
    def shown(page: Page) -> Any:
        return (
            sorted([row[0], row[1], *numbers(row, 2, 3, 4)] for row in table(page, "sla")),
            [numbers(row, 1, 2, 3, 4) for row in table(page, "ends")],
            sorted([row[0], row[1], *numbers(row, 2, 3)] for row in table(page, "cancellations")),
        )

    def expected(metrics: Metrics) -> Any:
        def stage(group: str) -> str:
            return metrics.project.groups.get(group) or "Beginning, or without a stage"

        kinds = {False: "normal", True: "urgent"}
        judged = in_month(compliance(metrics), "sla_ok", "sla_near", "sla_over")
        ended = in_month(successes(metrics), "orders", "on_time", "late", "cancelled")
        lost = in_month(cancellations(metrics), "exits", "cancellations")
        totals = [sum(ended[kind, name] for kind in kinds) for name in ("orders", "on_time", "late", "cancelled")]
        return (
            sorted(
                [stage(group), kinds[kind], *(judged[group, kind, f"sla_{state}"] for state in ("ok", "near", "over"))]
                for group, kind in {(group, kind) for group, kind, _ in judged}
            ),
            [totals],
            sorted(
                [stage(group), kinds[kind], lost[group, kind, "exits"], lost[group, kind, "cancellations"]]
                for group, kind in {(group, kind) for group, kind, _ in lost}
            ),
        )

    agree(admin, demo, f"/analytics/sla?project={PROJECT}&{SPAN}", shown, expected)
    rows = table(admin, "sla")
    counts = [sum(numbers(row, place)[0] for row in rows) for place in (2, 3, 4)]
    within = admin.locator(".figure", has_text="Within the limit").locator(".figure-value")
    expect(within).to_have_text(formats.percent((counts[0] + counts[1]) / sum(counts), "en"))


def test_flow_and_bottlenecks_agree_with_stays_counted_day_by_day(admin: Page, demo: Demo) -> None:
    def expected(metrics: Metrics) -> Any:
        flows: dict[str, Counter[str]] = defaultdict(Counter)
        for (day, group, _), row in flow.daily_flow(metrics).items():
            if MONTH <= day <= LAST_DAY:
                names = ("entered", "exited", "ended", *(["backlog"] if day == LAST_DAY else []))
                flows[row["status_group_name"] or group].update({name: row[name] for name in names})
        ranks = [
            ["urgent" if is_urgent else "normal", row["bottleneck_rank"], row["status_group_name"]]
            for (grain, start, _, is_urgent), row in flow.bottlenecks(metrics).items()
            if (grain, start) == ("month", MONTH)
        ]
        return (
            {name: [cell[part] for part in ("entered", "exited", "ended", "backlog")] for name, cell in flows.items()},
            sorted(ranks, key=str),
        )

    def shown(page: Page) -> Any:
        return (
            {row[0]: numbers(row, 1, 2, 3, 4) for row in table(page, "flow")},
            sorted(([row[0], int(row[1]), row[2]] for row in table(page, "bottlenecks")), key=str),
        )

    agree(admin, demo, f"/analytics/flow?project={PROJECT}&period={MONTH}&{SPAN}", shown, expected)
    opened = demo.rows(
        "select count(*) as n from marts.orders_current where project_id = %s and not is_closed"
        " and last_status_group_id is distinct from '6'", PROJECT,
    )  # fmt: skip
    assert sum(numbers(row, 2)[0] for row in table(admin, "ageing")) == pytest.approx(opened[0]["n"], abs=15)


def edges(page: Page) -> dict[tuple[str, str], int]:
    found = page.locator("a.edge").evaluate_all("all => all.map(e => [e.dataset.from, e.dataset.to, e.dataset.orders])")
    return {(one, two): int(orders) for one, two, orders in found}


def expected_edges(metrics: Metrics) -> dict[tuple[str, str], int]:
    found: Counter[tuple[str, str]] = Counter()
    for (one, two, _), row in flow.transitions(metrics).items():
        found[one, two] += row["orders"]
    return dict(found)


def orders_behind(page: Page) -> list[str]:
    """Order numbers of all pages."""
    found: list[str] = []
    while True:
        found += [row[0] for row in table(page, "orders")]
        following = page.locator("nav.pager a[rel=next]")
        if not following.count():
            return found
        following.click()


def went(metrics: Metrics, one: str, two: str) -> set[str]:
    """Orders with that transition, by their events."""
    return {
        order
        for order, history in metrics.histories.items()
        if any((a.event.status_id, b.event.status_id) == (one, two) for a, b in pairwise(history))
    }


def test_the_map_shows_every_transition_and_leads_to_the_orders_behind_it(
    admin: Page, demo: Demo, pictures: Path
) -> None:
    path = f"/analytics/map?project={PROJECT}&share=0"
    agree(admin, demo, path, edges, expected_edges)
    admin.screenshot(path=pictures / "analytics-map-all.png", full_page=True)
    # A way back to an earlier stage, by keyboard.
    back = admin.locator("a.edge.is-back").first
    one, two = back.get_attribute("data-from"), back.get_attribute("data-to")
    assert one is not None
    assert two is not None
    number = int(back.get_attribute("data-orders") or 0)
    back.focus()
    admin.keyboard.press("Enter")
    admin.wait_for_url("**/analytics/map/orders?**")
    expect(admin.locator("[data-count]")).to_have_attribute("data-count", str(number))
    behind = orders_behind(admin)
    assert len(behind) == len(set(behind)) == number
    assert set(behind) == went(metrics_of(demo), one, two)
    # Of one that many orders went, over several pages.
    admin.goto(path)
    most = max((orders, edge) for edge, orders in edges(admin).items() if edge[0])
    admin.locator(f'a.edge[data-from="{most[1][0]}"][data-to="{most[1][1]}"]').dispatch_event("click")
    admin.wait_for_url("**/analytics/map/orders?**")
    behind = orders_behind(admin)
    assert len(behind) > 50
    assert len(set(behind)) == len(behind)
    assert set(behind) == went(metrics_of(demo), *most[1])
    # The threshold leaves the rare ones out, and says so.
    admin.goto(path)
    admin.get_by_label("At least this share of orders").fill("10")
    admin.get_by_role("button", name="Show").click()
    expect(admin.get_by_text("rarer transitions are left out")).to_be_visible()
    begun = sum(orders for (origin, _), orders in edges(admin).items() if origin == "")
    assert edges(admin)
    assert all(orders * 10 >= begun for orders in edges(admin).values())


def test_variants_agree_with_the_paths_of_the_orders(admin: Page, demo: Demo) -> None:
    def expected(metrics: Metrics) -> Any:
        ended = [
            (row["orders"], row["status_path"].replace(" > ", " → "), formats.percent(row["orders_share"], "en"))
            for (is_urgent, is_ended, _), row in flow.variants(metrics).items()
            if is_ended and not is_urgent
        ]
        return sorted(ended, reverse=True)[:5]

    def shown(page: Page) -> Any:
        rows = table(page, "variants")
        return sorted(((numbers(row, 3)[0], row[0], row[4].split("%")[0] + "%") for row in rows), reverse=True)[:5]

    agree(admin, demo, f"/analytics/variants?project={PROJECT}&urgent=false", shown, expected)
    number = numbers(table(admin, "variants")[0], 3)[0]
    admin.locator("table[data-table=variants] a[data-open]").first.click()
    assert len(orders_behind(admin)) == number


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_is_accessible_small_and_fits_both_widths(
    tab: str, admin: Page, demo: Demo, pictures: Path, axe: str
) -> None:
    answer = admin.goto(f"{TABS[tab]}?project={PROJECT}")
    assert answer is not None
    assert answer.status == 200
    assert len(answer.body()) < 200_000
    assert "style=" not in answer.text()
    admin.screenshot(path=pictures / f"analytics-{tab}.png", full_page=True)
    assert serious_findings(admin, axe) == []
    assert fits(admin, "phone")
    admin.screenshot(path=pictures / f"analytics-{tab}-phone.png", full_page=True)
    assert fits(admin, "desktop")
    admin.context.add_cookies([{"name": "crm_elt_theme", "value": "dark", "url": demo.url}])
    try:
        admin.reload()
        admin.evaluate(
            "document.querySelectorAll('details.behind, details.more').forEach(each => { each.open = true })"
        )
        assert serious_findings(admin, axe) == []
        admin.screenshot(path=pictures / f"analytics-{tab}-dark.png", full_page=True)
    finally:
        admin.context.clear_cookies(name="crm_elt_theme")
    # All projects, where there is more to show.
    answer = admin.goto(TABS[tab])
    assert answer is not None
    assert len(answer.body()) < 200_000


def test_a_number_leads_to_its_definition_in_the_dbt_docs(admin: Page) -> None:
    admin.goto(f"/analytics/sla?project={PROJECT}")
    about = admin.locator(".figure", has_text="Within the limit").locator("details.about")
    about.locator("summary").click()
    expect(about).to_contain_text("How many of the orders that left a stage in a period kept its limit")
    with admin.context.expect_page() as opened:
        about.get_by_role("link").click()
    docs = opened.value
    try:
        expect(docs.get_by_role("heading", name="rpt_sla_compliance")).to_be_visible(timeout=60_000)
    finally:
        docs.close()


def test_a_filter_that_cannot_be_read_is_told_and_the_page_still_serves(admin: Page) -> None:
    answer = admin.goto("/analytics/sla?from=soon&to=2026-11-01")
    assert answer is not None
    assert answer.status == 422
    expect(admin.get_by_role("alert")).to_have_text("Write the day as 2026-11-30.")
    expect(admin.get_by_label("From", exact=True)).to_have_attribute("aria-invalid", "true")


def test_a_viewer_sees_the_own_project_alone(viewer: Page) -> None:
    viewer.goto("/analytics")
    assert viewer.locator("section[data-project]").evaluate_all("all => all.map(e => e.dataset.project)") == [PROJECT]
    for path in ("/analytics/map/orders?project=gift-shop&from=&to=1", "/analytics/variants/orders?project=gift-shop"):
        answer = viewer.goto(path)
        assert answer is not None
        assert answer.status == 404


ROUTES = (
    "stages", "statuses", "cycles", "sla", "success", "cancellations", "first-pass", "throughput", "bottlenecks",
    "ageing", "transitions", "variants",
)  # fmt: skip


@cache
def _client(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=f"{url}/api/analytics/", headers={"authorization": token}, timeout=30)


def test_programs_read_the_same_rows_page_by_page_and_of_their_projects_alone(demo: Demo) -> None:
    client = _client(demo.url, demo.bearer("viewer")["authorization"])
    for route in ROUTES:
        whole = client.get(route, params={"project": PROJECT, "limit": 1000})
        assert whole.status_code == 200, (route, whole.text)
        items = whole.json()["items"]
        assert items, route
        assert {item["project_id"] for item in client.get(route).json()["items"]} == {PROJECT}
        size = max(1, len(items) // 3)
        first = client.get(route, params={"limit": size}).json()
        second = client.get(route, params={"limit": size, "after": first["next"]}).json()
        if route != "ageing":  # its clock runs from one request to the next
            assert first["items"] + second["items"] == items[: 2 * size], route
        assert client.get(route, params={"project": "gift-shop"}).status_code == 404
        refused = client.get(route, params={"after": "nonsense"})
        assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json"), route
        urgent = client.get(route, params={"urgent": "true"}).json()["items"]
        assert {item["is_urgent"] for item in urgent} <= {True}
    for query in ({"grain": "year"}, {"from": "2026-12-01", "to": "2026-01-01"}, {"from": "x"}, {"limit": "0"}):
        refused = client.get("stages", params=query)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid"), query


def test_a_programs_numbers_agree_with_the_events(demo: Demo) -> None:
    client = _client(demo.url, demo.bearer("viewer")["authorization"])
    seen: list[Any] = []

    def same() -> bool:
        rows = client.get("stages", params={"from": str(MONTH), "to": str(LAST_DAY), "grain": "month"}).json()["items"]
        cells = metrics_of(demo).stage_durations()
        found = {(row["status_group_id"], row["is_urgent"]): row for row in rows}
        expected = {
            (key, is_urgent): row
            for (grain, at, key, is_urgent), row in cells.items()
            if (grain, at) == ("month", MONTH)
        }
        seen[:] = [found, expected]
        return found.keys() == expected.keys() and all(
            row["orders"] == expected[cell]["orders"]
            and row["p90_working_seconds"] == pytest.approx(float(expected[cell]["p90_working_seconds"]), abs=1e-5)
            and row["avg_elapsed_seconds"] == pytest.approx(float(expected[cell]["avg_elapsed_seconds"]), abs=1e-5)
            for cell, row in found.items()
        )

    wait_until(same, BUILD_SECONDS, lambda: str(seen), every=5)
    assert date.fromisoformat(next(iter(seen[0].values()))["period_start"]) == MONTH
