"""What is RetailCRM's own in writing, over real HTTP against the simulator. What all that write share is in
tests/conformance/pushing.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import retailcrm

from connectors.errors import ConfigError, NotFoundError, PermanentError, RetryError
from connectors.protocol import Change, MappingContext
from connectors.records import Batch, Place
from connectors.retailcrm import connector
from connectors.retailcrm.simulator import SimulatorState, create_app
from tests.conformance.pushing import (
    again,
    changed,
    new_article,
    new_customer,
    new_payment,
    push,
    push_all,
    pushed,
    refused,
)
from tests.conformance.suite import SECRET, Clock, Fault, session
from tests.conformance.test_retailcrm_pushing import PushedRetailCrm
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio


@pytest.fixture
def state() -> SimulatorState:
    return SimulatorState(api_key=SECRET, clock=Clock(), rate_limit=0)


@pytest.fixture
def url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as address:
        yield address


@pytest.fixture
def crm(state: SimulatorState, url: str) -> PushedRetailCrm:
    return PushedRetailCrm(state, url)


@pytest.fixture
def client(url: str) -> Any:
    """The vendor's own."""
    return retailcrm.v5(url, SECRET)


PERSON = {"key": "5b0e3a52-0000-4000-8000-000000000001", "full_name": "Анна Ильина", "phone": "+380501234567"}


def new_order(**data: Any) -> Change:
    """Two cups and an engraving, for a customer that RetailCRM does not have."""
    cup = {"sku": "cup", "name": "Чашка", "quantity": Decimal(2), "price": Decimal("200.50")}
    engraving = {"sku": None, "name": "Гравировка", "quantity": Decimal(1), "price": Decimal(50)}
    values = {
        "number": "A-17",
        "status": "assembling",
        "currency": "RUB",
        "total": Decimal("476.00"),
        "discount": Decimal("10.00"),
        "shipping_price": Decimal("40.00"),
        "comment": "Позвонить",
        "ordered_at": datetime(2026, 3, 2, 8, 30, tzinfo=UTC),
        "items": [
            {**cup, "discount": Decimal("5.00"), "crm_id": None},
            {**engraving, "discount": Decimal("0.00"), "crm_id": None},
        ],
        "customer": {"crm_id": None, "email": "anna@example.com", **PERSON},
        "carrier": None,
        "tracking_number": None,
        "recipient": None,
        "phone": None,
        "address": None,
    }
    fields = frozenset(values) - {"number", "currency", "total", "ordered_at"}
    return Change("order", 17, "5b0e3a52-0000-4000-8000-000000000017", None, {**values, **data}, fields)


async def read(crm: PushedRetailCrm, crm_id: str, stream: str = "orders") -> Batch:
    """As the next pull reads it."""
    async with session(crm.account()) as line:
        record = await connector.read(line.http, crm.account(), stream, crm_id)
    return connector.map_record(crm.account().context, stream, crm_id, record.body)


# -------------------------------------------------------------------------------------------------------------- orders


async def test_the_vendors_client_reads_back_what_was_written(crm: PushedRetailCrm, client: Any) -> None:
    offer_id = crm.add_article("cup", "Чашка белая", Decimal(1), Decimal(1))
    change = new_order(carrier="Курьер", tracking_number="TR1", address="Мясницкая, 1")
    result = await pushed(crm, change)
    order = client.order(change.key).get_response()["order"]
    assert (str(order["id"]), order["number"], order["status"]) == (result.crm_id, "A-17", "assembling")
    assert order["createdAt"] == "2026-03-02 11:30:00"  # in Moscow
    assert (order["firstName"], order["lastName"], order["phone"]) == ("Анна", "Ильина", "+380501234567")
    assert (order["managerComment"], order["discountManualAmount"]) == ("Позвонить", 10)
    assert order["delivery"]["code"] == "courier"
    assert order["delivery"]["cost"] == 40
    assert order["delivery"]["data"] == {"trackNumber": "TR1"}
    assert order["delivery"]["address"] == {"text": "Мясницкая, 1"}
    cup, engraving = order["items"]
    assert (str(cup["offer"]["id"]), cup["quantity"], cup["initialPrice"]) == (offer_id, 2, 200.5)
    assert (engraving["offer"]["name"], engraving["quantity"], engraving["initialPrice"]) == ("Гравировка", 1, 50)
    # 2 x 200.50 + 50 - 5 - 10, but for what rounding the shares to a piece's cent takes away; and 40 for delivery.
    assert order["summ"] == pytest.approx(436, abs=0.02)
    assert order["totalSumm"] == pytest.approx(476, abs=0.02)
    customer = client.customer(PERSON["key"]).get_response()["customer"]
    assert str(customer["id"]) == result.customer_id
    assert customer["email"] == "anna@example.com"


