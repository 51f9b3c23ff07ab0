"""The demo's 1C base, and its settings."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI

from demo.crms.onec import demo_account
from sync.settings.applying import registered
from sync.settings.reading import parse

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[3]


def documents(app: FastAPI) -> list[dict[str, Any]]:
    state = app._state  # type: ignore[attr-defined]
    return list(state.documents.values())


def test_the_same_now_and_seed_give_the_same_base_and_another_seed_another() -> None:
    first = documents(demo_account(NOW, 7).app)
    assert first == documents(demo_account(NOW, 7).app)
    assert first != documents(demo_account(NOW, 8).app)


def test_the_base_has_two_months_of_sales_some_of_them_undone() -> None:
    found = documents(demo_account(NOW, 7).app)
    dates = [document["Date"] for document in found]
    assert dates == sorted(dates)
    assert (dates[0][:10], dates[-1][:10]) == ("2026-09-21", "2026-11-20")
    assert dates[-1] < "2026-11-20T19:00:00"  # 16:00 UTC in Moscow
    states = Counter((document["Posted"], document["DeletionMark"]) for document in found)
    assert states[True, False] > 1000
    assert states[False, False] > 10
    assert states[False, True] > 2
    for document in found:
        assert document["СуммаДокумента"] == pytest.approx(sum(line["Сумма"] for line in document["Товары"]))


def test_a_change_is_a_sale_now() -> None:
    demo = demo_account(NOW, 7)
    before = len(documents(demo.app))
    assert demo.change is not None
    demo.change()
    assert len(documents(demo.app)) == before + 1


def test_the_demos_and_the_readmes_settings_are_accepted() -> None:
    demo = yaml.safe_load((ROOT / "demo/crms/onec.yaml").read_text(encoding="utf-8"))
    environ = {"URL": "http://127.0.0.1:9/trade", "COFFEE_SECRET": "s", "WAREHOUSE_PASSWORD": "w"}
    environ |= demo_account(NOW, 7).variables
    readme = (ROOT / "connectors/onec/README.md").read_text(encoding="utf-8")
    example = readme.partition("```yaml\n")[2].partition("```")[0]
    for text in (yaml.safe_dump({"projects": [demo]}, allow_unicode=True), example):
        projects = parse(text, source="settings.yaml", environ=environ, known=registered())
        assert [project.crm for project in projects] == ["onec"] * len(projects)
