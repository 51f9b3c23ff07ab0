"""What is KeyCRM's own about writing, over real HTTP against the simulator. What all connectors share is in
tests/conformance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.errors import ConfigError, ConnectorError, NotFoundError, PermanentError, RetryError
from connectors.keycrm.fingerprints import of_order
from connectors.keycrm.push_article_bodies import ARCHIVED_BY_HAND, COMMA_IN_SKU, NO_WAREHOUSE, SHARED
from connectors.keycrm.push_order_bodies import NO_SOURCE, TRACKING_STAYS
from connectors.keycrm.simulator import SimulatorState, create_app
from connectors.keycrm.simulator_bodies import order_context
from connectors.protocol import Change, PushResult
from tests.conformance.pushing import (
    again,
    changed,
    fingerprints,
    new_article,
    new_customer,
    new_payment,
    push,
    push_all,
    pushed,
    refused,
)
from tests.conformance.pushing import new_order as any_order
from tests.conformance.suite import SECRET, Clock, session
from tests.conformance.test_keycrm_pushing import PushedKeyCrm
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio

ALLOWED: Mapping[str, frozenset[str]] = {
    "POST /order": frozenset(
        [
            "source_id",
            "source_uuid",
            "buyer",
            "manager_comment",
            "discount_amount",
            "shipping_price",
            "ordered_at",
            "shipping",
            "products",
        ]
    ),
    "PUT /order/{id}": frozenset(
        ["buyer_comment", "manager_comment", "status_id", "discount_percent", "discount_amount", "products", "shipping"]
    ),
    "POST /order/{id}/payment": frozenset(
        ["amount", "payment_method_id", "payment_method", "status", "description", "payment_date"]
    ),
    "PUT /order/{id}/payment/{id}": frozenset({"status", "description"}),
    "POST /buyer": frozenset(["full_name", "email", "phone", "note", "custom_fields"]),
    "PUT /buyer/{id}": frozenset(["full_name", "email", "phone", "note", "custom_fields"]),
    "POST /products": frozenset(["name", "description", "currency_code", "sku", "barcode", "price", "purchased_price"]),
    "PUT /products/{id}": frozenset(["name", "description", "sku", "barcode"]),
    "PUT /offers": frozenset({"offers"}),
    "PUT /offers/stocks": frozenset({"warehouse_id", "stocks"}),
}
"""Names that the vendor's specification has for each body."""


@pytest.fixture
def crm() -> Iterator[PushedKeyCrm]:
    state = SimulatorState(api_key=SECRET, clock=Clock(), rate_limit=0)
    with serve(create_app(state)) as url:
        yield PushedKeyCrm(state, f"{url}/v1")
    assert state.writes.twice() == {}
    for logged in state.requests.find():
        if logged.method != "GET" and isinstance(logged.body, dict) and not logged.path.startswith("/wrong"):
            route = f"{logged.method} {'/'.join('{id}' if part.isdigit() else part for part in logged.path.split('/'))}"
            assert set(logged.body) <= ALLOWED[route], route


def new_order(crm: PushedKeyCrm, **data: Any) -> Change:
    """An order of a customer who is not linked, of things that KeyCRM has not in its catalogue."""
    return any_order(crm, new_customer(), None, "cup", None, **data)  # type: ignore[arg-type]


def fingerprint_of(crm: PushedKeyCrm, order_id: str) -> bytes | None:
    """What a webhook about the order as it is now would be known by."""
    return of_order(order_context(crm.state.orders.rows[int(order_id)]))


def options(crm: PushedKeyCrm, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**crm.account().options, **changes}.items() if value is not None}


