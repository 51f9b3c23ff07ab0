"""What the audit log tells of a change is enough to put back what was there before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from database.repositories.settings import ProjectRow
from sync.settings import Project, parse
from sync.settings.changes import Objects, compare, objects
from sync.settings.editing import SECTIONS
from sync.settings.exporting import document_of, escaped, yaml_of
from sync.settings.hours import format_duration
from sync.settings.rows import rules_of, values_of
from sync.settings.undoable import is_undoable, put_back, section_of
from tests.support.settings_examples import KNOWN

BASE = {"id": "shop", "name": "Shop", "crm": "amocrm", "timezone": "Europe/Kyiv", "base_url": "https://a.example"}

_LETTERS = st.characters(categories=("L", "N", "P", "S"), exclude_characters="\x00")
_IDS = st.text(_LETTERS, min_size=1, max_size=5).filter(lambda text: text not in ("*", "normal", "urgent"))
_FEW = st.sampled_from(["1", "2", "x", "group"]) | _IDS
_LIMITS = st.integers(1, 10**6).map(format_duration)
_TIMES = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
_WINDOWS = st.tuples(_TIMES, _TIMES).filter(lambda pair: pair[0] != pair[1]).map("-".join)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKS = st.dictionaries(st.sampled_from(_DAYS), st.lists(_WINDOWS, min_size=1, max_size=2), max_size=3)
_POLICIES = st.sampled_from(["newest", "vms", "crm", "manual"])


def several(strategy: st.SearchStrategy[Any], *keys: str) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, max_size=3, unique_by=lambda item: tuple(item.get(key) for key in keys))


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_PROFILES = st.sampled_from(["vip", "gold", "normal", "urgent"])
DOCUMENTS = optional(
    name=_IDS,
    currency=st.sampled_from(["UAH", "PLN"]),
    near_threshold=st.sampled_from(["0.5", "0.75"]),
    sla=several(
        st.fixed_dictionaries({"group_id": _FEW, "limit": _LIMITS, "profile": _PROFILES}), "group_id", "profile"
    ),
    cycles=several(st.fixed_dictionaries({"id": _FEW, "start_group": _FEW, "end_status": _FEW}), "id"),
    urgent=several(
        st.fixed_dictionaries({"match": st.sampled_from(["sku", "offer_id"]), "value": _FEW, "active": st.booleans()}),
        "match",
        "value",
    ),
    working_hours=optional(
        default=_WEEKS,
        groups=st.dictionaries(_FEW, _WEEKS, max_size=2),
        exceptions=several(
            st.fixed_dictionaries(
                {"date": st.sampled_from(["2026-01-01", "2026-12-25"]), "ranges": st.lists(_WINDOWS, max_size=2)},
                optional={"group": _FEW},
            ),
            "date",
            "group",
        ),
    ),
    status_groups=several(st.fixed_dictionaries({"id": _FEW, "name": _IDS}), "id"),
    statuses=several(st.fixed_dictionaries({"id": _FEW, "name": _IDS}, optional={"is_closing": st.booleans()}), "id"),
    status_map=st.dictionaries(_FEW, st.sampled_from(["PENDING", "SHIPPED"]), max_size=3),
    conflict_policy=_POLICIES | st.dictionaries(_FEW, _POLICIES, min_size=1, max_size=2),
    sync=optional(customers=st.booleans(), batch_size=st.integers(1, 9), since=st.just("2025-01-01")),
    dashboard=optional(hidden_groups=st.lists(_FEW, max_size=2), closed_days=st.integers(0, 9)),
    options=optional(title=_IDS, pipeline_ids=st.lists(st.integers(1, 9), max_size=2)),
)


def project(document: dict[str, Any]) -> Project:
    text = yaml_of({"projects": [escaped({**BASE, **document})]})
    return parse(text, source="s", environ={}, known=KNOWN)[0]


def told(one: Project) -> Objects:
    return objects(values_of(one), rules_of(one))


def exported(one: Project) -> dict[str, Any]:
    values = values_of(one)
    row = ProjectRow(
        project_id="shop", name=values.name, crm=values.crm, base_url=values.base_url, timezone=values.timezone,
        region=values.region, currency=values.currency, is_enabled=True, disabled_reason=None,
        near_threshold=values.near_threshold, webhook=dict(values.webhook), sync=dict(values.sync),
        options=dict(values.options), status_map=dict(values.status_map), conflict_policy=values.conflict_policy,  # type: ignore[arg-type]
        vms=dict(values.vms), dashboard=dict(values.dashboard), updated_at=datetime.now(UTC),
    )  # fmt: skip
    return document_of(row, rules_of(one))


@given(DOCUMENTS, DOCUMENTS)
@settings(deadline=None, max_examples=150)
def test_all_changes_put_back_make_the_settings_of_before(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = project(before), project(after)
    document = exported(new)
    for change in compare("shop", told(old), told(new)):
        assert is_undoable("shop", change.action, change.object)
        document = put_back(document, change.object, change.before, change.after)
    kept = {key: value for key, value in document.items() if value not in (None, {}, [])}
    assert told(project(kept)) == told(old)


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("sla group 2 normal", "sla"), ("near_threshold", "sla"), ("status group 4", "statuses"),
        ("status 12", "statuses"), ("status_map new", "status-map"),
        ("statuses for DELIVERED", "status-map"), ("working hours default", "working-hours"),
        ("working hours group 3", "working-hours"), ("exception 2026-12-25 group 3", "working-hours"),
        ("vms inbound", "two-way"), ("sync since", "sync"), ("credential api_key", None), ("project", None),
        ("user ann", None), ("definition", None), ("subscription", None),
    ],
)  # fmt: skip
def test_every_object_of_the_log_belongs_to_a_section_or_is_no_setting(name: str, section: str | None) -> None:
    assert section_of(name) == section
    assert section is None or section in SECTIONS
    assert is_undoable("shop", "changed", name) == (section is not None)


def test_ids_with_blanks_are_told_apart_by_the_grids_that_there_are() -> None:
    document = {"sla": [{"group_id": "in work", "limit": "08:00", "profile": "very important"}]}
    put = put_back(document, "sla group in work very important", "06:00", "08:00")
    assert put["sla"] == [{"group_id": "in work", "limit": "06:00", "profile": "very important"}]


def test_a_status_whose_id_begins_with_group_is_told_by_its_value() -> None:
    document: dict[str, Any] = {"statuses": [{"id": "group 1", "name": "Now"}], "status_groups": []}
    put = put_back(document, "status group 1", {"name": "Then"}, {"name": "Now"})
    assert put["statuses"] == [{"id": "group 1", "name": "Then"}]
    assert put_back({}, "status group 1", "Then", "Now")["status_groups"] == [{"id": "1", "name": "Then"}]
