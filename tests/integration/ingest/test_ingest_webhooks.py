"""Webhooks over real HTTP into a real PostgreSQL: what is accepted, what is refused, what is kept."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import httpx
import pytest
from ingest_process import HMAC_SECRET, SETTINGS, TOKEN, Ingest, apply, order

from tests.support.waiting import wait_until

PROBLEM = "application/problem+json"


def test_an_accepted_webhook_is_in_raw_and_queued_for_core(ingest: Ingest) -> None:
    response = ingest.send(order(501))
    row = ingest.event(response)
    assert response.json() == {"status": "accepted", "event_id": row["event_id"]}
    assert (row["project_id"], row["crm"], row["event_name"]) == ("print-shop", "keycrm", None)
    assert json.loads(row["body"]) == order(501)
    assert row["content_hash"] == hashlib.sha256(row["body"].encode()).digest()
    assert row["content_type"] == "application/json"
    assert str(row["remote_address"]) == "127.0.0.1"
    queued = ingest.rows("select project_id, source from sync.raw_queue where %s = any(raw_ids)", row["event_id"])
    assert [(entry["project_id"], entry["source"]) for entry in queued] == [("print-shop", "webhook")]


@pytest.mark.parametrize(
    ("address", "event_name"),
    [
        ("/webhooks/keycrm/print-shop?x=1", None),
        ("/webhooks/keycrm?project=print-shop", None),
        ("/api/webhooks/keycrm?project=print-shop", None),
        ("/api/keycrm/webhook/order-created?project=print-shop", "order-created"),
        ("/api/keycrm/webhook/order-updated?project=print-shop", "order-updated"),
        ("/api/keycrm/webhook/order-status-changed?project=print-shop", "order-status-changed"),
        ("/api/keycrm/webhook/payment-created?project=print-shop", "payment-created"),
        ("/api/keycrm/webhook/payment-updated?project=print-shop", "payment-updated"),
        ("/api/keycrm/webhook/buyer-created?project=print-shop", "buyer-created"),
        ("/api/keycrm/webhook/buyer-updated?project=print-shop", "buyer-updated"),
    ],
)
def test_each_address_lands_the_webhook_under_its_event_name(
    ingest: Ingest, address: str, event_name: str | None
) -> None:
    row = ingest.event(ingest.client.post(f"{address}&token={TOKEN}", json=order()))
    assert (row["project_id"], row["event_name"]) == ("print-shop", event_name)
    assert TOKEN not in json.dumps(row["query"])


def test_the_token_may_come_as_a_header_and_no_secret_is_stored(ingest: Ingest) -> None:
    headers = {
        "X-Webhook-Token": TOKEN, "Authorization": "Bearer abc", "Cookie": "session=1", "X-Signature": "sig",
        "X-Note": f"my token is {TOKEN}", "X-Kept": "yes",
    }  # fmt: skip
    response = ingest.client.post(
        f"/webhooks/keycrm/print-shop?note={TOKEN}&a=%00b&утм=тест", json=order(), headers=headers
    )
    row = ingest.event(response)
    assert row["headers"]["x-kept"] == "yes"
    assert not {"x-webhook-token", "authorization", "cookie", "x-signature", "x-note"} & set(row["headers"])
    assert row["query"] == {"a": "\ufffdb", "утм": "тест"}
    assert TOKEN not in json.dumps([row["headers"], row["query"]])


def test_a_get_webhook_lands_the_data_of_its_query(ingest: Ingest) -> None:
    query = {"event": "order.change_order_status", "context": json.dumps(order()["context"]), "token": TOKEN}
    row = ingest.event(ingest.client.get("/webhooks/keycrm/print-shop", params=query))
    assert json.loads(row["body"]) == order()
    assert TOKEN not in row["body"]


def test_a_form_and_a_stock_array_are_landed(ingest: Ingest) -> None:
    form = ingest.client.post(
        f"/webhooks/keycrm/print-shop?token={TOKEN}",
        content=urlencode({"event": "order.change_order_status", "context[id]": "501"}),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert json.loads(ingest.event(form)["body"])["context"] == {"id": "501"}
    stocks = [{"offer_id": 130, "sku": "a-1", "in_stock": 16, "in_reserve": 3}]
    assert json.loads(ingest.event(ingest.send(stocks))["body"]) == stocks


@pytest.mark.parametrize(
    "payload",
    [
        order(501), order("501"), order(None), order([1]), order(status_changed_at=None), order(status_id={"a": 1}),
        order(status_id=999999), order(status_changed_at="2999-01-01T00:00:00Z"),
        order(manager_comment="Привіт 👋🏽 'їжак'"),
        {"event": 7, "context": "x"}, {"event": None}, {}, [], [1, "x", None],
    ],
    ids=str,
)  # fmt: skip
def test_whatever_is_an_object_or_a_list_is_landed_verbatim_for_core_to_judge(ingest: Ingest, payload: object) -> None:
    body = json.dumps(payload, ensure_ascii=False, indent=1).encode()
    assert ingest.event(ingest.send(body))["body"].encode() == body


def test_a_lone_surrogate_in_an_escape_loses_nothing(ingest: Ingest) -> None:
    body = b'{"event":"order.change_order_status","context":{"id":1,"manager_comment":"\\ud83d"}}'
    response = ingest.send(body)
    if response.status_code == 200:
        assert ingest.event(response)["body"].encode() == body
    else:
        assert response.status_code == 400
        assert ingest.rows("select 1 from raw.rejected where body = %s", body)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"   ", b"{", b'{"event":', b"null", b"7", b'"text"', b"true", b"{'event': 1}", b"not json at all",
        b'{"a":1}{"b":2}', b"\xff\xfe{}", '{"a":"Привіт"}'.encode("cp1251"), b'{"a":"\x00"}', b'{"a":"\\u0000"}',
        b'{"\\u0000":1}', b"[" * 100_000, b"[" * 5000 + b"]" * 5000, b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b"\x1f\x8b\x08\x00",
    ],
    ids=lambda body: repr(body[:24]),
)  # fmt: skip
def test_an_authentic_but_unreadable_webhook_is_answered_400_and_kept_byte_by_byte(ingest: Ingest, body: bytes) -> None:
    before = ingest.rows("select coalesce(max(rejected_id), 0) as last from raw.rejected")[0]["last"]
    events = ingest.rows("select count(*) as n from raw.webhook_events")[0]["n"]
    response = ingest.send(body)
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == PROBLEM
    assert response.json()["code"] == "unreadable"
    assert response.json()["detail"].endswith(".")
    (kept,) = ingest.rows("select * from raw.rejected where rejected_id > %s", before)
    assert kept["body"] == body
    assert kept["reason"]
    assert kept["project_id"] == "print-shop"
    assert TOKEN not in json.dumps(kept["headers"]) + kept["reason"] + response.text
    assert ingest.rows("select count(*) as n from raw.webhook_events")[0]["n"] == events


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/webhooks/keycrm/no-such-shop", "unknown_project"),
        ("/webhooks/keycrm/' or 1=1 --", "unknown_project"),
        ("/webhooks/keycrm/%00", "unknown_project"),
        ("/webhooks/keycrm/Print-Shop", "unknown_project"),
        ("/webhooks/retailcrm/print-shop", "unknown_project"),
        ("/webhooks/vms/no-such-shop", "unknown_project"),
        ("/webhooks/keycrm", "unknown_project"),
        ("/api/keycrm/webhook/order-exploded?project=print-shop", "unknown_event"),
        ("/api/keycrm/webhook/order-created", "unknown_project"),
        ("/webhooks", "http"),
    ],
)
def test_an_unknown_project_crm_or_event_is_answered_404(ingest: Ingest, address: str, code: str) -> None:
    response = ingest.client.post(address, json=order(), headers={"X-Webhook-Token": TOKEN})
    assert response.status_code == 404
    assert response.headers["content-type"] == PROBLEM
    assert response.json()["code"] == code


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN.upper(), TOKEN + "x", TOKEN[:-1], "т" * 14, "\x00"])
def test_a_wrong_token_is_answered_401_and_nothing_is_stored(ingest: Ingest, token: str | None) -> None:
    before = ingest.rows("select (select count(*) from raw.webhook_events) + (select count(*) from raw.rejected) as n")
    for body in (order(), b"{broken"):
        response = ingest.send(body, token=token)
        assert response.status_code == 401
        assert response.json()["code"] == "not_authentic"
        assert response.headers["www-authenticate"]
    after = ingest.rows("select (select count(*) from raw.webhook_events) + (select count(*) from raw.rejected) as n")
    assert after == before


def test_a_project_without_a_configured_token_refuses_everything(ingest: Ingest) -> None:
    for token in (None, "", "None", TOKEN):
        assert ingest.send(order(), project="bare-shop", token=token).status_code == 401


def test_an_hmac_is_taken_over_the_raw_body(ingest: Ingest) -> None:
    body = json.dumps(order()).encode()
    signature = hmac.new(HMAC_SECRET.encode(), body, hashlib.sha256).hexdigest()

    def send(value: str) -> httpx.Response:
        headers = {"X-Shop-Hash": value.encode("latin-1")}
        return ingest.client.post("/webhooks/keycrm/signed-shop", content=body, headers=headers)

    row = ingest.event(send(signature))
    assert "x-shop-hash" not in row["headers"]
    assert send(signature[:-1] + "0" if signature[-1] != "0" else signature[:-1] + "1").status_code == 401
    assert send("").status_code == 401
    assert send("ÿ").status_code == 401


def test_a_body_over_one_mebibyte_is_answered_413_and_not_stored(ingest: Ingest) -> None:
    padding = "x" * (2 * 1024 * 1024)
    before = ingest.rows("select count(*) as n from raw.webhook_events")

    def pieces() -> Iterator[bytes]:
        yield b'{"event":"'
        for _ in range(32):
            yield padding[: 64 * 1024].encode()
        yield b'"}'

    announced = ingest.send(order(manager_comment=padding))
    chunked = ingest.client.post(f"/webhooks/keycrm/print-shop?token={TOKEN}", content=pieces())
    for response in (announced, chunked):
        assert response.status_code == 413
        assert response.json()["code"] == "too_large"
    assert ingest.rows("select count(*) as n from raw.webhook_events") == before
    assert ingest.send(order()).status_code == 200


def test_a_body_of_just_under_one_mebibyte_is_landed_in_one_piece_or_in_chunks(ingest: Ingest) -> None:
    body = json.dumps(order(manager_comment="y" * 1_040_000)).encode()
    assert ingest.event(ingest.send(body))["body"].encode() == body
    pieces = (body[start : start + 50_000] for start in range(0, len(body), 50_000))
    response = ingest.client.post(f"/webhooks/keycrm/print-shop?token={TOKEN}", content=pieces)
    assert ingest.event(response)["body"].encode() == body


def _head(length: int) -> bytes:
    address = f"/webhooks/keycrm/print-shop?token={TOKEN}"
    return f"POST {address} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode()


def test_an_announced_giant_is_refused_before_it_is_sent(ingest: Ingest) -> None:
    with socket.create_connection(("127.0.0.1", ingest.process.port), timeout=10) as connection:
        connection.sendall(_head(99_999_999_999))
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_hangs_up_in_mid_body_leaves_nothing(ingest: Ingest) -> None:
    before = ingest.rows("select count(*) as n from raw.webhook_events")
    with socket.create_connection(("127.0.0.1", ingest.process.port), timeout=10) as connection:
        connection.sendall(_head(500) + b'{"a"')
    wait_until(lambda: 'reason="client_gone"}' in ingest.client.get("/metrics").text)
    assert ingest.rows("select count(*) as n from raw.webhook_events") == before


def test_another_method_and_another_address_are_problems_too(ingest: Ingest) -> None:
    for response, status in (
        (ingest.client.put("/webhooks/keycrm/print-shop"), 405),
        (ingest.client.delete("/api/keycrm/webhook/order-created"), 405),
        (ingest.client.get("/nowhere"), 404),
    ):
        assert response.status_code == status
        assert response.headers["content-type"] == PROBLEM


def test_asking_by_head_lands_nothing(ingest: Ingest) -> None:
    assert ingest.client.head(f"/webhooks/keycrm/print-shop?token={TOKEN}&event=x").status_code == 405


def test_webhooks_side_by_side_share_commits_and_each_gets_its_own_id(ingest: Ingest) -> None:
    def figure(name: str) -> float:
        text = ingest.client.get("/metrics").text
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"crm_elt_ingest_{name} "))

    commits, accepted = figure("group_size_count"), figure("webhooks_accepted_total")
    with ThreadPoolExecutor(32) as threads, httpx.Client(base_url=ingest.process.url, timeout=30) as client:
        answers = list(
            threads.map(
                lambda number: client.post(f"/webhooks/keycrm/print-shop?token={TOKEN}", json=order(number)),
                range(100_000, 100_600),
            )
        )
    ids = {answer.json()["event_id"]: number for number, answer in enumerate(answers, 100_000)}
    assert len(ids) == 600
    stored = ingest.rows("select event_id, body from raw.webhook_events where event_id = any(%s)", list(ids))
    assert {row["event_id"]: json.loads(row["body"])["context"]["id"] for row in stored} == ids
    assert figure("webhooks_accepted_total") - accepted == 600
    assert figure("group_size_count") - commits < 600
    queued = ingest.rows("select unnest(raw_ids) as event_id from sync.raw_queue")
    assert set(ids) <= {row["event_id"] for row in queued}


def test_applied_settings_count_for_the_very_next_webhook(ingest: Ingest) -> None:
    new = SETTINGS.replace("id: print-shop", "id: new-shop").split("  - id: signed-shop")[0]
    assert ingest.send(order(), project="new-shop").status_code == 404
    apply(ingest.environment, new)
    wait_until(lambda: ingest.send(order(), project="new-shop").status_code == 200, 5)
    apply(ingest.environment, new.replace(TOKEN, "another-token-1"))
    wait_until(lambda: ingest.send(order(), project="new-shop", token="another-token-1").status_code == 200, 5)
    assert ingest.send(order(), project="new-shop").status_code == 401


def test_a_stopped_project_still_keeps_what_it_is_sent(ingest: Ingest) -> None:
    ingest.rows("update config.projects set is_enabled = false where project_id = 'open-shop' returning 1")
    assert ingest.event(ingest.send(order(), project="open-shop", token=None))["project_id"] == "open-shop"


def test_a_secret_that_does_not_decrypt_is_our_fault_and_asks_to_come_back(ingest: Ingest) -> None:
    apply(ingest.environment, SETTINGS.replace("id: print-shop", "id: locked-shop").split("  - id: signed-shop")[0])
    ingest.rows("update config.credentials set key_id = 'gone' where project_id = 'locked-shop' returning 1")
    wait_until(lambda: ingest.send(order(), project="locked-shop").status_code == 503, 5)
    response = ingest.send(order(), project="locked-shop")
    assert response.json()["code"] == "secret_unreadable"
    assert response.headers["retry-after"]


def test_the_api_is_described_with_its_landing_routes(ingest: Ingest) -> None:
    paths = ingest.client.get("/openapi.json").json()["paths"]
    for path in ("/webhooks/{crm}/{project}", "/webhooks/{crm}", "/api/webhooks/{crm}", "/api/keycrm/webhook/{event}"):
        assert {"200", "400", "401", "404", "413", "429", "503"} == set(paths[path]["post"]["responses"])
    assert "/health/ready" in paths
    assert any(path.startswith("/api/projects/") and path.endswith("/sync") for path in paths)


def test_health_and_metrics_tell_how_it_is(ingest: Ingest) -> None:
    assert ingest.client.get("/health/live").json() == {"status": "ok"}
    ready = ingest.client.get("/health/ready")
    assert ready.status_code == 200, ready.text
    assert ready.json()["database"] == "ok"
    assert ready.json()["backlog"]["rows"] > 0
    assert ready.json()["backlog"]["age_seconds"] > 0
    text = ingest.client.get("/metrics").text
    for name in (
        "webhooks_received_total",
        "webhooks_accepted_total",
        'webhooks_refused_total{reason="not_authentic"}',
    ):
        assert f"crm_elt_ingest_{name}" in text
    assert "crm_elt_ingest_database_up 1.0" in text
    assert "crm_elt_ingest_commit_seconds_bucket" in text
    assert "crm_elt_ingest_backlog_age_seconds" in text


def test_no_secret_is_in_the_log(ingest: Ingest) -> None:
    ingest.send(order())
    ingest.send(order(), token="guessed-token-42")
    ingest.send(b"{broken")
    log = ingest.process.log()
    assert "webhook_refused" in log
    for secret in (TOKEN, HMAC_SECRET, "guessed-token-42", "another-token-1"):
        assert secret not in log
