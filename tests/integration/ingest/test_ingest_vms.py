"""POST /webhooks/vms/{project}: the warehouse's changes are in schema vms once they are answered."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from ingest_process import TOKEN, Ingest

HEADERS = {"X-Webhook-Token": TOKEN}
SHOP = "/webhooks/vms/print-shop"


def send(ingest: Ingest, entity: str, op: str, **data: Any) -> httpx.Response:
    response: httpx.Response = ingest.client.post(
        SHOP, headers=HEADERS, json={"entity": entity, "op": op, "data": data}
    )
    return response


def accepted(ingest: Ingest, entity: str, op: str, **data: Any) -> int:
    response = send(ingest, entity, op, **data)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["status"], answer["entity"], answer["op"]) == ("accepted", entity, op)
    assert answer["event_id"] > 0
    return int(answer["id"])


def rows(ingest: Ingest, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in ingest.rows(query, *parameters)]


def test_an_order_with_all_that_belongs_to_it_is_written_and_on_its_way_out(ingest: Ingest) -> None:
    customer = accepted(ingest, "customer", "create", full_name="Olena", phone="+380501112233", segment="vip")
    article = accepted(ingest, "article", "create", sku="W-CUP", name="Cup", price="120.50", stock=7)
    order = accepted(
        ingest, "order", "create",
        number="W-1", customer_id=customer, shipping_price=60, currency="UAH", ordered_at="2026-03-01T10:00:00+02:00",
        items=[{"sku": "W-CUP", "quantity": 2}, {"name": "Wrap", "price": 9.5}],
    )  # fmt: skip
    payment = accepted(ingest, "payment", "create", order_number="W-1", amount="100", status="paid", method="card")
    shipment = accepted(ingest, "shipment", "create", order_id=order, carrier="nova-post", tracking_number="TTN1")
    found = rows(
        ingest,
        "select customer_id, total::text, payment_status, currency, ordered_at::text from vms.orders where id = %s",
        order,
    )
    assert found == [(customer, "310.50", "part_paid", "UAH", "2026-03-01 08:00:00+00")]  # 2 x 120.50 + 9.50 + 60
    lines = rows(
        ingest, "select article_id, name, price::text from vms.order_items where order_id = %s order by id", order
    )
    assert lines == [(article, "Cup", "120.50"), (None, "Wrap", "9.50")]
    assert rows(ingest, "select order_id from vms.payments where id = %s", payment) == [(order,)]
    assert rows(ingest, "select tracking_number from vms.shipments where id = %s", shipment) == [("TTN1",)]
    waiting = rows(
        ingest, "select entity_type, operation, fields from sync.outbox where lane = %s order by outbox_id",
        f"order:{order}",
    )  # fmt: skip
    assert [(row[0], row[1]) for row in waiting] == [
        ("order", "create"), ("order", "update"), ("payment", "create"), ("order", "update"),
    ]  # fmt: skip
    assert (waiting[1][2], waiting[3][2]) == (["items"], ["shipment"])


def test_what_is_named_changes_and_the_rest_stays(ingest: Ingest) -> None:
    article = accepted(ingest, "article", "create", sku="W-PEN", name="Pen", price=5, stock=10, barcode="123")
    assert accepted(ingest, "article", "update", sku="W-PEN", stock="7.5", barcode=None) == article
    found = rows(ingest, "select name, price::text, stock::text, barcode from vms.articles where id = %s", article)
    assert found == [("Pen", "5.00", "7.500", None)]
    fields = rows(
        ingest, "select fields from sync.outbox where lane = %s and operation = 'update'", f"article:{article}"
    )
    assert fields == [(["stock", "barcode"],)]
    order = accepted(ingest, "order", "create", number="W-2")
    accepted(ingest, "order", "update", number="W-2", status="SHIPPED", comment="by noon")
    assert rows(ingest, "select status, comment from vms.orders where id = %s", order) == [("SHIPPED", "by noon")]
    line = accepted(ingest, "order_item", "create", order_id=order, sku="W-PEN")
    accepted(ingest, "order_item", "update", id=line, quantity=3)
    assert rows(ingest, "select total::text from vms.orders where id = %s", order) == [("15.00",)]
    accepted(ingest, "order_item", "delete", id=line)
    assert rows(ingest, "select * from vms.order_items where order_id = %s", order) == []


def test_a_creation_that_is_sent_again_makes_nothing_twice(ingest: Ingest) -> None:
    article = {"sku": "W-MUG", "name": "Mug", "price": "80"}
    order = {"number": "W-3", "items": [{"sku": "W-MUG", "quantity": 1}, {"name": "Wrap", "price": 3}]}
    ids = {accepted(ingest, "article", "create", **article) for _ in range(2)}
    assert len(ids) == 1
    order_ids = {accepted(ingest, "order", "create", **order) for _ in range(3)}
    assert len(order_ids) == 1
    order_id = order_ids.pop()
    assert rows(ingest, "select count(*) from vms.order_items where order_id = %s", order_id) == [(2,)]
    sent = rows(ingest, "select operation, fields from sync.outbox where lane = %s", f"order:{order_id}")
    assert [row[0] for row in sent] == ["create", "update"]  # its making, and its lines


def test_a_deletion_that_is_sent_again_is_done_already(ingest: Ingest) -> None:
    customer = accepted(ingest, "customer", "create", full_name="Short")
    accepted(ingest, "customer", "delete", id=customer)
    again = send(ingest, "customer", "delete", id=customer)
    assert (again.status_code, again.json()["id"]) == (200, None)
    operations = rows(ingest, "select operation from sync.outbox where lane = %s", f"customer:{customer}")
    assert operations == [("create",), ("delete",)]


def test_it_is_kept_in_raw_as_it_came_and_not_queued_for_core(ingest: Ingest) -> None:
    body = json.dumps({"entity": "customer", "op": "create", "data": {"full_name": "Kept"}})
    response = ingest.client.post(f"{SHOP}?token={TOKEN}", content=body)
    event_id = response.json()["event_id"]
    found = rows(
        ingest, "select crm, event_name, body, query::text from raw.webhook_events where event_id = %s", event_id
    )
    assert found == [("vms", "customer.create", body, "{}")]
    assert rows(ingest, "select * from sync.raw_queue where %s = any(raw_ids) and source = 'webhook'", event_id) == []


@pytest.mark.parametrize(
    ("entity", "op", "data", "reason"),
    [
        ("article", "create", {"name": "No sku"}, "data.sku: an article needs one."),
        ("article", "create", {"sku": "W-X", "price": -1}, "data.price: it has to be 0 or more."),
        ("article", "create", {"sku": "W-X", "colour": "red"}, "Object contains unknown field `colour`."),
        ("article", "create", {"sku": "W-X", "stock": "many"}, "Invalid decimal string - at `$.stock`."),
        ("article", "create", {"id": 5, "sku": "W-X"}, "data.id: a new object is given its id, leave it out."),
        ("article", "update", {"sku": "W-NOPE", "price": 1}, "There is no article W-NOPE."),
        ("article", "update", {"price": 1}, "data: name the article by its id or sku."),
        ("customer", "update", {"full_name": "X"}, "data: name the customer by its id."),
        ("customer", "update", {"id": 987654321, "full_name": "X"}, "There is no customer 987654321."),
        ("order", "create", {"number": "W-9", "customer_id": 987654321},
         "data.customer_id: there is no customer 987654321."),
        ("order", "create", {"number": "W-9", "items": [{"sku": "W-NOPE"}]}, "data.sku: there is no article W-NOPE."),
        ("order", "create", {"number": "W-9", "items": [{"quantity": 1}]},
         "data.items[0]: a line needs a sku, or a name."),
        ("order", "create", {"number": "W-9", "items": [{"name": "X", "quantity": 0}]},
         "data.quantity: it has to be above 0."),
        ("order", "create", {"number": "W-9", "status": "LOST"}, "Invalid enum value 'LOST' - at `$.status`."),
        ("order", "create", {"number": "W-9", "ordered_at": "2026-03-01T10:00:00"},
         "Expected `datetime` with a timezone component - at `$.ordered_at`."),
        ("payment", "create", {"amount": 5}, "data.order_id: name the order by its order_id or order_number."),
        ("payment", "create", {"order_number": "W-NOPE", "amount": 5}, "data.order_number: there is no order W-NOPE."),
        ("payment", "create", {"order_id": 987654321, "amount": 5}, "data.order_id: there is no order 987654321."),
        ("shop", "create", {}, "Invalid enum value 'shop' - at `$.entity`."),
        ("order", "burn", {}, "Invalid enum value 'burn' - at `$.op`."),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_with_a_sentence_and_kept_aside(
    ingest: Ingest, entity: str, op: str, data: dict[str, Any], reason: str
) -> None:
    before = rows(ingest, "select count(*) from sync.outbox")
    response = send(ingest, entity, op, **data)
    assert (response.status_code, response.json()["detail"]) == (400, reason)
    assert rows(ingest, "select count(*) from sync.outbox") == before
    kept = rows(ingest, "select crm, reason, body from raw.rejected order by rejected_id desc limit 1")
    assert kept[0][:2] == ("vms", reason)
    assert json.loads(kept[0][2]) == {"entity": entity, "op": op, "data": data}


def test_a_customer_with_orders_cannot_be_deleted(ingest: Ingest) -> None:
    customer = accepted(ingest, "customer", "create", full_name="Buyer")
    accepted(ingest, "order", "create", number="W-7", customer_id=customer)
    response = send(ingest, "customer", "delete", id=customer)
    assert (response.status_code, response.json()["detail"]) == (
        400, "The customer is in use by others, delete these first.",
    )  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"entity": "order"}'])
def test_a_body_that_is_no_change_is_refused(ingest: Ingest, body: bytes) -> None:
    assert ingest.client.post(SHOP, headers=HEADERS, content=body).status_code == 400


def test_only_who_proves_it_may_write_and_only_into_a_project_there_is(ingest: Ingest) -> None:
    change = {"entity": "customer", "op": "create", "data": {"full_name": "Nobody"}}
    assert ingest.client.post(SHOP, json=change).status_code == 401
    assert ingest.client.post(SHOP, headers={"X-Webhook-Token": "wrong"}, json=change).status_code == 401
    assert ingest.client.post("/webhooks/vms/nowhere", headers=HEADERS, json=change).status_code == 404
    assert rows(ingest, "select * from vms.customers where full_name = 'Nobody'") == []