async def through(
    crm: PushedKeyCrm, changes: Sequence[Change], meddle: Callable[[httpx.Request], httpx.Response | None]
) -> Sequence[PushResult | ConnectorError]:
    """A push during which something happens before a request goes out, or is answered by somebody else."""

    class Meddling(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return meddle(request) or await super().handle_async_request(request)

    async with session(crm.account(), retry_attempts=0, transport=Meddling()) as line:
        return await crm.connector.push(line.http, crm.account(), changes)


# -------------------------------------------------------------------------------------------------------------- orders


async def test_without_a_source_no_order_goes_and_the_sentence_says_what_to_set(crm: PushedKeyCrm) -> None:
    error = await refused(crm, new_order(crm), options=options(crm, source_id=None))
    assert isinstance(error, PermanentError)
    assert error.message == NO_SOURCE
    assert crm.requests() == 0


async def test_an_account_whose_orders_are_all_read_names_the_source_of_those_of_vms(crm: PushedKeyCrm) -> None:
    order = new_order(crm)
    named = options(crm, source_id=None, order_source_id=1)
    result = await pushed(crm, order, options=named)
    assert crm.state.orders.rows[int(result.crm_id)].fields["source_id"] == 1
    found = await pushed(crm, again(order), options=named)
    assert (found.crm_id, found.was_there) == (result.crm_id, True)


async def test_an_order_of_a_customer_who_is_not_linked_brings_the_buyer_along(crm: PushedKeyCrm) -> None:
    first = new_order(crm)
    result = await pushed(crm, first)
    assert crm.customers() == [result.customer_id]
    assert result.customer_id is not None
    assert crm.customer(result.customer_id).phone == first.data["customer"]["phone"]
    second = replace(new_order(crm), data={**new_order(crm).data, "customer": first.data["customer"]})
    assert (await pushed(crm, second)).customer_id == result.customer_id
    assert len(crm.customers()) == 1


async def test_an_order_in_its_first_status_takes_one_write_and_another_takes_two(crm: PushedKeyCrm) -> None:
    assert (await pushed(crm, new_order(crm, status="1"))).requests == 1
    assert (await pushed(crm, new_order(crm, status=None))).requests == 1
    assert (await pushed(crm, new_order(crm, status="5"))).requests == 2
    assert crm.state.writes.statuses == {3: [5]}


async def test_both_webhooks_of_a_new_order_are_known_as_ours(crm: PushedKeyCrm) -> None:
    result = await pushed(crm, new_order(crm))
    [(entity, crm_id, passing)] = result.echoes
    assert (entity, crm_id) == ("order", result.crm_id)
    assert fingerprints(crm, result.crm_id) == [passing, result.fingerprint]


async def test_a_change_hides_nothing_that_somebody_changed_in_the_same_second(crm: PushedKeyCrm) -> None:
    order = new_order(crm)
    order_id = (await pushed(crm, order)).crm_id
    crm.state.update_order(int(order_id), manager_comment="Ring twice")
    told = fingerprint_of(crm, order_id)
    moved = await pushed(crm, changed(order, order_id, address="Харків, Сумська 1"))
    assert fingerprint_of(crm, order_id) == told
    assert (moved.requests, moved.fingerprint) == (1, None)
    # Nor if nothing is left to change, as after a crash behind the request.
    nothing = await pushed(crm, again(changed(order, order_id, address="Харків, Сумська 1")))
    assert (nothing.requests, nothing.fingerprint) == (0, None)
    # What changes the status is told of as it leaves the order.
    crm.webhooks()
    confirmed = await pushed(crm, changed(order, order_id, status="8"))
    assert fingerprints(crm, order_id) == [confirmed.fingerprint]


async def test_a_change_of_a_buyers_note_hides_no_change_of_the_name_in_the_same_second(crm: PushedKeyCrm) -> None:
    customer = new_customer()
    buyer_id = (await pushed(crm, customer)).crm_id
    noted = await pushed(crm, changed(customer, buyer_id, note="Likes blue"))
    assert (noted.requests, noted.fingerprint) == (1, None)
    for name, value in {"full_name": "Olena B", "phone": "+380671112233", "email": "other@example.org"}.items():
        result = await pushed(crm, changed(customer, buyer_id, **{name: value}))
        assert result.fingerprint is not None, name


async def test_where_a_source_takes_an_order_once_a_second_attempt_finds_it_by_the_refusal(crm: PushedKeyCrm) -> None:
    crm.state.source_uuid_policy = "reject"
    order = new_order(crm)
    first = await pushed(crm, order)
    # As after a crash of which nobody knows.
    result = await pushed(crm, order)
    assert (result.crm_id, result.was_there) == (first.crm_id, True)
    assert len(crm.orders()) == 1


async def test_an_order_of_another_source_with_our_key_is_not_ours(crm: PushedKeyCrm) -> None:
    order = new_order(crm)
    crm.state.add_order(source_id=1, source_uuid=order.key, products=[])
    result = await pushed(crm, again(order))
    assert not result.was_there
    assert crm.state.orders.rows[int(result.crm_id)].fields["source_id"] == 2


async def test_the_source_is_compared_here_too_should_keycrm_ignore_its_filter(crm: PushedKeyCrm) -> None:
    order = new_order(crm)
    crm.state.add_order(source_id=1, source_uuid=order.key, products=[])

    def ignore_the_source(request: httpx.Request) -> httpx.Response | None:
        query = request.url.query.replace(b"filter[source_id]", b"filter[no_such_thing]")
        request.url = request.url.copy_with(query=query)
        return None

    [result] = await through(crm, [again(order)], ignore_the_source)
    assert isinstance(result, PushResult)
    assert result.crm_id is not None
    assert crm.state.orders.rows[int(result.crm_id)].fields["source_id"] == 2


async def test_an_order_is_not_made_where_nobody_can_tell_whether_it_is_there(crm: PushedKeyCrm) -> None:
    crm.state.add_order(source_id=2, products=[])

    def ignore_filters(request: httpx.Request) -> httpx.Response | None:
        if request.method == "GET":
            request.url = request.url.copy_with(query=b"limit=50")
        return None

    [error] = await through(crm, [again(new_order(crm))], ignore_filters)
    assert isinstance(error, PermanentError)
    assert "look for it in KeyCRM" in error.message
    assert crm.writes() == 0


async def test_a_status_that_keycrm_refuses_does_not_make_the_order_twice(crm: PushedKeyCrm) -> None:
    order = new_order(crm, status="99")
    result = await pushed(crm, order)
    assert "not in its status" in result.ignored["status"]
    assert list(crm.orders()) == [result.crm_id]
    error = await refused(crm, changed(order, result.crm_id, status="98"))
    assert isinstance(error, PermanentError)
    assert error.request is not None
    assert '{"status_id":98}' in error.request


async def test_an_order_that_was_found_is_brought_up_to_date(crm: PushedKeyCrm) -> None:
    order = new_order(crm)
    crm.fail("order", "drop", is_applied=True)
    assert isinstance(await refused(crm, order), RetryError)
    # Meanwhile vms goes on.
    later = replace(again(order), data={**order.data, "comment": "Терміново", "status": "8"})
    result = await pushed(crm, later)
    assert result.was_there
    seen = crm.order(result.crm_id)
    assert (seen.status, seen.comment) == ("8", "Терміново")
    [put] = crm.state.requests.find("PUT", f"/order/{result.crm_id}")
    assert put.body == {"status_id": 8, "manager_comment": "Терміново"}


async def test_a_tracking_number_that_somebody_sets_meanwhile_stays_and_the_rest_goes(crm: PushedKeyCrm) -> None:
    order = new_order(crm)
    crm_id = (await pushed(crm, order)).crm_id

    def set_one(request: httpx.Request) -> httpx.Response | None:
        known = crm.state.orders.rows[int(crm_id)]
        if request.method == "PUT" and known.shipping["tracking_code"] is None:
            crm.state.update_order(int(crm_id), shipping={**known.shipping, "tracking_code": "theirs"})
        return None

    change = changed(order, crm_id, tracking_number="ours", status="8")
    [result] = await through(crm, [change], set_one)
    assert isinstance(result, PushResult)
    assert result.ignored == {"tracking_number": TRACKING_STAYS}
    assert (crm.order(crm_id).tracking_number, crm.order(crm_id).status) == ("theirs", "8")
    [alone] = await through(crm, [changed(order, crm_id, tracking_number="ours")], lambda _: None)
    assert isinstance(alone, PushResult)
    assert alone.requests == 0


async def test_a_wrong_address_stops_the_project_and_loses_no_order(crm: PushedKeyCrm) -> None:
    address = crm.account().base_url + "/wrong"
    for change in (
        new_order(crm),
        again(new_order(crm)),
        changed(new_order(crm), "7", status="5"),
        changed(new_order(crm), "7", address="Київ"),
        new_customer(),
        changed(new_customer(), "7", note="x"),
        new_article(),
        changed(new_article(), "7", price=Decimal(1)),
    ):
        error = await refused(crm, change, base_url=address)
        assert isinstance(error, ConfigError)
        assert "base_url" in error.message


# ------------------------------------------------------------------------------------------------------------ payments


async def test_a_payment_hides_nothing_that_somebody_changed_of_its_order_in_the_same_second(crm: PushedKeyCrm) -> None:
    order = new_order(crm)
    order_id = (await pushed(crm, order)).crm_id
    await pushed(crm, new_payment(order, order_id))
    crm.webhooks()
    crm.state.update_order(int(order_id), manager_comment="Ring twice")
    told = fingerprint_of(crm, order_id)
    result = await pushed(crm, new_payment(order, order_id))
    assert fingerprint_of(crm, order_id) == told  # the payment changes nothing of it
    assert (result.fingerprint, result.echoes) == (None, ())


async def test_a_payment_tells_what_keycrm_made_of_it(crm: PushedKeyCrm) -> None:
    order = new_order(crm)
    order_id = (await pushed(crm, order)).crm_id
    payment = new_payment(order, order_id, method="Apple Pay")
    result = await pushed(crm, payment)
    method = crm.state.orders.rows[int(order_id)].payments[0]["payment_method_id"]
    assert result.as_crm == {"status": "paid", "method": str(method), "paid_at": payment.data["paid_at"]}
    refund = await pushed(crm, changed(payment, result.crm_id, status="refunded"))
    assert refund.as_crm["status"] == "canceled"
    assert crm.order(order_id).payments == ((Decimal("100.10"), "cancelled"),)


async def test_the_amount_of_a_payment_stays_and_the_reason_is_told(crm: PushedKeyCrm) -> None:
    order = new_order(crm)
    order_id = (await pushed(crm, order)).crm_id
    payment = new_payment(order, order_id)
    crm_id = (await pushed(crm, payment)).crm_id
    writes = crm.writes()
    result = await pushed(crm, changed(payment, crm_id, amount=Decimal(5)))
    assert set(result.ignored) == {"amount"}
    assert (result.requests, crm.writes()) == (0, writes)


async def test_a_payment_whose_order_or_self_is_gone_is_refused_for_good(crm: PushedKeyCrm) -> None:
    order = new_order(crm)
    order_id = (await pushed(crm, order)).crm_id
    payment = new_payment(order, order_id)
    crm_id = (await pushed(crm, payment)).crm_id
    crm.state.delete_payment(int(crm_id))
    for change in (
        changed(payment, crm_id, status="pending"),
        again(changed(payment, crm_id, status="pending")),
        new_payment(order, "987"),
        replace(payment, data={**payment.data, "order": {"crm_id": None, "key": order.key}}),
    ):
        assert isinstance(await refused(crm, change), PermanentError)
    assert crm.order(order_id).payments == ()


# -------------------------------------------------------------------------------------------------------------- buyers


async def test_a_buyer_who_is_there_is_linked_and_loses_nothing(crm: PushedKeyCrm) -> None:
    by_phone = crm.state.add_buyer("Олена", phones=["0501234567", "0441112233"], emails=["o@e.ua"], note="чай")
    by_email = crm.state.add_buyer("Марія", emails=["M@E.ua"])
    found = await pushed(crm, new_customer(full_name="Олена", phone="+380501234567", email=None, note=None))
    assert (found.crm_id, found.was_there, found.requests) == (str(by_phone.id), True, 0)
    assert by_phone.fields["phone"] == ["0501234567", "0441112233"]
    other = await pushed(crm, new_customer(full_name=None, phone="+380671234567", email="m@e.ua", note=None))
    assert (other.crm_id, other.was_there) == (str(by_email.id), True)
    fields = by_email.fields
    assert (fields["full_name"], fields["phone"], fields["email"]) == ("Марія", ["+380671234567"], ["M@E.ua"])
    assert crm.state.writes.buyers == {}


async def test_a_buyer_who_can_be_known_by_nothing_is_not_made_a_second_time(crm: PushedKeyCrm) -> None:
    nameless = new_customer(phone=None, email=None)
    error = await refused(crm, again(nameless))
    assert isinstance(error, PermanentError)
    assert "phone" in error.message
    assert crm.writes() == 0
    assert (await pushed(crm, nameless)).requests == 1


async def test_a_segment_goes_into_the_custom_field_that_the_option_names(crm: PushedKeyCrm) -> None:
    crm.state.add_entry("tags", {"name": "no matter"})
    field = {"id": 1, "uuid": "CT_1", "name": "Segment", "type": "text", "model": "client", "position": 1}
    crm.state.custom_fields.add(type(crm.state.add_tag("x"))(field))
    with_field = options(crm, segment_field="CT_1")
    customer = new_customer(segment="vip")
    crm_id = (await pushed(crm, customer, options=with_field)).crm_id
    result = await pushed(crm, changed(customer, crm_id, segment="vip"), options=with_field)
    assert result.requests == 0
    await pushed(crm, changed(customer, crm_id, segment="new"), options=with_field)
    assert crm.state.buyers.rows[int(crm_id)].custom_fields == [{"uuid": "CT_1", "value": "new"}]


async def test_a_buyers_webhook_is_known_as_ours(crm: PushedKeyCrm) -> None:
    result = await pushed(crm, new_customer())
    row = crm.state.buyers.rows[int(result.crm_id)].fields
    batch = crm.connector.map_webhook(crm.account().context, "buyer-updated", json_of(row), crm.state.clock())
    [reread] = batch.rereads
    assert reread.fingerprint == result.fingerprint is not None


# ------------------------------------------------------------------------------------------------------------ articles


async def test_fifty_articles_change_price_and_stock_in_two_writes(crm: PushedKeyCrm) -> None:
    ids = [crm.add_article(f"cup-{n}", "Чашка", Decimal(1), Decimal(1)) for n in range(50)]
    many = [
        changed(new_article(sku=f"cup-{n}", name="Чашка"), crm_id, price=Decimal(100 + n), stock=Decimal(n + 2))
        for n, crm_id in enumerate(ids)
    ]
    results = await push_all(crm, many)
    assert all(isinstance(result, PushResult) for result in results)
    assert crm.state.requests.by_route() == {"GET /offers/stocks": 1, "PUT /offers": 1, "PUT /offers/stocks": 1}
    assert [crm.article(crm_id).price for crm_id in ids] == [Decimal(100 + n) for n in range(50)]
    assert [crm.article(crm_id).stock for crm_id in ids] == [Decimal(n + 2) for n in range(50)]


async def test_many_new_articles_are_looked_up_together_and_made_one_by_one(crm: PushedKeyCrm) -> None:
    known = crm.add_article("cup-known", "Чашка", Decimal("200.50"), Decimal(7))
    new = [new_article(), new_article(), new_article(sku="cup-known", name="Чашка", description=None)]
    results = await push_all(crm, [replace(article, may_have_been_sent=False) for article in new])
    assert [result.was_there for result in results if isinstance(result, PushResult)] == [False, False, True]
    [_, _, linked] = results
    assert isinstance(linked, PushResult)
    assert linked.crm_id == known
    assert crm.state.requests.by_route() == {
        "GET /offers": 2,
        "GET /offers/stocks": 1,
        "POST /products": 2,
        "PUT /offers": 1,
        "PUT /offers/stocks": 1,
    }


async def test_a_price_that_keycrm_fills_in_is_told_so_that_it_is_no_change_of_its_own(crm: PushedKeyCrm) -> None:
    made = await pushed(crm, new_article(purchased_price=None))
    assert made.as_crm == {"purchased_price": Decimal(0)}
    found = await pushed(crm, again(new_article(sku=crm.article(made.crm_id).sku, purchased_price=None)))
    assert found.as_crm == {"purchased_price": Decimal(0)}
    crm.state.catalog.update_offer(int(made.crm_id), purchased_price=90)
    theirs = await pushed(crm, again(new_article(sku=crm.article(made.crm_id).sku, purchased_price=None)))
    assert theirs.as_crm == {}
    assert (await pushed(crm, new_article())).as_crm == {}


async def test_a_product_that_is_refused_stops_no_other(crm: PushedKeyCrm) -> None:
    wrong = new_article(price=Decimal(-1))
    results = await push_all(crm, [new_article(), wrong, new_article(), new_article(sku="a,b")])
    assert [type(result) for result in results] == [PushResult, PermanentError, PushResult, PermanentError]
    assert isinstance(results[3], PermanentError)
    assert results[3].message == COMMA_IN_SKU
    assert len(crm.articles()) == 2


async def test_a_server_that_fails_at_one_product_makes_the_others(crm: PushedKeyCrm) -> None:
    crm.fail("article", "server_error", skip=1)
    results = await push_all(crm, [new_article() for _ in range(3)])
    assert [type(result) for result in results] == [PushResult, RetryError, PushResult]
    crm.fail("article", "drop", skip=1)
    results = await push_all(crm, [new_article() for _ in range(3)])
    assert [type(result) for result in results] == [PushResult, RetryError, RetryError]


async def test_without_the_option_the_only_warehouse_is_the_one(crm: PushedKeyCrm) -> None:
    crm_id = crm.add_article("cup", "Чашка", Decimal(1), Decimal(3))
    article = new_article(sku="cup")
    unset = options(crm, warehouse_id=None)
    result = await pushed(crm, changed(article, crm_id, stock=Decimal(8)), options=unset)
    assert not result.ignored
    assert crm.article(crm_id).stock == 8
    assert (await pushed(crm, new_article(stock=Decimal(2)), options=unset)).ignored == {}


async def test_of_several_warehouses_none_is_guessed_and_the_rest_is_written(crm: PushedKeyCrm) -> None:
    crm_id = crm.add_article("cup", "Чашка", Decimal(1), Decimal(3))
    second = crm.state.catalog.add_warehouse("Second")
    crm.state.catalog.set_stock(int(crm_id), 4, warehouse_id=second)
    change = changed(new_article(sku="cup"), crm_id, stock=Decimal(9), price=Decimal(2))
    result = await pushed(crm, change, options=options(crm, warehouse_id=None))
    assert result.ignored == {"stock": NO_WAREHOUSE}
    assert (crm.article(crm_id).price, crm.article(crm_id).stock) == (Decimal(2), Decimal(7))
    # Named, it gets what is left of the whole.
    result = await pushed(crm, change, options=options(crm, warehouse_id=second))
    assert not result.ignored
    assert crm.state.catalog.stocks[int(crm_id)] == {1: [3, 0], second: [6, 0]}


async def test_a_warehouse_that_is_not_there_is_one_refusal_for_all(crm: PushedKeyCrm) -> None:
    ids = [crm.add_article(f"cup-{n}", "Чашка", Decimal(1), Decimal(1)) for n in range(3)]
    many = [changed(new_article(sku=f"cup-{n}"), crm_id, stock=Decimal(5)) for n, crm_id in enumerate(ids)]
    results = await push_all(crm, many, options=options(crm, warehouse_id=77))
    assert [type(result) for result in results] == [PermanentError] * 3
    assert isinstance(results[0], PermanentError)
    assert "warehouse id" in results[0].message
    assert crm.writes() == 1


async def test_a_refusal_that_names_nothing_is_tried_row_by_row(crm: PushedKeyCrm) -> None:
    ids = [crm.add_article(f"cup-{n}", "Чашка", Decimal(1), Decimal(1)) for n in range(3)]
    many = [changed(new_article(sku=f"cup-{n}"), crm_id, price=Decimal(5)) for n, crm_id in enumerate(ids)]

    def refuse(request: httpx.Request) -> httpx.Response | None:
        is_wrong = request.method == "PUT" and f'"id":{ids[1]}'.encode() in request.content
        return httpx.Response(422, json={"message": "Something is wrong."}) if is_wrong else None

    results = await through(crm, many, refuse)
    assert [type(result) for result in results] == [PushResult, PermanentError, PushResult]
    assert [crm.article(crm_id).price for crm_id in ids] == [5, 1, 5]


async def test_a_name_is_changed_unless_several_variants_share_it(crm: PushedKeyCrm) -> None:
    single = crm.add_article("cup", "Чашка", Decimal(1), Decimal(1))
    crm.state.catalog.add_product("Футболка", offers=[{"sku": "s", "price": 1}, {"sku": "m", "price": 1}])
    variant = crm.state.catalog.offer_of_sku("m")
    assert variant is not None
    results = await push_all(
        crm,
        [
            changed(new_article(sku="cup"), single, name="Кухоль", barcode="482"),
            changed(new_article(sku="m"), str(variant.id), name="Майка", price=Decimal(3), is_active=False),
        ],
    )
    assert all(isinstance(result, PushResult) for result in results)
    assert [result.ignored for result in results if isinstance(result, PushResult)] == [
        {},
        {"name": SHARED, "is_active": ARCHIVED_BY_HAND},
    ]
    assert (crm.article(single).name, crm.article(str(variant.id)).name) == ("Кухоль", "Футболка")
    assert crm.article(str(variant.id)).price == 3


async def test_an_article_that_is_gone_is_refused_and_the_words_of_an_id_too(crm: PushedKeyCrm) -> None:
    for change in (
        changed(new_article(), "987", stock=Decimal(1)),
        changed(new_article(), "987", name="x"),
        changed(new_article(), "../orders", price=Decimal(1)),
        changed(new_customer(), "987", note="x"),
        changed(new_order(crm), "7/payment", status="5"),
    ):
        assert isinstance(await refused(crm, change), NotFoundError), change
    assert isinstance(await push(crm, changed(new_article(), "987", price=Decimal(1))), PermanentError)


def json_of(row: Mapping[str, Any]) -> str:
    return httpx.Request("POST", "http://x", json=dict(row)).content.decode()
