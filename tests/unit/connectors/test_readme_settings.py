"""The settings that each connector's page shows can be applied as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import connectors
from connectors import registry
from sync.settings import parse

CAPABILITIES = {crm: registry.get(crm).capabilities for crm in registry.names()}
SECRET = "0123456789abcdef" * 4


@pytest.mark.parametrize("crm", registry.names())
def test_the_settings_of_the_page_can_be_applied(crm: str) -> None:
    page = (Path(connectors.__file__).parent / crm / "README.md").read_text(encoding="utf-8")
    examples = [text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if text.startswith("projects:")]
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", page), SECRET)
    projects = [
        project for text in examples for project in parse(text, source="README", environ=environ, known=CAPABILITIES)
    ]
    assert {project.crm for project in projects} == {crm}
