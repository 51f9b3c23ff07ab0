"""Which orders the list leaves out as the settings say, and when it does not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from dashboard.orders import hiding
from dashboard.orders.query import OrderFilter
from database.repositories.settings import ProjectRow
from database.repositories.shown_orders import Hiding

RULES = (
    Hiding(("almond",), closed_days=0),
    Hiding(("mug-shop", "print-shop"), frozenset({"6"}), frozenset({"19"}), closed_days=30),
)


def project(name: str, **dashboard: Any) -> ProjectRow:
    return ProjectRow(
        project_id=name, name=name.title(), crm="keycrm", base_url=None, timezone="UTC", region=None, currency=None,
        is_enabled=True, disabled_reason=None, near_threshold=Decimal("0.8"), webhook={}, sync={}, options={},
        status_map={}, conflict_policy="newest", vms={}, updated_at=datetime(2026, 11, 21, tzinfo=UTC),
        dashboard=dashboard,
    )  # fmt: skip


def of_query(**given: object) -> tuple[Hiding, ...]:
    return hiding.of_query(OrderFilter.model_validate(given), RULES)


def test_projects_that_hide_the_same_are_together_and_those_that_hide_nothing_are_left_out() -> None:
    same = {"hidden_groups": ["6"], "hidden_statuses": ["19"], "closed_days": 30}
    rows = [
        project("print-shop", **same), project("almond", closed_days=0), project("mug-shop", **same), project("new"),
        project("plain", hidden_groups=[], hidden_statuses=[], closed_days=None),
    ]  # fmt: skip
    assert hiding.of_projects(rows) == RULES
    assert hiding.of_projects(rows[3:]) == ()


def test_a_list_of_everything_leaves_out_what_the_settings_hide() -> None:
    assert of_query() == of_query(urgent="yes") == of_query(**{"from": "2026-01-01"}) == of_query(hidden="no") == RULES


@pytest.mark.parametrize("asked", [{"status": "19"}, {"group": "6"}, {"number": "104"}, {"hidden": "yes"}])
def test_what_is_asked_for_by_name_is_shown_all_the_same(asked: dict[str, str]) -> None:
    assert of_query(**asked) == ()
    assert not hiding.may_hide(OrderFilter.model_validate(asked))


@pytest.mark.parametrize("asked", [{"closed": "yes"}, {"closed": "no"}, {"state": ["over"]}])
def test_whoever_asks_for_closed_or_for_open_orders_alone_is_not_subject_to_their_age(asked: dict[str, object]) -> None:
    assert of_query(**asked) == (Hiding(("mug-shop", "print-shop"), frozenset({"6"}), frozenset({"19"})),)


def test_averages_leave_out_each_hidden_group_of_each_project() -> None:
    assert hiding.hidden_groups(RULES) == [("mug-shop", "6"), ("print-shop", "6")]


def test_the_link_leads_to_the_one_project_that_hides_something_or_to_all_of_them() -> None:
    assert hiding.settings_page(RULES, {"almond", "new"}) == "/settings/almond/dashboard"
    assert hiding.settings_page(RULES, {"almond", "mug-shop"}) == "/settings"


def test_an_address_keeps_what_is_shown_besides() -> None:
    query = OrderFilter.model_validate({"hidden": "true", "urgent": "no"})
    assert query.parameters(["almond"], UTC) == [("project", "almond"), ("urgent", "no"), ("hidden", "yes")]
    assert not OrderFilter.model_validate({"hidden": "yes"}).is_narrow
