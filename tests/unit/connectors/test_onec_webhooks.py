"""What code of a base's own may post."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors import registry
from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Reread

ONEC = registry.get("onec")
SERVICE = MappingContext("shop", timezone="Europe/Moscow", region="RU")
ODATA = MappingContext("shop", options={"dialect": "odata"})
NOW = datetime(2026, 3, 2, tzinfo=UTC)
ROW = {"id": "1С-7", "date": "2026-03-02T09:00:00", "amount": "1\u00a0000"}


def mapped(payload: Any, context: MappingContext = SERVICE, *, bom: bool = False) -> Batch:
    body = json.dumps(payload, ensure_ascii=False).encode("utf-8-sig" if bom else "utf-8")
    text = ONEC.check_webhook(WebhookRequest("POST", {}, {}, body), context)
    return ONEC.map_webhook(context, None, text, NOW)


@pytest.mark.parametrize("payload", [ROW, [ROW], {"transactions": [ROW]}])
@pytest.mark.parametrize("bom", [False, True])
def test_a_row_in_each_form_is_a_sale(payload: Any, bom: bool) -> None:
    batch = mapped(payload, bom=bom)
    assert not batch.problems
    assert [sale.external_id for sale in batch.transactions] == ["1C-7"]


def test_with_odata_a_document_is_read_again() -> None:
    keys = ["11111111-2222-11ee-8000-0050569f0001", "11111111-2222-11ee-8000-0050569f0002"]
    assert mapped([{"Ref_Key": key} for key in keys], ODATA) == Batch(
        rereads=[Reread("transactions", key) for key in keys]
    )


def test_a_row_that_cannot_be_read_does_not_hold_up_the_others() -> None:
    batch = mapped({"transactions": [7, {"date": "2026-03-02T09:00:00"}, ROW, {**ROW, "id": 8, "amount": "x"}]})
    assert [sale.external_id for sale in batch.transactions] == ["1C-7"]
    assert [problem.reason.partition(":")[0] for problem in batch.problems] == [
        "transactions[0]",
        "transactions[1]",
        "transactions[3].amount",
    ]


@pytest.mark.parametrize("payload", [[], {}, {"transactions": []}, {"transactions": {}}, [[]], [{"x": 1}]])
def test_a_webhook_without_a_readable_row_is_skipped(payload: Any) -> None:
    with pytest.raises(SkipRowError):
        mapped(payload)


def test_a_body_in_windows_1251_is_unreadable_and_the_sender_is_told() -> None:
    body = json.dumps({**ROW, "comment": "Кофе"}, ensure_ascii=False).encode("cp1251", errors="replace")
    with pytest.raises(WebhookUnreadableError, match="UTF-8"):
        ONEC.check_webhook(WebhookRequest("POST", {}, {}, body), SERVICE)
