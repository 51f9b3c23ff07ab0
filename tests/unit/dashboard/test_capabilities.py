"""What is known of a project's CRM."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from dashboard.capabilities import capabilities_of
from dashboard.two_way import privacy
from database.repositories.settings import ProjectRow


def project(crm: str) -> ProjectRow:
    values: dict[str, Any] = {field.name: None for field in fields(ProjectRow)}
    return ProjectRow(**{**values, "crm": crm, "options": {}})


@pytest.mark.parametrize(("crm", "is_medical"), [("keycrm", False), ("renovatio", True), ("no-such-crm", True)])
def test_what_may_be_health_data_is_taken_for_it(crm: str, is_medical: bool) -> None:
    assert capabilities_of(project(crm)).is_medical is is_medical
    assert (privacy.masked_exchange(project(crm), "GET /orders/1") is None) is is_medical


def test_a_crm_that_is_not_known_has_nothing_to_ask_for() -> None:
    known = capabilities_of(project("no-such-crm"))
    assert (known.streams, known.credentials, known.has_api) == ((), (), False)
