"""Of a webhook nothing is kept but the hashes of its visits, in whichever form it comes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from connectors import registry
from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Reread
from connectors.renovatio.privacy import Hasher
from connectors.renovatio.simulator_webhooks import NotificationSender
from connectors.renovatio.webhooks import check_webhook, map_webhook
from tests.conformance.suite import Clock

SALT = "s" * 32
CONTEXT = MappingContext("clinic", secrets={"salt": SALT})
FORM = {"content-type": "application/x-www-form-urlencoded"}
ROW = {
    "id": 50123, "status": "completed", "status_id": "4", "patient_id": 777, "patient_name": "Иванова",
    "sum_value": "2500.00", "services": [{"title": "Консультация"}],
}  # fmt: skip
VISIT = Hasher(SALT).visit("50123")


def check(body: bytes, *, query: dict[str, str] | None = None, **headers: str) -> Any:
    return json.loads(check_webhook(WebhookRequest("POST", headers or FORM, query or {}, body), CONTEXT))


def form(**fields: Any) -> bytes:
    return urlencode({name: v if isinstance(v, str) else json.dumps(v) for name, v in fields.items()}).encode()


def nested(payload: Any, event: str = "update_appointment") -> bytes:
    sender = NotificationSender(Clock())
    sender.is_nested = True
    return sender.encode(event, payload)


@pytest.mark.parametrize(
    "body",
    [
        form(event="update_appointment", data=[ROW]), form(event="update_appointment", data=ROW), nested([ROW]),
        nested(ROW), json.dumps({"event": "create_appointment", "data": [ROW]}).encode(),
        b"\xef\xbb\xbf" + json.dumps({"event": "visit_changed", "data": ROW}).encode(),
        json.dumps({"event": "update_appointment", "data": json.dumps([ROW])}).encode(),
        form(event="update_appointment", data=[ROW, {**ROW, "id": "50123"}]),
    ],
)  # fmt: skip
def test_every_form_seen_gives_the_hashed_visit_and_nothing_else(body: bytes) -> None:
    assert check(body) == {"visits": [VISIT]}


def test_fields_may_come_in_the_query() -> None:
    assert check(b"", query={"event": "update_appointment", "data": json.dumps([ROW]), "token": "t"}) == {
        "visits": [VISIT]
    }


def test_several_visits_are_read_again_each() -> None:
    body = check_webhook(WebhookRequest("POST", FORM, {}, nested([ROW, {**ROW, "id": 7}])), CONTEXT)
    assert map_webhook(body) == Batch(rereads=[Reread("visits", VISIT), Reread("visits", Hasher(SALT).visit("7"))])


@pytest.mark.parametrize("event", ["create_patient", "lab_result_ready", "Иванова"])
def test_an_event_about_something_else_keeps_and_does_nothing(event: str) -> None:
    body = check_webhook(WebhookRequest("POST", FORM, {}, form(event=event, data=[ROW])), CONTEXT)
    assert body == '{"visits":[]}'
    assert map_webhook(body) == Batch()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the field event is missing"),
        ("Иванова".encode("cp1251"), "the body is not UTF-8"),
        ("Иванова=1".encode(), "the field event is missing"),
        ('{"Иванова'.encode(), "the body is not JSON"),
        ('["Иванова"]'.encode(), "the body has no field event"),
        (form(event="visit", data='[{"id":"Иванова'), "the field data is not JSON"),
        (form(event="visit", data='"Иванова"'), "the field data is neither a list nor an object"),
        (form(event="visit", data=[{"name": "Иванова"}]), "the field data names no visit"),
        (form(event="visit"), "the field data names no visit"),
        (
            form(event="visit", data=[{"id": number} for number in range(1001)]),
            "the field data names more than 1000 visits",
        ),
        (b"a=%ff%fe&event=visit", "the form is not UTF-8"),
        (b"&".join(b"a=1" for _ in range(20_001)), "the form has more than 20000 fields"),
        (b"[" * 100_000, "the body is not JSON"),
    ],
    ids=range(13),
)  # fmt: skip
def test_an_unreadable_webhook_is_told_of_without_a_word_of_it(body: bytes, reason: str) -> None:
    with pytest.raises(WebhookUnreadableError) as caught:
        check(body)
    assert str(caught.value) == reason
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("secrets", [{}, {"salt": ""}, {"salt": "s" * 31}])
def test_without_a_good_salt_no_webhook_is_read(secrets: dict[str, str]) -> None:
    request = WebhookRequest("POST", FORM, {}, form(event="update_appointment", data=[ROW]))
    with pytest.raises(WebhookUnreadableError, match="at least 32 random bytes"):
        check_webhook(request, MappingContext("clinic", secrets=secrets))


def test_keys_that_are_nested_without_end_or_sense_do_no_harm() -> None:
    assert check(b"event=visit&data" + b"[a]" * 5000 + b"=1&data[id]=50123") == {"visits": [VISIT]}
    with pytest.raises(WebhookUnreadableError, match=r"^the field data names no visit$"):
        check(b"event=visit&data=x&data[0][id]=50123&data[0][id][x]=1&[]=2&[=3")


@pytest.mark.parametrize("body", ["{}", "[]", '{"visits":["50123"]}', '{"visits":7}', "{", '{"visits":[7]}'])
def test_a_stored_text_that_is_none_of_ours_is_skipped(body: str) -> None:
    with pytest.raises(SkipRowError):
        map_webhook(body)


def test_nothing_is_hidden_of_what_is_stored_as_it_holds_no_person() -> None:
    assert json.loads(registry.get("renovatio").mask_payload(json.dumps({"visits": [VISIT]}))) == {"visits": [VISIT]}
