"""Manual syncs over HTTP: queued, told where to ask, and only for who may."""

from __future__ import annotations

import hashlib
import hmac

import httpx
import pytest
from ingest_process import HMAC_SECRET, TOKEN, Ingest

HEADERS = {"X-Webhook-Token": TOKEN}


def _ask(ingest: Ingest, address: str, **arguments: object) -> httpx.Response:
    return ingest.client.post(address, headers=HEADERS, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/api/keycrm/sync/orders/501?project=print-shop", ("orders", "501", False)),
        ("/api/keycrm/sync/customers/40?project=print-shop", ("customers", "40", False)),
        ("/api/keycrm/sync/articles/7?project=print-shop", ("products", "7", False)),
        ("/api/keycrm/sync/full-resync?project=print-shop", (None, None, True)),
    ],
)
def test_a_sync_is_queued_and_its_state_can_be_asked_for(
    ingest: Ingest, address: str, expected: tuple[str | None, str | None, bool]
) -> None:
    response = _ask(ingest, address)
    assert response.status_code == 202, response.text
    where = response.json()["status_url"]
    assert where == response.headers["location"]
    state = ingest.client.get(where, headers=HEADERS).json()
    assert state["state"] == "queued"
    assert (state["stream"], state["crm_id"], state["is_full"]) == expected
    assert state["origin"] == "manual"


def test_a_project_sync_takes_entity_id_since_and_full(ingest: Ingest) -> None:
    for body, expected in (
        (None, (None, None, None, False)),
        ({"entity": "orders"}, ("orders", None, None, False)),
        ({"entity": "orders", "id": 77}, ("orders", "77", None, False)),
        ({"entity": "orders", "id": "78"}, ("orders", "78", None, False)),
        ({"since": "2026-01-02T03:04:05Z"}, (None, None, "2026-01-02T03:04:05Z", False)),
        ({"since": "2026-01-02T03:04:05"}, (None, None, "2026-01-02T01:04:05Z", False)),  # in the project's zone
        ({"since": "2026-01-02"}, (None, None, "2026-01-01T22:00:00Z", False)),
        ({"full": True}, (None, None, None, True)),
    ):
        response = _ask(ingest, "/api/projects/print-shop/sync", json=body)
        assert response.status_code == 202, response.text
        state = ingest.client.get(response.json()["status_url"], headers=HEADERS).json()
        assert (state["stream"], state["crm_id"], state["since"], state["is_full"]) == expected


def test_the_same_sync_twice_is_one_request(ingest: Ingest) -> None:
    first, second = (_ask(ingest, "/api/keycrm/sync/orders/9000?project=print-shop").json() for _ in range(2))
    assert first["request_id"] == second["request_id"]


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b'{"entity": 7}', b'{"entity": "ships"}', b'{"id": 7}', b'{"entity": "statuses", "id": 7}',
        b'{"what": 1}', b'{"since": "yesterday"}', b'{"since": "2099-01-01"}', b'{"since": 7}',
        b'{"entity": "orders", "id": ""}', b'{"entity": "orders", "id": "a\\u0000"}',
        b'{"entity": "orders", "id": 1, "full": true}', b"\xff", b'{"full": "yes"}',
    ],
)  # fmt: skip
def test_a_sync_that_makes_no_sense_is_answered_400_with_a_sentence(ingest: Ingest, body: bytes) -> None:
    response = _ask(ingest, "/api/projects/print-shop/sync", content=body)
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"].endswith(".")


def test_a_sync_needs_what_the_webhooks_of_the_project_need(ingest: Ingest) -> None:
    for address in ("/api/projects/print-shop/sync", "/api/keycrm/sync/orders/1?project=print-shop"):
        assert ingest.client.post(address).status_code == 401
        assert ingest.client.post(address, headers={"X-Webhook-Token": "wrong"}).status_code == 401
    signature = hmac.new(HMAC_SECRET.encode(), b"", hashlib.sha256).hexdigest()
    signed = ingest.client.post("/api/projects/signed-shop/sync", headers={"X-Shop-Hash": signature})
    assert signed.status_code == 202
    assert _ask(ingest, "/api/projects/open-shop/sync").status_code == 401
    assert _ask(ingest, "/api/projects/no-such-shop/sync").status_code == 404
    assert _ask(ingest, "/api/keycrm/sync/orders/1").status_code == 400


def test_a_request_is_shown_to_its_own_project_alone(ingest: Ingest) -> None:
    where = _ask(ingest, "/api/keycrm/sync/orders/501?project=print-shop").json()["status_url"]
    signature = hmac.new(HMAC_SECRET.encode(), b"", hashlib.sha256).hexdigest()
    other = where.replace("print-shop", "signed-shop")
    assert ingest.client.get(other, headers={"X-Shop-Hash": signature}).status_code == 404
    assert ingest.client.get("/api/projects/print-shop/sync/999999", headers=HEADERS).status_code == 404
    assert ingest.client.get(f"/api/projects/print-shop/sync/{2**70}", headers=HEADERS).status_code == 404
    assert ingest.client.get("/api/projects/print-shop/sync/abc", headers=HEADERS).status_code == 400


def test_the_status_tells_streams_backlog_and_requests(ingest: Ingest) -> None:
    _ask(ingest, "/api/keycrm/sync/orders/501?project=print-shop")
    ingest.rows(
        """
        insert into sync.runs (project_id, kind, stream, trigger, state, finished_at, rows_seen)
        values ('print-shop', 'pull', 'orders', 'cli', 'success', clock_timestamp(), 5) returning 1
        """
    )
    ingest.send([])
    status = ingest.client.get("/api/keycrm/sync/status?project=print-shop", headers=HEADERS)
    assert status.status_code == 200, status.text
    state = status.json()
    orders = next(stream for stream in state["streams"] if stream["stream"] == "orders")
    assert (orders["state"], orders["rows_seen"]) == ("success", 5)
    assert orders["last_success_at"]
    assert state["waiting_entries"] >= 1
    assert state["requests"]
    assert ingest.client.get("/api/keycrm/sync/status?project=print-shop").status_code == 401