async def test_what_the_next_pull_reads_is_what_was_sent_or_is_told_in_as_crm(crm: PushedRetailCrm) -> None:
    crm.add_article("cup", "Чашка белая", Decimal(1), Decimal(1))
    lines = [{**line, "quantity": Decimal(3), "discount": Decimal("10.00")} for line in new_order().data["items"]]
    change = new_order(carrier="Курьер", items=lines)
    result = await pushed(crm, change)
    [order], [kept] = (batch := await read(crm, result.crm_id)).orders, batch.order_items
    own = sum((item.total_discount or Decimal(0) for item in kept.items), Decimal(0))
    assert (order.total_discount or Decimal(0)) - own == change.data["discount"]
    assert (order.source_uuid, order.status_id, order.manager_comment) == (change.key, "assembling", "Позвонить")
    assert (order.shipping_price, order.delivery_service_id) == (Decimal("40.00"), result.as_crm["carrier"])
    assert (order.recipient_name, order.recipient_phone_e164) == ("Анна Ильина", "+380501234567")
    assert (result.as_crm["recipient"], result.as_crm["phone"]) == ("Анна Ильина", "+380501234567")
    # The offer's name goes before that of the warehouse, and three pieces at 3.33 are no 10.00.
    assert result.as_crm["items"] == [
        {"sku": "cup", "name": "Чашка белая", "quantity": 3, "price": Decimal("200.50"), "discount": Decimal("9.99")},
        {"sku": None, "name": "Гравировка", "quantity": 3, "price": Decimal("50.00"), "discount": Decimal("9.99")},
    ]
    assert [(item.sku, item.name, item.total_discount) for item in kept.items] == [
        (line["sku"], line["name"], line["discount"]) for line in result.as_crm["items"]
    ]


