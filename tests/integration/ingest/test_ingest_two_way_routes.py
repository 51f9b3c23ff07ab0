"""Manual syncs of both sides over HTTP: one object, everything, and how far it is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from ingest_process import TOKEN, Ingest, apply

from tests.support.waiting import wait_until

HEADERS = {"X-Webhook-Token": TOKEN}


@pytest.fixture(autouse=True)
def _nothing_waits(ingest: Ingest) -> None:
    for table in ("sync.requests", "sync.outbox", "sync.mappings", "sync.resyncs", "sync.conflicts", "core.offers"):
        ingest.rows(f"with gone as (delete from {table} returning 1) select count(*) as n from gone")


def ask(ingest: Ingest, address: str) -> httpx.Response:
    answer: httpx.Response = ingest.client.post(f"/api/keycrm/sync/{address}project=print-shop", headers=HEADERS)
    return answer


def link(ingest: Ingest, entity: str, crm_id: str) -> int:
    """An object of vms that is linked, and of which nothing waits; its id."""
    rows = {
        "order": "insert into vms.orders (project_id) values ('print-shop') returning id",
        "customer": "insert into vms.customers (project_id) values ('print-shop') returning id",
        "article": "insert into vms.articles (project_id, sku) values ('print-shop', gen_random_uuid()) returning id",
    }
    vms_id: int = ingest.rows(rows[entity])[0]["id"]
    ingest.rows(
        "insert into sync.mappings (project_id, entity_type, vms_entity_id, crm_entity_id)"
        f" values ('print-shop', '{entity}', {vms_id}, '{crm_id}') returning 1"
    )
    ingest.rows("with gone as (delete from sync.outbox returning 1) select 1 as done")
    return vms_id


def woken(ingest: Ingest) -> list[tuple[str, int]]:
    rows = ingest.rows("select entity_type, vms_entity_id from sync.outbox where state = 'waiting' order by 1, 2")
    return [(row["entity_type"], row["vms_entity_id"]) for row in rows]


def reads(ingest: Ingest) -> list[tuple[str, str]]:
    rows = ingest.rows("select stream, crm_id from sync.requests where state = 'queued' order by 1, 2")
    return [(row["stream"], row["crm_id"]) for row in rows]


@pytest.mark.parametrize(("kind", "entity"), [("orders", "order"), ("customers", "customer")])
def test_a_linked_object_is_read_from_the_crm_and_compared_with_vms_by_either_id(
    ingest: Ingest, kind: str, entity: str
) -> None:
    vms_id = link(ingest, entity, "9501")
    for address in (f"{kind}/9501?", f"{kind}/{vms_id}?side=vms&"):
        answer = ask(ingest, address)
        assert answer.status_code == 202, answer.text
        assert answer.json()["vms_ids"] == [vms_id]
        assert reads(ingest) == [(kind, "9501")]
        assert woken(ingest) == [(entity, vms_id)]


def test_an_object_that_only_vms_has_is_sent_and_the_status_is_where_to_ask(ingest: Ingest) -> None:
    vms_id = ingest.rows("insert into vms.orders (project_id) values ('print-shop') returning id")[0]["id"]
    ingest.rows("with gone as (delete from sync.outbox returning 1) select 1 as done")
    answer = ask(ingest, f"orders/{vms_id}?")
    assert (answer.status_code, answer.json()["request_ids"], answer.json()["vms_ids"]) == (202, [], [vms_id])
    assert woken(ingest) == [("order", vms_id)]
    where = answer.json()["status_url"]
    assert ingest.client.get(where, headers=HEADERS).status_code == 200


def test_an_article_is_named_by_its_product_or_by_its_offer(ingest: Ingest) -> None:
    vms_id = link(ingest, "article", "8001")
    ingest.rows(
        "insert into core.offers (project_id, offer_id, product_id) values ('print-shop', '8001', '800') returning 1"
    )
    assert ask(ingest, "articles/800?").status_code == 202
    assert (reads(ingest), woken(ingest)) == ([("products", "800")], [("article", vms_id)])
    assert ask(ingest, "articles/8001?").status_code == 202
    assert reads(ingest) == [("offers", "8001"), ("products", "800"), ("stocks", "8001")]


def test_what_is_nowhere_in_vms_is_told_so(ingest: Ingest) -> None:
    for number in ("999999", "abc", "9" * 30):
        answer = ask(ingest, f"orders/{number}?side=vms&")
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith("vms has no order")
    assert ask(ingest, "ships/1?").status_code == 404
    assert ask(ingest, "orders/1?side=both&").status_code == 400
    assert ingest.client.post("/api/yclients/sync/orders/1?project=print-shop", headers=HEADERS).status_code == 404
    assert ingest.client.post("/api/retailcrm/sync/orders/1?project=print-shop", headers=HEADERS).status_code == 404
    assert ingest.client.post("/api/keycrm/sync/full-resync?project=print-shop").status_code == 401


def test_a_full_resync_is_queued_once_told_of_and_cancelled(ingest: Ingest) -> None:
    first, second = (ask(ingest, "full-resync?").json() for _ in range(2))
    assert first["resync_id"] == second["resync_id"]
    where = first["status_url"]
    state = ingest.client.get(where, headers=HEADERS).json()
    assert (state["state"], state["stage"], state["done"]) == ("queued", None, 0)
    status = _status(ingest)
    assert status["resync"]["resync_id"] == first["resync_id"]
    assert ingest.client.delete(where).status_code == 401
    assert ingest.client.delete(where, headers=HEADERS).json()["state"] == "cancelled"
    again = ingest.client.delete(where, headers=HEADERS)
    assert (again.status_code, again.json()["detail"]) == (
        409, f"Full resync {first['resync_id']} is over already (cancelled)."
    )  # fmt: skip
    unknown = where.replace(f"/{first['resync_id']}?", "/999999?")
    assert ingest.client.get(unknown, headers=HEADERS).status_code == 404
    assert ingest.client.delete(unknown, headers=HEADERS).status_code == 404
    assert ask(ingest, "full-resync?").json()["resync_id"] != first["resync_id"]


def test_the_status_tells_queues_errors_and_conflicts_of_each_kind_of_object(ingest: Ingest) -> None:
    order_id = link(ingest, "order", "501")
    ingest.rows(
        f"""
        with changed as (
            update sync.mappings
            set sync_status = 'error', error_message = 'The CRM refuses it.', last_synced_at = now(),
                last_direction = 'outbound'
            returning 1
        ), disputed as (
            insert into sync.conflicts (project_id, entity_type, vms_entity_id, crm_entity_id, fields)
            values ('print-shop', 'order', {order_id}, '501', '{{}}') returning 1
        ), coming as (
            insert into sync.inbound_queue (project_id, entity_type, crm_entity_id)
            values ('print-shop', 'order', '502') returning 1
        ), letter as (
            insert into sync.dead_letters (project_id, direction, source, stream, crm_id, error_word, reason)
            values ('print-shop', 'outbound', 'outbox', 'order', '501', 'permanent', 'The CRM refuses it.') returning 1
        ) update vms.orders set comment = 'by noon' where id = {order_id} returning 1
        """
    )
    status = _status(ingest)
    rows = {row["entity"]: row for row in status["entities"]}
    assert list(rows) == ["customer", "article", "order", "payment"]
    row = rows["order"]
    assert (row["outbox_waiting"], row["inbound_waiting"], row["linked"], row["errors"]) == (1, 1, 1, 1)
    assert (row["last_error"], row["open_conflicts"]) == ("The CRM refuses it.", 1)
    assert row["last_outbound_at"] == row["last_synced_at"] is not None
    assert row["outbox_oldest_seconds"] >= 0
    assert rows["customer"]["outbox_waiting"] == 0
    assert status["dead_letters"] == {"outbound": 1, "inbound": 0}


def test_retailcrm_has_the_same_routes(ingest: Ingest) -> None:
    apply(
        ingest.environment,
        f"""
