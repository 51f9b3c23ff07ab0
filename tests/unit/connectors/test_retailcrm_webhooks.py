"""RetailCRM's triggers are hints whose parameters the project's template names."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.protocol import Account, MappingContext, WebhookRequest
from connectors.records import Batch, Reread
from connectors.retailcrm import connector
from connectors.retailcrm.webhooks import instructions, status_fingerprint

FORM = {"content-type": "application/x-www-form-urlencoded"}
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def context(**options: Any) -> MappingContext:
    return MappingContext("shop", options=options)


def rereads(request: WebhookRequest, **options: Any) -> list[Reread]:
    body = connector.check_webhook(request, context(**options))
    return connector.map_webhook(context(**options), None, body, NOW).rereads


def form(body: str) -> WebhookRequest:
    return WebhookRequest("POST", FORM, {}, body.encode())


def test_a_form_names_the_order() -> None:
    assert rereads(form("order_id=31&status=complete&external_id=A-9")) == [Reread("orders", "31")]


def test_parameters_of_the_url_do_too_and_the_token_is_not_kept() -> None:
    request = WebhookRequest("GET", {}, {"token": "s3cret", "project": "shop", "order_id": "31"}, b"")
    assert connector.check_webhook(request, context()) == '{"order_id":"31"}'
    assert rereads(request) == [Reread("orders", "31")]


def test_json_is_understood_as_well() -> None:
    assert rereads(WebhookRequest("POST", {}, {}, b'{"order_id": 31, "more": {"x": 1}}')) == [Reread("orders", "31")]


def test_without_its_own_id_the_shops_number_names_the_order() -> None:
    assert rereads(form("order_id=&external_id=A-9")) == [Reread("orders", "externalId:A-9")]


def test_the_default_template_understands_a_customer() -> None:
    assert rereads(form("customer_id=7")) == [Reread("customers", "7")]


def test_a_template_gives_parameters_other_names() -> None:
    template = {"order_id": "{{order.getExternalId()}}", "nr": "{{ order.id }}", "action": "change_status"}
    assert rereads(form("action=change_status&status=complete&order_id=A-9"), webhook_template=template) == [
        Reread("orders", "externalId:A-9")
    ]
    assert rereads(form("order_id=A-9&nr=31"), webhook_template=template) == [Reread("orders", "31")]


@pytest.mark.parametrize(
    "body", ["", "status=complete", "order_id=", "order_id=A-9", "[1]", "{", "a=%ff", "order_id=1%00"]
)
def test_what_names_no_object_is_unreadable(body: str) -> None:
    with pytest.raises(WebhookUnreadableError):
        connector.check_webhook(form(body), context())


def test_the_message_names_the_parameters_that_were_expected_and_nothing_that_came() -> None:
    with pytest.raises(WebhookUnreadableError, match="order_id, external_id, status") as caught:
        connector.check_webhook(form("name=Anna&phone=79161234567"), context())
    assert "Anna" not in str(caught.value)


@pytest.mark.parametrize("body", ["", "[]", "7", '{"order_id": 7}', '{"name": "x"}'])
def test_a_stored_text_that_names_nothing_is_skipped(body: str) -> None:
    with pytest.raises(SkipRowError):
        connector.map_webhook(context(), None, body, NOW)


def test_a_hint_changes_nothing_by_itself() -> None:
    batch = connector.map_webhook(context(), None, '{"order_id":"31","status":"complete"}', NOW)
    assert batch == Batch(rereads=[Reread("orders", "31")])


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"statuses": ["new", 7]}, "statuses"),
        ({"webhook_template": {}}, "webhook_template"),
        ({"webhook_template": {"status": "{{ order.getStatus().getCode() }}"}}, "webhook_template"),
        ({"webhook_template": {"token": "{{ order.getId() }}"}}, "webhook_template.token"),
        ({"webhook_template": {"id": 7}}, "webhook_template.id"),
    ],
)
def test_options_that_cannot_work_are_told(options: dict[str, Any], path: str) -> None:
    assert connector.capabilities.check_options is not None
    [(found, message)] = connector.capabilities.check_options(options)
    assert found == path
    assert message


def test_options_that_work_are_not_complained_about() -> None:
    assert connector.capabilities.check_options is not None
    template = {"n": "{{ customer.getExternalId()|raw }}"}
    assert (
        list(connector.capabilities.check_options({"site": "shop", "statuses": ["new"], "webhook_template": template}))
        == []
    )


def test_with_a_filter_by_status_ids_of_orders_are_not_compared() -> None:
    assert connector.capabilities.given({}).stream("orders").can_list_ids
    filtered = connector.capabilities.given({"statuses": ["new"]})
    assert not filtered.stream("orders").can_list_ids
    assert filtered.stream("customers").can_list_ids


def test_the_instructions_name_the_parameters_of_the_template() -> None:
    said = instructions({"webhook_template": {"nr": "{{ order.getId() }}"}}, "https://elt.example.com/x?token=SECRET")
    assert "nr = {{ order.getId() }}" in said
    assert "https://elt.example.com/x?token=SECRET" in said


def test_a_payload_for_people_shows_no_address() -> None:
    masked = json.loads(
        connector.mask_payload('{"delivery":{"address":{"text":"Мясницкая 1","index":"101000"}},"id":1}')
    )
    assert masked == {"delivery": {"address": {"text": "М***", "index": "1***"}}, "id": 1}


def test_an_account_repr_has_no_key() -> None:
    assert "s3cret" not in repr(Account("p", "retailcrm", "https://x", {"api_key": "s3cret"}, context()))


TOLD = {"order_id": "31", "status": "complete", "status_at": "2026-03-02 12:00:00", "status_changed": "1"}


def fingerprint(**changes: str) -> bytes | None:
    body = json.dumps({**TOLD, **changes})
    [reread] = connector.map_webhook(context(), None, body, NOW).rereads
    return reread.fingerprint


def test_a_change_of_status_is_known_by_the_status_and_its_time() -> None:
    assert fingerprint() == status_fingerprint("31", "complete", "2026-03-02 12:00:00")
    others = [{"status": "new"}, {"status_at": "2026-03-02 12:00:01"}, {"order_id": "32"}]
    assert len({fingerprint(), *(fingerprint(**other) for other in others)}) == 4


@pytest.mark.parametrize(
    "changes", [{"status_changed": ""}, {"status_at": ""}, {"status": ""}, {"order_id": "", "external_id": "A-9"}]
)
def test_of_anything_else_the_payload_tells_too_little(changes: dict[str, str]) -> None:
    assert fingerprint(**changes) is None


def test_where_no_echo_is_looked_for_nothing_is_reckoned() -> None:
    [reread] = connector.map_webhook(replace(context(), looks_for_echoes=False), None, json.dumps(TOLD), NOW).rereads
    assert reread == Reread("orders", "31")


def test_a_template_that_was_typed_before_goes_on_without_fingerprints() -> None:
    template = {"order_id": "{{ order.getId() }}", "status": "{{ order.getStatus().getCode() }}"}
    assert rereads(form("order_id=31&status=complete&status_changed=1"), webhook_template=template) == [
        Reread("orders", "31")
    ]


def test_a_template_of_ones_own_may_tell_it_too() -> None:
    template = {
        "nr": "{{order.id}}",
        "s": "{{ order.status.code }}",
        "at": '{{ order.getStatusUpdatedAt()|date("Y-m-d H:i:s") }}',
        "c": '{{ changeSet.hasChangedField("status") }}',
    }
    [reread] = rereads(form("nr=31&s=complete&at=2026-03-02+12:00:00&c=1"), webhook_template=template)
    assert reread.fingerprint == status_fingerprint("31", "complete", "2026-03-02 12:00:00")
