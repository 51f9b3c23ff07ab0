"""amoCRM's webhooks at the ingest API: forms, which must be answered within 2 seconds."""

from __future__ import annotations

import json
import time

from ingest_process import Ingest, apply

SETTINGS = """
projects:
  - id: deals
    name: Deals
    crm: amocrm
    base_url: https://demo.amocrm.ru
    timezone: Europe/Moscow
    credentials: {access_token: token-of-the-account}
    webhook: {auth: token, secret: amo-hook-secret}
"""
FORM = "leads[status][0][id]=4821&leads[status][0][status_id]=142&leads[status][0][name]=%D0%9A&account[id]=31"
HEADERS = {"content-type": "application/x-www-form-urlencoded"}


def test_a_form_is_stored_as_json_and_answered_in_time(ingest: Ingest) -> None:
    apply(ingest.environment, SETTINGS)
    started = time.monotonic()
    answer = ingest.client.post("/webhooks/amocrm/deals?token=amo-hook-secret", content=FORM, headers=HEADERS)
    assert time.monotonic() - started < 2.0
    stored = ingest.event(answer)
    assert json.loads(stored["body"])["leads"]["status"] == [{"id": "4821", "status_id": "142", "name": "К"}]
    refused = ingest.client.post("/webhooks/amocrm/deals?token=guess", content=FORM, headers=HEADERS)
    assert refused.status_code == 401
    unreadable = ingest.client.post("/webhooks/amocrm/deals?token=amo-hook-secret", content="a=b", headers=HEADERS)
    assert unreadable.status_code == 400


def test_the_callback_route_is_there_and_keeps_the_code_out_of_the_log(ingest: Ingest) -> None:
    answer = ingest.client.get("/oauth/amocrm/callback?code=c0de-of-the-vendor&state=forged")
    assert (answer.status_code, answer.json()["code"]) == (400, "state_refused")
    assert "c0de-of-the-vendor" not in ingest.process.log()
    assert "/oauth/{crm}/callback" in ingest.client.get("/openapi.json").json()["paths"]
