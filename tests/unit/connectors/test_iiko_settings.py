"""iiko's settings: what each dialect takes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from connectors import registry
from sync.settings import SettingsError, parse

KNOWN = {"iiko": registry.get("iiko").capabilities}
CLOUD = {
    "id": "cafe",
    "name": "Cafe",
    "crm": "iiko",
    "timezone": "Europe/Moscow",
    "base_url": "http://127.0.0.1:9",
    "credentials": {"api_login": "a"},
}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"options": {"dialect": "spec"}}, "credentials.api_login"),
        ({"options": {"dialect": "biz"}}, "options.dialect: expected cloud or spec"),
        ({"options": {"organization_ids": [7]}}, "options.organization_ids"),
        ({"credentials": {"login": "l", "password": "p"}}, "credentials.login"),
    ],
)
def test_settings_that_do_not_fit_the_dialect_are_refused(change: dict[str, Any], problem: str) -> None:
    entry = {**CLOUD, **change}
    with pytest.raises(SettingsError) as caught:
        parse(yaml.safe_dump({"projects": [entry]}), source="x.yaml", environ={}, known=KNOWN)
    assert problem in str(caught.value)


def test_the_dialect_of_the_requirement_takes_login_and_password_and_needs_an_address() -> None:
    entry = {
        "id": "cafe",
        "name": "Cafe",
        "crm": "iiko",
        "timezone": "Europe/Moscow",
        "credentials": {"login": "l", "password": "p"},
        "options": {"dialect": "spec", "organization_ids": ["0a1b"]},
    }
    with pytest.raises(SettingsError, match="base_url"):
        parse(yaml.safe_dump({"projects": [entry]}), source="x.yaml", environ={}, known=KNOWN)
    text = yaml.safe_dump({"projects": [{**entry, "base_url": "http://127.0.0.1:9"}]})
    [project] = parse(text, source="x.yaml", environ={}, known=KNOWN)
    assert project.options == {"dialect": "spec", "organization_ids": ["0a1b"]}