async def test_a_line_that_somebody_added_meanwhile_is_a_change_of_the_crms(
    crm: PushedRetailCrm, state: SimulatorState, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_order = state.add_order

    def with_a_gift(**given: Any) -> dict[str, Any]:
        gift = {"name": "Открытка", "initialPrice": 0, "quantity": 1}
        return add_order(**{**given, "items": [*given["items"], gift]})

    monkeypatch.setattr(state, "add_order", with_a_gift)  # a rule of the account's
    result = await pushed(crm, new_order())
    assert "items" not in result.as_crm


async def test_all_writes_stand_in_the_histories_as_our_own(crm: PushedRetailCrm, state: SimulatorState) -> None:
    order = new_order()
    crm_id = (await pushed(crm, order)).crm_id
    await pushed(crm, changed(order, crm_id, status="complete", tracking_number="TR1"))
    payment = new_payment(order, crm_id)
    payment_id = (await pushed(crm, payment)).crm_id
    await pushed(crm, changed(payment, payment_id, status="refunded"))
    customer = new_customer()
    await pushed(crm, changed(customer, (await pushed(crm, customer)).crm_id, note="пьёт кофе"))
    entries = [*state.order_history.entries, *state.customer_history.entries]
    assert {entry["field"] for entry in entries} >= {"status", "delivery", "payments", "payments.status", "commentary"}
    assert {(entry["source"], entry["apiKey"]["current"]) for entry in entries} == {("api", True)}


async def test_an_order_of_another_attempt_that_nobody_remembers_is_edited(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    order = new_order()
    first = await pushed(crm, order)
    second = await pushed(crm, replace(order, data={**order.data, "status": "complete"}))
    assert (second.crm_id, second.was_there) == (first.crm_id, True)
    assert state.orders[int(first.crm_id)]["status"] == "complete"
    assert state.written.orders == {order.key: 1}


@pytest.mark.parametrize("fault", ["timeout", "server_error", "truncated", "too_many"])
async def test_whatever_happens_to_an_answer_nothing_is_made_twice(
    crm: PushedRetailCrm, state: SimulatorState, fault: Fault
) -> None:
    is_applied = fault != "too_many"
    for path in ("/customers/create", "/orders/create", "/orders/payments/create"):
        state.faults.add(fault, path, method="POST", is_applied=is_applied, seconds=0.1)
    order = new_order()
    assert isinstance(await refused(crm, order), RetryError)  # its customer
    assert isinstance(await refused(crm, again(order)), RetryError)  # itself
    result = await pushed(crm, again(order))
    payment = new_payment(order, result.crm_id)
    assert isinstance(await refused(crm, payment), RetryError)
    await pushed(crm, again(payment))
    assert state.written.twice == {}
    assert (len(state.customers), len(state.orders)) == (1, 1)
    assert len(state.orders[int(result.crm_id)]["payments"]) == 1


async def test_a_payment_is_looked_for_even_when_nobody_remembers_that_it_was_sent(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    order = new_order()
    payment = new_payment(order, (await pushed(crm, order)).crm_id)
    first, second = await pushed(crm, payment), await pushed(crm, payment)
    assert (first.crm_id, first.requests) == (second.crm_id, second.requests + 1)
    assert state.written.payments == {payment.key: 1}


async def test_an_order_that_was_born_at_retailcrm_is_edited_by_its_id(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    born = state.add_order(items=[{"name": "Кружка", "initialPrice": 90, "quantity": 1}], by="user")
    crm_id, number = str(born["id"]), born["number"]
    result = await pushed(crm, changed(new_order(), crm_id, status="complete", comment="готово"))
    assert (result.crm_id, result.was_there) == (crm_id, False)
    order = state.orders[born["id"]]
    assert (order["status"], order["managerComment"], order["number"]) == ("complete", "готово", number)
    assert "externalId" not in order
    [request] = state.requests.find("POST")
    assert (request.path, "by=id" in str(request.body)) == (f"/orders/{crm_id}/edit", True)


async def test_lines_are_replaced_and_those_that_stay_keep_their_ids(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    crm.add_article("cup", "Чашка", Decimal(1), Decimal(1))
    crm.add_article("spoon", "Ложка", Decimal(1), Decimal(1))
    order = new_order()
    crm_id = (await pushed(crm, order)).crm_id
    cup, engraving = order.data["items"]
    before = [item["id"] for item in state.orders[int(crm_id)]["items"]]
    spoon = {**cup, "sku": "spoon", "name": "Ложка", "price": Decimal("30.00"), "discount": Decimal(0)}
    await pushed(crm, changed(order, crm_id, items=[spoon, {**cup, "quantity": Decimal(5)}]))
    items = state.orders[int(crm_id)]["items"]
    assert [(item["offer"].get("article"), item["quantity"]) for item in items] == [("spoon", 2), ("cup", 5)]
    assert items[1]["id"] == before[0]
    assert items[0]["id"] not in before
    writes = crm.writes()
    same = changed(order, crm_id, items=[spoon, {**cup, "quantity": Decimal(5)}])
    assert (await pushed(crm, same)).requests == 0
    assert crm.writes() == writes
    assert engraving["name"] not in [item["offer"]["name"] for item in items]


async def test_an_edit_of_the_delivery_leaves_the_rest_of_it(crm: PushedRetailCrm, state: SimulatorState) -> None:
    order = new_order(carrier="courier", address="Мясницкая, 1")
    crm_id = (await pushed(crm, order)).crm_id
    await pushed(crm, changed(order, crm_id, tracking_number="TR1"))
    assert state.orders[int(crm_id)]["delivery"] == {
        "cost": 40,
        "netCost": 0,
        "code": "courier",
        "address": {"text": "Мясницкая, 1"},
        "data": {"trackNumber": "TR1"},
    }


async def test_a_carrier_is_what_the_settings_call_it(crm: PushedRetailCrm, state: SimulatorState) -> None:
    options = {"delivery_types": {"DHL": "courier"}}
    crm_id = (await pushed(crm, new_order(carrier="DHL"), options=options)).crm_id
    assert state.orders[int(crm_id)]["delivery"]["code"] == "courier"


async def test_a_carrier_that_retailcrm_does_not_know_is_left_out_with_a_reason(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    result = await pushed(crm, new_order(carrier="Ямщик"))
    assert "options.delivery_types" in result.ignored["carrier"]
    assert "code" not in state.orders[int(result.crm_id)]["delivery"]


async def test_articles_that_are_not_clear_are_lines_with_a_name_and_a_reason(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    unknown = await pushed(crm, new_order())
    assert "no article 'cup'" in unknown.ignored["items"]
    assert state.orders[int(unknown.crm_id)]["items"][0]["productName"] == "Чашка"
    for _ in range(2):
        crm.add_article("cup", "Чашка", Decimal(1), Decimal(1))
    second = replace(new_order(), key="5b0e3a52-0000-4000-8000-000000000018")
    assert "2 offers" in (await pushed(crm, second)).ignored["items"]


async def test_a_customer_cannot_be_taken_off_an_order(crm: PushedRetailCrm, state: SimulatorState) -> None:
    order = new_order()
    result = await pushed(crm, order)
    edited = await pushed(crm, changed(order, result.crm_id, customer=None))
    assert list(edited.ignored) == ["customer"]
    assert edited.requests == 0
    assert state.orders[int(result.crm_id)]["customer_id"] == int(result.customer_id or 0)


async def test_what_the_crm_has_deleted_is_told_as_such(crm: PushedRetailCrm, state: SimulatorState) -> None:
    order = new_order()
    crm_id = (await pushed(crm, order)).crm_id
    state.delete_order(int(crm_id))
    error = await refused(crm, changed(order, crm_id, status="complete"))
    assert isinstance(error, NotFoundError)
    assert f"no order {crm_id} any more" in error.message
    assert await refused(crm, new_payment(order, crm_id))


async def test_a_key_of_several_shops_needs_the_option_site(crm: PushedRetailCrm, state: SimulatorState) -> None:
    state.add_site("second", "Второй")
    error = await refused(crm, new_order(customer=None))
    assert isinstance(error, ConfigError)
    assert "options.site" in error.message
    result = await pushed(crm, new_order(customer=None), options={"site": "second"})
    assert state.orders[int(result.crm_id)]["site"] == "second"


async def test_the_accounts_zone_is_that_of_its_settings_and_is_asked_for_once(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    context = MappingContext("shop", timezone="UTC", places={"": Place("", timezone="Asia/Almaty")})
    crm_id = (await pushed(crm, new_order(), context=context)).crm_id
    assert state.orders[int(crm_id)]["createdAt"] == "2026-03-02 13:30:00"  # since 2024 five hours before UTC
    assert state.requests.count("GET", "/settings") == 0
    orders = [replace(new_order(), key=f"5b0e3a52-0000-4000-8000-00000000010{n}") for n in range(3)]
    await push_all(crm, orders)
    assert state.requests.count("GET", "/settings") == 1
    assert {state.orders[crm_id]["createdAt"] for crm_id in (2, 3, 4)} == {"2026-03-02 11:30:00"}


# ------------------------------------------------------------------------------------------------- payments, customers


@pytest.mark.parametrize(
    ("word", "code"), [("paid", "paid"), ("pending", "not-paid"), ("cancelled", "canceled"), ("refunded", "returned")]
)
async def test_a_payment_has_the_accounts_own_codes(
    crm: PushedRetailCrm, state: SimulatorState, word: str, code: str
) -> None:
    order = new_order()
    order_id = (await pushed(crm, order)).crm_id
    result = await pushed(crm, new_payment(order, order_id, status=word, method="card"))
    [payment] = state.orders[int(order_id)]["payments"].values()
    assert (payment["status"], payment["type"], payment["amount"]) == (code, "bank-card", 100.1)
    assert payment["paidAt"] == "2026-03-02 12:15:00"
    assert result.as_crm.get("status", word) == code
    assert result.as_crm["method"] == "bank-card"


async def test_where_there_is_no_status_for_it_a_cancelled_payment_is_at_least_not_paid(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    del state.payment_statuses["canceled"]
    order = new_order()
    order_id = (await pushed(crm, order)).crm_id
    payment = new_payment(order, order_id)
    crm_id = (await pushed(crm, payment)).crm_id
    result = await pushed(crm, changed(payment, crm_id, status="cancelled"))
    assert result.as_crm == {"status": "not-paid"}
    assert state.orders[int(order_id)]["prepaySum"] == 0


async def test_a_method_without_a_type_is_written_as_the_first_with_a_reason(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    order = new_order()
    order_id = (await pushed(crm, order)).crm_id
    result = await pushed(crm, new_payment(order, order_id, method="бартер"))
    assert "options.payment_types" in result.ignored["method"]
    assert state.orders[int(order_id)]["payments"][int(result.crm_id)]["type"] == "bank-card"
    assert not (await pushed(crm, new_payment(order, order_id, method="Наличные"))).ignored


async def test_a_customer_is_found_by_phone_or_e_mail_and_completed(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    by_phone = state.add_customer("Мария", phones=["8 (000) 1", "+38 (067) 111-22-33"], email="old@example.com")
    by_email = state.add_customer("Марія", email="Maria@Example.com")
    result = await pushed(crm, new_customer(full_name="Марія Коваль", phone="+380671112233", email=None, note=None))
    assert (result.crm_id, result.was_there) == (str(by_phone["id"]), True)
    row = state.customers[by_phone["id"]]
    assert (row["firstName"], row["lastName"]) == ("Марія", "Коваль")
    assert row["email"] == "old@example.com"  # the warehouse knows none, and takes none away
    assert [phone["number"] for phone in row["phones"]] == ["+380671112233", "8 (000) 1"]
    found = await pushed(crm, new_customer(email="maria@example.com"))
    assert (found.crm_id, found.was_there) == (str(by_email["id"]), True)
    assert not state.written.customers


async def test_a_customer_of_another_key_is_somebody_else(crm: PushedRetailCrm, state: SimulatorState) -> None:
    first = await pushed(crm, new_customer(phone="+380671112233"))
    second = await pushed(crm, new_customer(phone="+380671112233"))
    assert first.crm_id != second.crm_id
    assert len(state.customers) == 2


async def test_another_phone_replaces_the_former_and_leaves_the_rest(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    row = state.add_customer("Мария", phones=["+38 (067) 111-22-33", "+380509999999"])
    change = changed(new_customer(phone="+380671112233"), str(row["id"]), phone="+380500000001")
    await pushed(crm, change)
    assert [phone["number"] for phone in row["phones"]] == ["+380500000001", "+380509999999"]


async def test_a_segment_needs_the_option_that_names_its_field(crm: PushedRetailCrm, state: SimulatorState) -> None:
    first = await pushed(crm, new_customer(segment="vip"))
    assert state.customers[int(first.crm_id)]["customFields"] == {"segment": "vip"}
    second = await pushed(crm, new_customer(segment="vip"), options={})
    assert "options.segment_field" in second.ignored["segment"]
    assert not (await pushed(crm, new_customer(segment=None), options={})).ignored


async def test_what_is_written_in_another_form_is_told(crm: PushedRetailCrm) -> None:
    result = await pushed(crm, new_customer(full_name="Марія  Коваль", email="Maria@Example.com"))
    assert result.as_crm == {"full_name": "Марія Коваль", "email": "maria@example.com"}
    [customer] = (await read(crm, result.crm_id, "customers")).customers
    assert (customer.full_name, customer.email) == ("Марія Коваль", "maria@example.com")


# ------------------------------------------------------------------------------------------------------------ articles


async def test_an_article_that_the_catalogue_lacks_is_left_out_with_a_reason(
    crm: PushedRetailCrm, state: SimulatorState
) -> None:
    crm.add_article("cup", "Чашка", Decimal(1), Decimal(1))
    missing, known = await push_all(crm, [new_article(sku="mug"), new_article(sku="cup")])
    assert not isinstance(missing, Exception)
    assert (missing.crm_id, missing.requests) == (None, 0)
    assert all("no article 'mug'" in why for why in missing.ignored.values())
    assert not isinstance(known, Exception)
    assert (known.crm_id, known.was_there) == ("1001", True)
    # What the shop's feed says of it stays there, and what the warehouse says stays here.
    assert (sorted(known.ignored), known.as_crm) == (["description", "name"], {"name": "Чашка"})
    assert (state.written.stocks, state.written.prices) == ({1001: 1}, {1001: 1})


async def test_the_catalogue_is_read_once_for_many_articles(
    crm: PushedRetailCrm, state: SimulatorState, client: Any
) -> None:
    for number in range(251):
        crm.add_article(f"cup-{number}", "Чашка", Decimal(1), Decimal(1))
    changes = [new_article(sku=f"cup-{number}", price=Decimal(number), stock=Decimal(number)) for number in range(251)]
    async with session(crm.account()) as line:
        await connector.push(line.http, crm.account(), changes[:250])
        await connector.push(line.http, crm.account(), changes[250:])
    listed = [request for request in state.requests.find("GET", "/store/offers") if "page" in request.params]
    assert [request.params["page"] for request in listed] == ["1", "2"]
    assert crm.writes() == 4
    offers = client.inventories({"details": 1}, 250, 2).get_response()["offers"]
    assert [(offer["id"], offer["quantity"]) for offer in offers] == [(1251, 250)]
    assert crm.article("1001").price == 0


async def test_the_shops_own_fields_of_an_article_are_left_to_the_shop(crm: PushedRetailCrm) -> None:
    crm_id = crm.add_article("cup", "Чашка", Decimal(1), Decimal(1))
    result = await pushed(crm, changed(new_article(sku="cup"), crm_id, name="Кубок", price=Decimal(5)))
    assert list(result.ignored) == ["name"]
    assert crm.article(crm_id).name == "Чашка"
    assert crm.article(crm_id).price == 5


async def test_a_stock_needs_a_store_where_there_are_several(crm: PushedRetailCrm, state: SimulatorState) -> None:
    crm_id = crm.add_article("cup", "Чашка", Decimal(1), Decimal(1))
    stock = changed(new_article(sku="cup"), crm_id, stock=Decimal(4))
    await pushed(crm, stock, options={})
    assert crm.article(crm_id).stock == 4  # the only store there is
    state.store.stores.append({"code": "second", "name": "Второй склад", "active": True})
    result = await pushed(crm, stock, options={})
    assert "options.store" in result.ignored["stock"]
    await pushed(crm, stock, options={"store": "second"})
    [offer] = state.store.offers.values()
    assert {row["store"]: row["quantity"] for row in offer["stores"]} == {"main": 4, "second": 4}


async def test_a_refusal_is_of_the_change_that_it_concerns(crm: PushedRetailCrm) -> None:
    good, bad = new_order(), new_order(status="no-such-status")
    bad = replace(bad, key="5b0e3a52-0000-4000-8000-000000000018")
    first, second = await push_all(crm, [bad, good])
    assert isinstance(first, PermanentError)
    assert "no-such-status" in first.message
    assert '"managerComment":"Позвонить"' in (first.request or "")  # for people, not as the form has it
    assert "Order is not loaded" in (first.answer or "")
    assert not isinstance(second, Exception)
    assert isinstance(await push(crm, bad), PermanentError)
