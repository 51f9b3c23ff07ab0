"""The worked examples of the README are definitions that can be applied as they stand."""

from __future__ import annotations

import re
from pathlib import Path

from connectors import custom, registry
from sync.settings import parse

TEXT = (Path(custom.__file__).parent / "README.md").read_text(encoding="utf-8")
CAPABILITIES = {crm: registry.get(crm).capabilities for crm in registry.names()}
ENVIRON = {"MYSHOP_TOKEN": "t-1", "MYSHOP_HOOK": "hook-secret", "FEED_PASSWORD": "p-1"}


def test_both_examples_are_valid_settings() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    projects = [
        project for text in examples for project in parse(text, source="README", environ=ENVIRON, known=CAPABILITIES)
    ]
    assert [project.id for project in projects] == ["myshop", "warehouse"]
    shop, feed = (CAPABILITIES["custom"].given(project.options) for project in projects)
    assert (shop.credentials, feed.credentials) == (("token",), ("login", "password"))
    assert {stream.name: stream.can_read_one for stream in shop.streams} == {"orders": True, "transactions": False}


def test_every_field_and_filter_is_documented() -> None:
    from connectors.custom.sandbox import _environment
    from connectors.custom.shapes import FIELDS

    for entity, fields in FIELDS.items():
        assert f"| `{entity}` | {', '.join(fields)} |" in TEXT
    words = set(re.findall(r"[a-z_]+", TEXT))
    assert set(_environment.filters) <= words