projects:
  - id: tea-shop
    name: Tea shop
    crm: retailcrm
    base_url: http://127.0.0.1:9
    timezone: Europe/Kyiv
    credentials: {{api_key: key-5}}
    webhook: {{auth: token, secret: {TOKEN}}}
""",
    )
    address = "/api/retailcrm/sync"
    # Known a moment after it was applied: the server has just read its settings, maybe.
    wait_until(lambda: ingest.client.get(f"{address}/status?project=tea-shop", headers=HEADERS).status_code == 200, 5)
    one = ingest.client.post(f"{address}/customers/77?project=tea-shop", headers=HEADERS)
    assert (one.status_code, reads(ingest)) == (202, [("customers", "77")])
    every = ingest.client.post(f"{address}/full-resync?project=tea-shop", headers=HEADERS)
    assert every.status_code == 202
    assert ingest.client.delete(every.json()["status_url"], headers=HEADERS).json()["state"] == "cancelled"
    status = ingest.client.get(f"{address}/status?project=tea-shop", headers=HEADERS).json()
    assert (status["crm"], len(status["entities"])) == ("retailcrm", 4)


def _status(ingest: Ingest) -> dict[str, Any]:
    answer = ingest.client.get("/api/keycrm/sync/status?project=print-shop", headers=HEADERS)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
