"""Records by a definition -> canonical records, worked out by hand; webhooks; what a trial tells."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors import registry
from connectors.custom.definition import definition_of
from connectors.custom.trial import try_sample
from connectors.errors import ConfigError, SkipRowError, WebhookUnreadableError
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Customer, Order, Reread, Reversal, StatusEvent, Transaction
from tests.support.orchard import json_definition, xml_definition

CUSTOM = registry.get("custom")
SALE = {
    "id": 17, "at": "2026-03-02T11:15:00+02:00", "sum": 1250.5, "title": " Чашка ", "phone": "050 123 45 67",
    "order": 5, "void": False, "updated": "2026-03-02T10:00:00Z",
}  # fmt: skip


def context(definition: dict[str, Any] | None = None, **changes: Any) -> MappingContext:
    options = {"definition": json_definition() if definition is None else definition}
    return MappingContext(
        **{"project_id": "myshop", "timezone": "Europe/Kyiv", "region": "UA", "options": options, **changes}
    )


def transactions(fields: dict[str, Any], form: str = "json") -> dict[str, Any]:
    start = "$." if form == "json" else ""
    own = {"id": f"{start}id", "occurred_at": f"{start}at", "amount": f"{start}sum", **fields}
    records = "$.data[*]" if form == "json" else "sale"
    return {"format": form, "entities": {"transactions": {"path": "/sales", "records": records, "fields": own}}}


def mapped(definition: dict[str, Any], record: Any) -> Batch:
    return CUSTOM.map_record(context(definition), "transactions", str(record.get("id")), json.dumps(record))


def test_a_sale_is_a_transaction_named_by_the_project() -> None:
    batch = CUSTOM.map_record(context(), "transactions", "17", json.dumps(SALE))
    assert batch == Batch(
        transactions=[
            Transaction(
                "MYSHOP-17",
                datetime(2026, 3, 2, 9, 15, tzinfo=UTC),
                Decimal("1250.50"),
                phone_e164="+380501234567",
                description="Чашка",
                order_id="5",
                source_updated_at=datetime(2026, 3, 2, 10, tzinfo=UTC),
            )
        ]
    )


def test_a_void_sale_and_one_that_is_gone_are_reversals() -> None:
    batch = CUSTOM.map_record(context(), "transactions", "17", json.dumps({**SALE, "void": True, "sum": None}))
    assert batch == Batch(reversals=[Reversal("MYSHOP-17", datetime(2026, 3, 2, 10, tzinfo=UTC))])
    assert CUSTOM.map_deletion(context(), "transactions", "17").reversals == [Reversal("MYSHOP-17")]
    assert CUSTOM.map_deletion(context(), "orders", "5").orders == [Order("5", is_deleted=True, is_complete=False)]


def test_an_order_in_xml_is_an_order_with_its_status_and_its_customer() -> None:
    text = (
        '<order id="5"><state>paid</state><state_at>2026-03-02T08:00:00Z</state_at>'
        "<created>2026-03-01T08:00:00Z</created><total>1 250,50</total><currency>EUR</currency><client>"
        "<id>9</id><name>Олена</name><phone>0501234567</phone>"
        "</client><updated>2026-03-02T09:00:00Z</updated></order>"
    )
    batch = CUSTOM.map_record(context(xml_definition()), "orders", "5", json.dumps({"xml": text}))
    created, updated = datetime(2026, 3, 1, 8, tzinfo=UTC), datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert batch.problems == []
    assert batch.orders == [
        Order(
            "5", status_id="paid", customer_id="9", grand_total=Decimal("1250.50"), currency="EUR",
            recipient_name="Олена", recipient_phone_e164="+380501234567", ordered_at=created,
            order_created_at=created, source_updated_at=updated,
        )
    ]  # fmt: skip
    assert batch.status_events == [
        StatusEvent("5", "paid", datetime(2026, 3, 2, 8, tzinfo=UTC), order_created_at=created)
    ]
    assert batch.customers == [
        Customer(
            "9", "Олена", "+380501234567", ("+380501234567",), source_updated_at=updated, is_complete=False
        )
    ]  # fmt: skip


def test_a_status_without_its_own_time_is_approximate() -> None:
    definition = {
        "entities": {"orders": {"path": "/o", "fields": {"id": "$.id", "status": "$.s", "updated_at": "$.u"}}}
    }
    body = json.dumps({"id": 1, "s": "new", "u": "2026-03-02 10:00"})
    [event] = CUSTOM.map_record(context(definition), "orders", "1", body).status_events
    # No offset: the project's zone, which is two hours ahead in winter.
    assert (event.status_changed_at, event.is_approximate) == (datetime(2026, 3, 2, 8, tzinfo=UTC), True)


def test_a_customer_is_one() -> None:
    body = json.dumps({"id": 9, "name": "Олена", "phone": "0501234567", "email": "o@example.com", "updated": None})
    [customer] = CUSTOM.map_record(context(), "customers", "9", body).customers
    assert (customer.customer_id, customer.full_name, customer.email) == ("9", "Олена", "o@example.com")
    assert (customer.phones, customer.emails, customer.is_complete) == (("+380501234567",), ("o@example.com",), True)


@pytest.mark.parametrize(
    ("field", "record", "expected"),
    [
        ({"amount": {"from": "$.sum", "type": "minor"}}, {"sum": 125050}, Decimal("1250.50")),
        ({"amount": {"from": "$.sum", "decimal_mark": ","}}, {"sum": "1.250"}, Decimal("1250.00")),
        ({"amount": {"from": "$.sum", "decimal_mark": "."}}, {"sum": "1.250"}, Decimal("1.25")),
        ({"amount": {"value": "10"}}, {}, Decimal("10.00")),
        ({"amount": "{{ record.lines | sum(attribute='p') }}"}, {"lines": [{"p": 1.1}, {"p": 2.2}]}, Decimal("3.30")),
        (
            {"occurred_at": {"from": "$.at", "type": "epoch"}},
            {"at": 1772442900},
            datetime(2026, 3, 2, 9, 15, tzinfo=UTC),
        ),
        (
            {"occurred_at": {"from": "$.at", "format": "%d/%m/%y %H.%M"}},
            {"at": "02/03/26 11.15"},
            datetime(2026, 3, 2, 9, 15, tzinfo=UTC),
        ),
        (
            {"occurred_at": {"from": "$.at", "format": "%Y%m%d%H%M%z"}},
            {"at": "202603021115+0100"},
            datetime(2026, 3, 2, 10, 15, tzinfo=UTC),
        ),
        ({"occurred_at": "$.at"}, {"at": "02.03.2026 11:15"}, datetime(2026, 3, 2, 9, 15, tzinfo=UTC)),
    ],
)
def test_a_field_is_read_as_its_type_says(field: dict[str, Any], record: dict[str, Any], expected: Any) -> None:
    [sale] = mapped(transactions(field), {"id": 1, "at": "2026-03-02T09:00:00Z", "sum": 5, **record}).transactions
    assert getattr(sale, next(iter(field))) == expected


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"id": 1, "at": "2026-03-02"}, "fields.amount: nothing is at $.sum"),
        ({"id": 1, "at": "2026-03-02", "sum": None}, "fields.amount: null at $.sum"),
        ({"id": 1, "at": "soon", "sum": 1}, "fields.occurred_at: expected a time, got 'soon'"),
        ({"id": 1, "at": "2026-03-02", "sum": "1.000"}, "fields.amount: expected an amount, got '1.000'"),
        ({"id": 1, "at": "2026-03-02", "sum": [1]}, "fields.amount: expected an amount, got list"),
    ],
)
def test_what_a_transaction_lacks_is_told_and_there_is_none(record: dict[str, Any], problem: str) -> None:
    batch = mapped(transactions({}), record)
    assert [one.reason for one in batch.problems] == [problem]
    assert batch.transactions == []


def test_a_field_that_is_wrong_costs_no_more_than_itself_and_tells_nothing_personal() -> None:
    record = {"id": 1, "at": "2026-03-02", "sum": 1, "phone": "call Olena", "who": {"a": 1}}
    batch = mapped(transactions({"phone": "$.phone", "description": "$.who", "email": "$.mail"}), record)
    assert len(batch.transactions) == 1
    assert [one.reason for one in batch.problems] == [
        "fields.phone: expected a phone, got a text that is none",
        "fields.description: expected a text, got object",
    ]


@pytest.mark.parametrize(
    "body", ["7", "[]", "{", '{"xml":"<a"}', '{"response":{},"at":["data",0]}', '{"xml":"<!DOCTYPE a><a/>"}']
)
def test_a_text_that_is_no_record_is_skipped(body: str) -> None:
    with pytest.raises(SkipRowError):
        CUSTOM.map_record(context(), "orders", "1", body)


def test_a_record_of_an_entity_that_is_no_more_is_skipped() -> None:
    with pytest.raises(SkipRowError, match="no entity"):
        CUSTOM.map_record(context(transactions({})), "orders", "1", "{}")
    with pytest.raises(SkipRowError, match="definition"):
        CUSTOM.map_record(context({}), "orders", "1", "{}")


def webhook(body: bytes) -> WebhookRequest:
    return WebhookRequest("POST", {}, {}, body)


def test_a_webhook_about_what_can_be_read_singly_is_a_reread() -> None:
    text = CUSTOM.check_webhook(webhook(b'{"event":"x","order":{"id":5}}'), context())
    assert CUSTOM.map_webhook(context(), None, text, datetime.now(UTC)) == Batch(rereads=[Reread("orders", "5")])


def test_a_webhook_about_what_cannot_is_mapped_itself() -> None:
    definition = xml_definition()
    for entity in definition["entities"].values():
        del entity["one"]
    body = (
        '<?xml version="1.0" encoding="windows-1251"?><event><sale id="7"><at>2026-03-02</at><sum>5,5</sum>'
        "<title>Чай</title></sale></event>"
    )
    text = CUSTOM.check_webhook(webhook(body.encode("cp1251")), context(definition))
    batch = CUSTOM.map_webhook(context(definition), None, text, datetime.now(UTC))
    [sale] = batch.transactions
    assert (sale.external_id, sale.amount, sale.description) == ("MYSHOP-7", Decimal("5.50"), "Чай")
    assert sale.occurred_at.date() == date(2026, 3, 1)  # midnight in Kyiv
    assert batch.problems == []


def test_a_webhook_with_no_record_is_skipped_and_one_with_a_document_type_is_refused() -> None:
    with pytest.raises(SkipRowError, match="none of orders, transactions, customers is in it"):
        CUSTOM.map_webhook(context(), None, '{"event":"ping"}', datetime.now(UTC))
    with pytest.raises(WebhookUnreadableError, match="DTD"):
        CUSTOM.check_webhook(webhook(b"<!DOCTYPE a><a/>"), context(xml_definition()))


def test_a_trial_tells_each_fields_value_or_why_there_is_none() -> None:
    fields = {"phone": "$.tel", "description": "{{ record.lines[0].name }}", "currency": {"value": "UAH"}}
    definition = definition_of({"definition": transactions(fields)})
    answer = {"data": [{"id": 1, "at": "2026-03-02T00:00:00Z", "sum": "x", "tel": "12"}, {"at": None, "sum": 2}, 3]}
    outcome = try_sample(definition, definition.entities["transactions"], json.dumps(answer).encode(), context())
    first, second, third = outcome.records
    assert {one.name: (one.state, one.value, one.reason) for one in first.fields} == {
        "id": ("ok", "1", None),
        "occurred_at": ("ok", datetime(2026, 3, 2, tzinfo=UTC), None),
        "amount": ("failed", None, "expected an amount, got 'x'"),
        "phone": ("failed", None, "expected a phone, got a text that is none"),
        "description": ("empty", None, "there is no 'lines'"),
        "currency": ("ok", "UAH", None),
    }
    assert [(one.name, one.reason) for one in second.fields if one.state == "failed"] == [("id", "nothing is at $.id")]
    assert third.problems == ("row 3 is no record: expected an object, got number",)
    assert outcome.failures == [
        "record 1: fields.amount: expected an amount, got 'x'",
        "record 1: fields.phone: expected a phone, got a text that is none",
        "record 2: fields.id: nothing is at $.id",
        "record 3: row 3 is no record: expected an object, got number",
    ]


def test_an_answer_of_another_format_cannot_be_tried() -> None:
    definition = definition_of({"definition": transactions({})})
    with pytest.raises(ConfigError, match="not the JSON"):
        try_sample(definition, definition.entities["transactions"], b"<a/>", context())


def test_the_text_of_an_xml_record_is_masked_for_people() -> None:
    body = json.dumps({"xml": "<o><client_name>Олена</client_name><phone>+380501234567</phone><id>7</id></o>"})
    masked = CUSTOM.mask_payload(body)
    assert "Олена" not in masked
    assert "0501234567" not in masked
    assert json.loads(masked)["id"] == "7"
