"""amoCRM's webhooks, from the forms that its documentation shows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import registry
from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Place, Reread

AMOCRM = registry.get("amocrm")
CONTEXT = MappingContext("deals", region="RU", places={"": Place("", "Demo", None, "RUB"), "31": Place("31", "Demo")})
NOW = datetime(2025, 10, 4, 12, 0, tzinfo=UTC)
FIXTURES = Path(__file__).parents[2] / "fixtures" / "amocrm"
ACCOUNT = "&account[id]=31&account[subdomain]=demo"


def read(form: str) -> str:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return AMOCRM.check_webhook(WebhookRequest("POST", headers, {}, form.encode()), CONTEXT)


def mapped(form: str, **options: Any) -> Batch:
    context = MappingContext("deals", region="RU", places=CONTEXT.places, options=options)
    return AMOCRM.map_webhook(context, None, read(form), NOW)


def fixture(name: str) -> str:
    return "&".join((FIXTURES / name).read_text(encoding="utf-8").split())


def test_the_documentations_form_is_a_partial_order_an_event_and_a_reread() -> None:
    batch = mapped(fixture("status_lead.form"))
    assert not batch.problems
    [order], [event] = batch.orders, batch.status_events
    assert batch.rereads == [Reread("orders", "4821")]
    assert (order.status_id, order.status_group_id, order.grand_total, order.is_complete) == (
        "11/142", "11", Decimal("289.00"), False,
    )  # fmt: skip
    assert order.source_updated_at == event.status_changed_at == datetime(2025, 10, 4, 10, 0, tzinfo=UTC)
    assert event.is_approximate
    assert batch.transactions == []  # the lead is read again before it counts as sold


def test_one_form_may_carry_several_objects_and_kinds() -> None:
    batch = mapped(fixture("several.form"))
    assert batch.rereads == [
        Reread("orders", "1"), Reread("orders", "2"), Reread("orders", "3"), Reread("customers", "99"),
    ]  # fmt: skip  # the company 8, which comes as a contact too, is not one
    assert [order.order_id for order in batch.orders if order.is_deleted] == ["4"]
    assert [reversal.external_id for reversal in batch.reversals] == ["AMO-4"]
    assert not batch.problems


def test_bare_dates_and_a_radio_buttons_object_do_no_harm() -> None:
    stored = json.loads(read(fixture("custom_fields.form")))
    fields = stored["leads"]["update"][0]["custom_fields"]
    assert fields[0]["values"] == ["1759572000"]
    assert fields[1]["values"] == {"value": "Да", "enum": "9"}
    assert mapped(fixture("custom_fields.form")).rereads == [Reread("orders", "4821")]


def test_the_digital_pipelines_ids_alone_are_a_reread() -> None:
    batch = mapped("leads[status][0][id]=7&leads[status][0][status_id]=22&leads[status][0][pipeline_id]=11" + ACCOUNT)
    assert batch == Batch(rereads=[Reread("orders", "7")])


def test_a_form_of_another_account_is_refused() -> None:
    with pytest.raises(SkipRowError, match="another amoCRM account"):
        mapped("leads[add][0][id]=7&account[id]=32")
    unknown = MappingContext("deals")
    assert AMOCRM.map_webhook(unknown, None, read("leads[add][0][id]=7&account[id]=32"), NOW).rereads


def test_what_lies_in_the_future_is_told_and_not_applied() -> None:
    batch = mapped("leads[update][0][id]=7&leads[update][0][updated_at]=1959572000" + ACCOUNT)
    assert (batch.orders, batch.status_events) == ([], [])
    assert batch.rereads == [Reread("orders", "7")]
    assert ["future" in problem.reason for problem in batch.problems] == [True]


def test_only_the_projects_pipelines_count() -> None:
    moved = "leads[status][0][id]=7&leads[status][0][pipeline_id]={}&leads[status][0][old_pipeline_id]={}" + ACCOUNT
    assert mapped(moved.format(12, 13), pipeline_ids=[11]) == Batch()
    gone = mapped(moved.format(12, 11), pipeline_ids=[11])
    assert [order.is_deleted for order in gone.orders] == [True]
    assert [reversal.external_id for reversal in gone.reversals] == ["AMO-7"]
    assert mapped(moved.format(11, 12), pipeline_ids=["11"]).rereads == [Reread("orders", "7")]


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("", "empty"),
        ("hello=world", "groups"),
        ("leads=7", "groups"),
        ("leads[add=7", "cannot be read"),
        ("leads[add][0]=1&leads[add][0][id]=2", "twice"),
        ("leads" + "[x]" * 30 + "=1", "nested"),
        ("leads[add][0][name]=%00", "NUL"),
    ],
)
def test_forms_that_are_not_amocrms_are_unreadable(form: str, told: str) -> None:
    with pytest.raises(WebhookUnreadableError, match=told):
        read(form)


def test_names_and_custom_fields_are_masked_for_people() -> None:
    masked = AMOCRM.mask_payload(
        json.dumps(
            {
                "contacts": {"add": [{"id": "99", "name": "Анна Петрова", "responsible_user_id": "7",
                                      "custom_fields": [{"name": "Паспорт", "values": [{"value": "AB 12"}]}]}]},
                "_embedded": {"main_contact": {"first_name": "Анна", "name": "Анна Петрова"}},
            },
            ensure_ascii=False,
        )
    )  # fmt: skip
    assert "Петрова" not in masked
    assert "AB 12" not in masked
    assert json.loads(masked)["contacts"]["add"][0]["id"] == "99"
