"""Orders before the marts have been built for the first time."""

from __future__ import annotations

import httpx
import pytest
from dashboard_process import Dashboard


@pytest.fixture(scope="module")
def headers(dash: Dashboard) -> dict[str, str]:
    return dash.bearer(dash.user(role="admin"))


@pytest.mark.parametrize(
    "path",
    ["/api/orders", "/api/orders/export.csv", "/api/orders/1/timeline?project=almond", "/api/dicts/statuses", "/orders",
     "/orders/almond/1"],
)  # fmt: skip
def test_each_address_says_that_the_marts_are_missing(dash: Dashboard, headers: dict[str, str], path: str) -> None:
    answer = httpx.get(dash.url + path, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_built")
    assert "crm-elt build" in answer.json()["detail"]


def test_an_override_is_not_stored_for_an_order_that_is_not_known(dash: Dashboard, headers: dict[str, str]) -> None:
    body = {"project_id": "almond", "is_urgent": True, "reason": "a test"}
    answer = httpx.put(f"{dash.url}/api/orders/1/override", json=body, headers=headers, timeout=30)
    assert answer.status_code == 503
    assert dash.rows("select 1 from config.order_overrides") == []
