"""The demo's salon: believable, and the same each time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from connectors.yclients.simulator import SimulatorState
from demo.crms import DemoCrm
from demo.crms import yclients as salon
from sync.settings.applying import registered
from sync.settings.reading import parse

NOW = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
FRAGMENT = Path(__file__).parents[3] / "demo" / "crms" / "yclients.yaml"


def state_of(demo: DemoCrm) -> SimulatorState:
    return demo.app._first  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def demo() -> DemoCrm:
    return salon.demo_account(NOW, 20)


def test_the_salon_has_two_months_of_visits_of_every_kind(demo: DemoCrm) -> None:
    records = list(state_of(demo).records.values())
    assert len(records) > 300
    assert min(one.start for one in records) < NOW - timedelta(days=57)
    assert all(one.created <= NOW and one.changed <= NOW for one in records)
    past = [one for one in records if one.start < NOW - timedelta(hours=1)]
    assert 0.7 < sum(one.paid_full for one in past) / len(past) < 0.95
    assert [one for one in past if one.deleted]
    assert [one for one in past if one.attendance == -1 and one.paid_full]
    assert [one for one in records if one.client_id is None]
    assert [one for one in state_of(demo).payments.values() if one.deleted]
    assert all(10 <= one.start.astimezone(state_of(demo).zone).hour < 20 for one in records)


def test_the_same_seed_gives_the_same_salon(demo: DemoCrm) -> None:
    again = salon.demo_account(NOW, 20)
    assert state_of(again).records == state_of(demo).records
    assert dict(again.variables) == dict(demo.variables)
    assert state_of(salon.demo_account(NOW, 21)).records != state_of(demo).records


def test_changes_are_told_to_the_address_that_is_connected() -> None:
    demo = salon.demo_account(NOW, 3)
    state = state_of(demo)
    state.clock = lambda: NOW + timedelta(minutes=5)
    state.set_hooks({"urls": ["http://127.0.0.1:1/never"], "active": 1, "record": 1})
    assert demo.change is not None
    for _ in range(10):
        demo.change()
    assert len(state.webhooks.deliveries("record")) >= 10


def test_the_settings_fit_the_connector_and_the_variables_are_all_given(demo: DemoCrm) -> None:
    text = yaml.safe_dump({"projects": [yaml.safe_load(FRAGMENT.read_text(encoding="utf-8"))]})
    environ = {**demo.variables, "URL": f"http://127.0.0.1:1{demo.api_path}", "HOOK": "hook-of-the-demo"}
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(environ)
    [project] = parse(text, source="yclients.yaml", environ=environ, known=registered())
    assert (project.crm, project.options["company_id"]) == ("yclients", state_of(demo).company_id)
