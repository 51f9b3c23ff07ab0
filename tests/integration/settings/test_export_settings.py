from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import yaml

from database.connection import Connection, connect
from database.encryption import Keyring
from database.repositories import settings
from sync.settings import UnknownProjectError, apply_settings, export_settings, show_settings
from tests.support.settings_examples import DESIGN_ENVIRON, DESIGN_EXAMPLE, KNOWN

pytestmark = pytest.mark.anyio

AWKWARD = """
projects:
  - id: 2nd-shop
    name: "yes: '${x}' \\"#\\" \\x85 \\n🛒 $${HOME}"
    crm: amocrm
    base_url: https://shop.amocrm.example
    timezone: America/New_York
    region: NO
    currency: uah
    credentials: {access_token: token-of-the-shop}
    webhook: {auth: hmac, secret: hook-of-the-shop, header: X-Signature, encoding: base64, prefix: "sha256="}
    sync: {since: "2025-01-01T08:00:00+02:00", customers: no}
    options:
      pipeline_ids: [1, 2]
      paid_statuses: ["142", 143, true, "true", 1.5, "1.5", "08:00", null]
      fields: {a: {b: [1, "1"]}, "no": "on"}
      rate_limit: {requests: 7, per_seconds: 0.5}
    status_groups: [{id: "null", name: "~"}, {id: 010, name: "true"}]
    statuses: [{id: 1/2, is_closing: no}, {id: "1_0", name: "=", group_id: 1e5}]
    near_threshold: 0.1234
    sla:
      - {group_id: 1, limit: "00:00:01"}
      - {group_id: 2, urgent_limit: "1000:00"}
      - {group_id: 2, limit: "02:00", profile: "on"}
    cycles: [{id: a, start_status: 1, end_group: 2}, {id: b, title: B, start_group: 1, end_status: 2, default: true}]
    urgent: [{match: sku, value: "${y}", active: false}, {match: product_id, value: 016}]
    working_hours:
      default: {}
      groups: {"*x": {mon-sun: ["00:00-24:00"]}, "5": {"mon,wed": ["22:00-06:00", "12:00-13:00:30"], sun: []}}
      exceptions: [{date: 2026-01-01}, {date: 2026-01-01, group: 5, ranges: ["10:00-24:00"]}]
    status_map: {"142": DELIVERED, "no": CANCELLED}
    conflict_policy: {status: vms, "on": manual}
"""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with await connect(database_url) as connection:
        yield connection


async def _apply(connection: Connection, keyring: Keyring, text: str, environ: dict[str, str]) -> list[str]:
    result = await apply_settings(connection, keyring, text, source="s", environ=environ, actor="test", known=KNOWN)
    return [str(change) for change in result.changes]


@pytest.mark.parametrize(
    ("text", "environ", "project_id", "variables"),
    [
        (
            DESIGN_EXAMPLE,
            DESIGN_ENVIRON,
            "print-shop",
            {
                "PRINT_SHOP_API_KEY": "key-of-the-print-shop",
                "PRINT_SHOP_WEBHOOK_SECRET": "hook-of-the-print-shop",
            },
        ),
        (
            AWKWARD,
            {"x": "X", "y": "Y"},
            "2nd-shop",
            {
                "_2ND_SHOP_ACCESS_TOKEN": "token-of-the-shop",
                "_2ND_SHOP_WEBHOOK_SECRET": "hook-of-the-shop",
            },
        ),
    ],
    ids=["design", "awkward"],
)
async def test_an_exported_file_is_taken_back_without_a_change(
    connection: Connection,
    keyring: Keyring,
    text: str,
    environ: dict[str, str],
    project_id: str,
    variables: dict[str, str],
) -> None:
    await _apply(connection, keyring, text, environ)
    exported = await export_settings(connection, project_id)

    assert not any(secret in exported for secret in variables.values())
    assert await _apply(connection, keyring, exported, variables) == []

    # And on an empty database it makes the same project.
    rules = await settings.load_rules(connection, project_id)
    row = await settings.load_project(connection, project_id)
    await connection.execute("delete from config.projects")
    await _apply(connection, keyring, exported, variables)
    assert await settings.load_rules(connection, project_id) == rules
    again = await settings.load_project(connection, project_id)
    assert row is not None
    assert again is not None
    assert (again.name, again.options, again.sync, again.webhook) == (row.name, row.options, row.sync, row.webhook)
    assert await export_settings(connection, project_id) == exported


async def test_an_export_leaves_out_what_is_default(connection: Connection, keyring: Keyring) -> None:
    await _apply(connection, keyring, "projects: [{id: files, name: Files, crm: csv, timezone: UTC}]", {})
    assert yaml.safe_load(await export_settings(connection, "files")) == {
        "projects": [{"id": "files", "name": "Files", "crm": "csv", "timezone": "UTC"}]
    }


async def test_what_is_shown_of_a_project_tells_its_state_and_no_secret(
    connection: Connection, keyring: Keyring
) -> None:
    await _apply(connection, keyring, DESIGN_EXAMPLE, DESIGN_ENVIRON)
    await settings.set_enabled(connection, "print-shop", False, "the CRM\nrefuses the key")
    shown = await show_settings(connection, "print-shop")
    first, *rest = shown.splitlines()
    assert first.startswith("# print-shop: disabled: the CRM refuses the key, changed 20")
    assert [line.split(": ")[0] for line in rest[:2]] == ["# api_key", "# webhook.secret"]
    assert all(line.endswith(f"key {keyring.current_key_id}") for line in rest[:2])
    assert "key-of" not in shown
    assert yaml.safe_load(shown)["timezone"] == "Europe/Kyiv"


async def test_an_unknown_project_is_answered_with_the_known_ones(connection: Connection, keyring: Keyring) -> None:
    with pytest.raises(UnknownProjectError, match=r"There is no project shop; projects: none yet\."):
        await export_settings(connection, "shop")
    await _apply(connection, keyring, DESIGN_EXAMPLE, DESIGN_ENVIRON)
    with pytest.raises(UnknownProjectError, match=r"projects: print-shop\."):
        await show_settings(connection, "shop")
