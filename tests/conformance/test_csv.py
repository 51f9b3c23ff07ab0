"""CSV has no API: of the suite that all connectors pass, it passes what does not ask one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from connectors import registry
from connectors.csv.rows import Cells, read_row, record_of
from connectors.errors import ConfigError, SkipRowError, WebhookUnreadableError
from connectors.protocol import Account, Connector, MappingContext, WebhookRequest
from tests.conformance import suite
from tests.conformance.suite import WEBHOOK_SECRET, Clock, ConnectorConformance, session

pytestmark = pytest.mark.anyio
CONTEXT = MappingContext("shop", timezone="Europe/Kyiv", region="UA", currency="UAH")


class CsvProject:
    """What the suite's tests need of a `SimulatedCrm`, where nothing is simulated."""

    connector: Connector = registry.get("csv")
    capabilities = connector.capabilities
    scheme = "token"
    clock = Clock()

    def account(self, **changes: Any) -> Account:
        values: Mapping[str, Any] = {
            "project_id": "shop", "crm": "csv", "base_url": "http://no-api.invalid", "credentials": {},
            "context": CONTEXT,
        }  # fmt: skip
        return Account(**{**values, **changes})

    def webhook(self) -> WebhookRequest:
        return WebhookRequest("POST", {"content-type": "text/csv"}, {}, b"date,customer_phone,amount\n")


class TestCsv:
    _auth = ConnectorConformance._auth
    test_a_forged_webhook_is_refused = ConnectorConformance.test_a_forged_webhook_is_refused
    test_a_project_without_webhook_settings_refuses_every_webhook = (
        ConnectorConformance.test_a_project_without_webhook_settings_refuses_every_webhook
    )
    test_an_old_signature_is_refused = ConnectorConformance.test_an_old_signature_is_refused
    test_a_malformed_webhook_is_unreadable = ConnectorConformance.test_a_malformed_webhook_is_unreadable
    test_a_webhook_of_the_wrong_shape_raises_nothing_but_skip_row = (
        ConnectorConformance.test_a_webhook_of_the_wrong_shape_raises_nothing_but_skip_row
    )
    test_a_payload_for_people_has_no_personal_data = ConnectorConformance.test_a_payload_for_people_has_no_personal_data

    @pytest.fixture
    def crm(self) -> CsvProject:
        return CsvProject()

    def test_an_authentic_upload_is_accepted_and_no_webhook_is(self, crm: CsvProject) -> None:
        request = suite.authenticated(crm.webhook(), crm.scheme)
        crm.connector.verify_webhook(self._auth(crm), request)  # type: ignore[arg-type]
        with pytest.raises(WebhookUnreadableError, match="/uploads/csv/shop"):
            crm.connector.check_webhook(request, CONTEXT)

    async def test_its_health_is_good_without_a_call(self, crm: CsvProject) -> None:
        async with session(crm.account()) as line:
            health = await crm.connector.check_health(line.http, crm.account())
        assert health.ok
        assert "shop" in health.message
        assert line.limiter.acquired == 0

    async def test_where_files_go_is_said_without_the_secret(self, crm: CsvProject) -> None:
        url = f"https://elt.example.com/webhooks/csv/shop?token={WEBHOOK_SECRET}"
        async with session(crm.account()) as line:
            said = await crm.connector.register_webhook(line.http, crm.account(), url)
        assert "https://elt.example.com/uploads/csv/shop" in said
        assert WEBHOOK_SECRET not in said

    async def test_what_asks_an_api_says_that_there_is_none(self, crm: CsvProject) -> None:
        async with session(crm.account()) as line:
            with pytest.raises(ConfigError, match="no API"):
                await crm.connector.read(line.http, crm.account(), "rows", "1")
            with pytest.raises(ConfigError, match="no API"):
                crm.connector.pull(line.http, crm.account(), "rows", None)
        assert line.limiter.acquired == 0

    def test_mapping_is_pure_and_a_stored_row_masks_its_phone(self, crm: CsvProject) -> None:
        cells = Cells("2026-01-15", "+380501234567", "100", "call 050 123 45 67")
        record = record_of("shop", cells, read_row(CONTEXT, cells))
        first, second = (crm.connector.map_record(CONTEXT, "rows", record.crm_id, record.body) for _ in range(2))
        assert first == second
        assert len(first.transactions) == 1
        masked = crm.connector.mask_payload(record.body)
        assert json.loads(masked)["amount"] == "100"
        assert "1234567" not in masked
        assert "123 45 67" not in masked

    @pytest.mark.parametrize("body", ["", "{", "7", "[]", "null", "[" * 100_000])
    def test_a_record_of_the_wrong_shape_is_skipped(self, crm: CsvProject, body: str) -> None:
        with pytest.raises(SkipRowError):
            crm.connector.map_record(CONTEXT, "rows", "1", body)
