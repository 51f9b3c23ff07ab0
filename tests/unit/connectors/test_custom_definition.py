"""What a definition may say, what is told of one that is wrong, and what a project with it can do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from connectors import registry
from connectors.custom.definition import check, definition_of
from connectors.errors import ConfigError
from tests.support.orchard import AUTHS, PAGINGS, json_definition, xml_definition

CUSTOM = registry.get("custom")
Change = Callable[[dict[str, Any]], object]


def problems(definition: Any) -> dict[str, str]:
    return dict(check({"definition": definition}))


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("paging", PAGINGS)
def test_each_way_of_paging_and_authenticating_can_be_said_in_json_and_xml(paging: str, auth: str) -> None:
    assert problems(json_definition(paging, auth)) == {}
    assert problems(xml_definition(paging, auth)) == {}


WRONG: list[tuple[str, Change, str]] = [
    ("format", lambda d: d.update(format="yaml"), "json or xml"),
    ("colour", lambda d: d.update(colour=1), "unknown key"),
    ("entities", lambda d: d.update(entities={}), "at least one of"),
    ("entities.goods", lambda d: d["entities"].update(goods={}), "unknown entity"),
    ("entities.orders", lambda d: d["entities"].update(orders=[]), "expected a mapping"),
    ("auth.type", lambda d: d["auth"].update(type="digest"), "basic or bearer"),
    ("auth.token", lambda d: d["auth"].update(token="a b"), "name of a credential"),
    ("auth.token_url", lambda d: d.update(auth={"type": "oauth2"}), "required"),
    ("auth.header", lambda d: d.update(auth={"type": "header"}), "required"),
    ("headers.X-Api-Key", lambda d: d.update(headers={"X-Api-Key": "1"}), "use auth with type header"),
    ("headers.X\n", lambda d: d.update(headers={"X\n": "1"}), "not a header"),
    ("allow_hosts", lambda d: d.update(allow_hosts="x"), "list of texts"),
    ("max_response_mb", lambda d: d.update(max_response_mb=65), "from 1 to 64"),
]
WRONG_ORDERS: list[tuple[str, Change, str]] = [
    ("path", lambda o: o.update(path=""), "required"),
    ("path", lambda o: o.update(path="https://evil.example.com/"), "below base_url"),
    ("path", lambda o: o.update(path="/{{ secret }}"), "no variable secret"),
    ("params.x", lambda o: o.update(params={"x": "{% x %}"}), "not a template"),
    ("records", lambda o: o.update(records="data"), "JSONPath"),
    ("pagination.type", lambda o: o.update(pagination={"type": "scroll"}), "none or page"),
    ("pagination.param", lambda o: o.update(pagination={"type": "page"}), "required"),
    ("pagination.next", lambda o: o.update(pagination={"type": "cursor", "param": "c"}), "required"),
    ("pagination.size", lambda o: o.update(pagination={"type": "offset", "param": "o", "size": 1}), "at least 2"),
    ("pagination.size", lambda o: o.update(pagination={"type": "page", "param": "p", "size_param": "l"}), "required"),
    ("pagination.next", lambda o: o.update(pagination={"type": "page", "param": "p", "next": "$"}), "unknown key"),
    ("incremental", lambda o: o.update(params={"q": "{{ since }}"}) or o.pop("incremental"), "how a time is written"),
    ("incremental.param", lambda o: o.update(incremental={"format": "iso"}), "give either"),
    ("incremental.field", lambda o: o["fields"].pop("updated_at"), "has to be one of the fields"),
    ("incremental.field", lambda o: o.update(incremental={"param": "x", "field": "total"}), "and a time"),
    ("incremental.format", lambda o: o.update(incremental={"param": "x", "format": "soon"}), "iso, date"),
    ("one.path", lambda o: o.update(one={"path": "/orders"}), "{{ id }}"),
    ("fields.id", lambda o: o["fields"].pop("id"), "required"),
    ("fields.sum", lambda o: o["fields"].update(sum="$.x"), "unknown field of orders"),
    ("fields.total", lambda o: o["fields"].update(total="$.a["), "not a JSONPath"),
    ("fields.total", lambda o: o["fields"].update(total={"from": "$.a", "value": "1"}), "give either"),
    ("fields.total.type", lambda o: o["fields"].update(total={"from": "$.a", "type": "time"}), "money or minor"),
    ("fields.phone.format", lambda o: o["fields"].update(phone={"from": "$.a", "format": "%d"}), "unknown key"),
    ("fields.created_at.format", lambda o: o["fields"].update(created_at={"from": "$.a", "format": "x"}), "a format"),
    ("fields.comment", lambda o: o["fields"].update(comment=["$.a"]), "expected a text"),
    (
        "fields.status",
        lambda o: [o["fields"].pop(n) for n in ("status_changed_at", "updated_at", "created_at")],
        "it needs",
    ),
    ("lists_all", lambda o: o.update(lists_all="yes"), "true or false"),
]


@pytest.mark.parametrize(("path", "change", "message"), WRONG, ids=[path for path, _, _ in WRONG])
def test_what_is_wrong_is_told_with_its_path(path: str, change: Change, message: str) -> None:
    definition = copy.deepcopy(json_definition())
    change(definition)
    assert message in problems(definition)[f"definition.{path}"]


@pytest.mark.parametrize(("path", "change", "message"), WRONG_ORDERS, ids=[f"{p}: {m}" for p, _, m in WRONG_ORDERS])
def test_what_is_wrong_with_an_entity_is_told_with_its_path(path: str, change: Change, message: str) -> None:
    definition = copy.deepcopy(json_definition())
    change(definition["entities"]["orders"])
    assert message in problems(definition)[f"definition.entities.orders.{path}"]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    definition = json_definition()
    definition["entities"] = {
        "transactions": {"path": "/x", "records": "x", "fields": {"id": "$.id", "amount": "amount"}}
    }
    assert set(problems(definition)) == {
        "definition.entities.transactions.records",
        "definition.entities.transactions.fields.amount",
        "definition.entities.transactions.fields.occurred_at",
    }


@pytest.mark.parametrize("options", [{}, {"definition": None}, {"definition": 7}, {"definition": {}}])
def test_without_a_definition_there_is_nothing(options: dict[str, Any]) -> None:
    assert check(options)
    with pytest.raises(ConfigError, match=r"options\.definition"):
        definition_of(options)


def test_a_project_can_do_what_its_definition_says() -> None:
    definition = json_definition()
    definition["rate_limit"] = {"requests": 5, "per_seconds": 2}
    del definition["entities"]["customers"]
    del definition["entities"]["orders"]["one"], definition["entities"]["orders"]["incremental"]
    capabilities = CUSTOM.capabilities.given({"definition": definition})
    assert {stream.name for stream in capabilities.streams} == {"orders", "transactions"}
    orders, transactions = capabilities.stream("orders"), capabilities.stream("transactions")
    assert (orders.is_incremental, orders.can_read_one, orders.has_windows) == (False, False, True)
    assert (transactions.is_incremental, transactions.can_read_one, transactions.can_list_ids) == (True, True, True)
    assert capabilities.credentials == ("api_token",)
    assert capabilities.rate_limit == (5, 2.0)


@pytest.mark.parametrize(
    ("auth", "names"),
    [
        ({"type": "none"}, ()),
        ({"type": "basic"}, ("username", "password")),
        ({"type": "bearer"}, ("token",)),
        ({"type": "header", "header": "X-Key"}, ("api_key",)),
        ({"type": "oauth2", "token_url": "https://login.example.com/t"}, ("client_id", "client_secret")),
        ({"type": "basic", "username": "login", "password": "secret"}, ("login", "secret")),
    ],
)
def test_credentials_are_those_that_the_definition_names(auth: dict[str, Any], names: tuple[str, ...]) -> None:
    assert CUSTOM.capabilities.given({"definition": {**json_definition(), "auth": auth}}).credentials == names


def test_the_fingerprint_is_that_of_the_definition_whatever_the_order_of_its_keys() -> None:
    trial = CUSTOM.capabilities.trial
    assert trial is not None
    first = {"definition": {"format": "json", "entities": {"orders": {"path": "/a"}}}}
    same = {"rate_limit": {"requests": 1}, "definition": {"entities": {"orders": {"path": "/a"}}, "format": "json"}}
    other = {"definition": {"format": "json", "entities": {"orders": {"path": "/b"}}}}
    assert trial(first) == trial(same) != trial(other)
