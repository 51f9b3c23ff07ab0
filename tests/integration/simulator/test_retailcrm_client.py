"""The vendor's own Python client runs unchanged against the simulator: the proof that this behaves like the vendor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import retailcrm

from connectors.retailcrm.simulator import SimulatorState, create_app
from tests.support.http_server import serve

KEY = "key-of-the-account"
MORNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""Noon in Moscow."""


@pytest.fixture
def state() -> SimulatorState:
    return SimulatorState(api_key=KEY, clock=lambda: MORNING, rate_limit=0)


@pytest.fixture
def url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as address:
        yield address


@pytest.fixture
def client(url: str) -> Any:
    return retailcrm.v5(url, KEY)


def test_the_client_learns_versions_rights_and_settings(client: Any) -> None:
    assert client.api_versions().get_response() == {"success": True, "versions": ["3.0", "4.0", "5.0"]}
    credentials = client.api_credentials().get_response()
    assert credentials["siteAccess"] == "access_full"
    assert "order_read" in credentials["scopes"]
    assert client.system_info().get_response()["publicUrl"] == "https://demo.retailcrm.ru"
    settings = client.settings().get_response()["settings"]
    assert (settings["timezone"]["value"], settings["default_currency"]["value"]) == ("Europe/Moscow", "RUB")


def test_a_wrong_key_is_a_403_with_the_vendors_words(url: str) -> None:
    response = retailcrm.v5(url, "another").orders()
    assert (response.get_status_code(), response.is_successful()) == (403, False)
    assert response.get_error_msg() == 'Wrong "apiKey" value.'
    assert response.get_errors() == {}


def test_no_key_is_a_400(url: str) -> None:
    response = retailcrm.v5(url, "").orders()
    assert (response.get_status_code(), response.get_error_msg()) == (400, '"apiKey" is missing.')


def test_an_order_is_created_read_edited_and_paid(client: Any, state: SimulatorState) -> None:
    created_customer = client.customer_create(
        {"externalId": "c-1", "firstName": "Анна", "phones": [{"number": "+79161234567"}], "email": "anna@example.com"}
    )
    assert created_customer.get_status_code() == 201
    created = client.order_create(
        {
            "externalId": "A-9",
            "firstName": "Анна",
            "customer": {"externalId": "c-1"},
            "items": [{"initialPrice": 199.5, "quantity": 2, "productName": "Чашка"}],
            "delivery": {"code": "courier", "cost": 300},
            "source": {"source": "google"},
        }
    )
    assert created.get_status_code() == 201
    body = created.get_response()
    assert (body["id"], body["order"]["status"], body["order"]["payments"]) == (1, "new", [])
    order = client.order("A-9").get_response()["order"]
    assert (order["summ"], order["totalSumm"], order["prepaySum"]) == (399, 699, 0)
    assert order["createdAt"] == "2026-03-02 12:00:00"
    assert order["source"] == {"source": "google"}
    assert client.orders_history().get_response()["history"][0]["source"] == "api"
    assert order["customer"]["phones"] == [{"number": "+79161234567"}]
    assert client.order_edit({"externalId": "A-9", "status": "assembling"}).get_response()["id"] == 1
    payment = client.order_payment_create(
        {"order": {"externalId": "A-9"}, "type": "cash", "amount": 699, "externalId": "p-1"}
    )
    assert payment.get_status_code() == 201
    assert client.order_payment_edit({"externalId": "p-1", "status": "paid"}).is_successful()
    paid = client.order(1, "id").get_response()["order"]
    assert paid["fullPaidAt"] == "2026-03-02 12:00:00"
    assert paid["payments"]["1"]["status"] == "paid"
    assert client.orders_statuses([1], []).get_response()["orders"] == [
        {"id": 1, "externalId": "A-9", "status": "assembling", "group": "assembling"}
    ]
    assert client.order_payment_delete(1).is_successful()
    assert client.order("A-9").get_response()["order"]["payments"] == []
    assert state.customers[1]["firstName"] == "Анна"


def test_a_second_order_of_one_external_id_is_refused(client: Any) -> None:
    assert client.order_create({"externalId": "A-9"}).get_status_code() == 201
    again = client.order_create({"externalId": "A-9"})
    assert (again.get_status_code(), again.get_error_msg()) == (400, "Order already exists.")


def test_an_order_of_an_unknown_customer_is_not_loaded(client: Any) -> None:
    refused = client.order_create({"externalId": "A-9", "customer": {"externalId": "nobody"}})
    assert (refused.get_status_code(), refused.get_error_msg()) == (400, "Order is not loaded")
    assert refused.get_errors() == {"customer.externalId": "Customer with externalId=nobody not found."}


def test_an_unknown_order_is_a_404(client: Any) -> None:
    missing = client.order("nobody")
    assert (missing.get_status_code(), missing.get_error_msg()) == (404, "Not found")


def test_an_internal_id_needs_by_id(client: Any, state: SimulatorState) -> None:
    state.add_order(externalId="A-9")
    assert client.order(1).get_status_code() == 404
    assert client.order(1, "id").get_status_code() == 200


def test_an_upload_loads_what_it_can(client: Any) -> None:
    client.order_create({"externalId": "A-1"})
    response = client.orders_upload([{"externalId": "A-1"}, {"externalId": "A-2"}])
    assert (response.get_status_code(), response.get_error_msg()) == (460, "Orders are loaded with errors")
    assert response.get_response()["failedOrders"] == [{"externalId": "A-1"}]
    assert response.get_response()["uploadedOrders"] == [{"id": 2, "externalId": "A-2"}]
    many = client.customers_upload([{"externalId": f"c-{index}", "firstName": "Н"} for index in range(3)])
    assert [row["id"] for row in many.get_response()["uploadedCustomers"]] == [1, 2, 3]
    assert client.customers_upload([{"firstName": "Н"}] * 51).get_status_code() == 400


def test_external_ids_are_given_to_orders_that_the_crm_made(client: Any, state: SimulatorState) -> None:
    order = state.add_order(by="user")
    assert client.orders_fix_external_ids([{"id": order["id"], "externalId": "A-7"}]).is_successful()
    assert client.order("A-7").get_response()["order"]["id"] == order["id"]


def test_a_shop_must_be_named_where_there_are_several(client: Any, state: SimulatorState) -> None:
    state.add_site("second", "Второй")
    refused = client.order_create({"externalId": "A-9"})
    assert (refused.get_status_code(), refused.get_error_msg()) == (400, "Parameter 'site' is missing")
    assert client.order_create({"externalId": "A-9"}, "second").get_response()["order"]["site"] == "second"


def test_lists_come_in_pages_of_legal_sizes(client: Any, state: SimulatorState) -> None:
    for _ in range(41):
        state.add_order()
    first = client.orders().get_response()
    assert first["pagination"] == {"limit": 20, "totalCount": 41, "currentPage": 1, "totalPageCount": 3}
    assert len(client.orders(limit=20, page=3).get_response()["orders"]) == 1
    refused = client.orders(limit=30)
    assert (refused.get_status_code(), refused.get_error_msg()) == (400, "Errors in the input parameters")


def test_lists_are_filtered(client: Any, state: SimulatorState) -> None:
    state.add_site("second", "Второй")
    state.add_order(externalId="A-1", at=datetime(2026, 2, 1, 9, 0, tzinfo=UTC))
    state.add_order(externalId="A-2", site="second", status="complete")
    state.add_order(externalId="A-3")

    def found(filters: dict[str, Any]) -> list[str]:
        return [order["externalId"] for order in client.orders(filters).get_response()["orders"]]

    assert found({"ids": [1, 3]}) == ["A-3", "A-1"]
    assert found({"sites": ["second"]}) == ["A-2"]
    assert found({"extendedStatus": ["complete"]}) == ["A-2"]
    assert found({"createdAtTo": "2026-02-01"}) == ["A-1"]
    assert found({"createdAtFrom": "2026-02-02"}) == ["A-3", "A-2"]
    bad = client.orders({"createdAtFrom": "soon"})
    assert (bad.get_status_code(), list(bad.get_errors())) == (400, ["children[createdAtFrom]"])


def test_the_history_tells_of_each_changed_field_and_refuses_pages_after_an_id(
    client: Any, state: SimulatorState
) -> None:
    order = state.add_order(externalId="A-9")
    state.change_status(order["id"], "assembling")
    state.update_order(order["id"], managerComment="осторожно")
    state.add_payment(order["id"], 5)
    state.delete_order(order["id"])
    history = client.orders_history().get_response()["history"]
    assert [entry["field"] for entry in history] == ["status", "status", "manager_comment", "payments", "id"]
    assert [entry["id"] for entry in history] == [701, 702, 703, 704, 705]
    assert history[0]["created"] is True
    assert "items" in history[0]["order"]
    assert history[1]["order"] == {"id": 1, "externalId": "A-9", "site": "shop", "status": "assembling"}
    assert (history[1]["oldValue"], history[1]["newValue"]) == ({"code": "new"}, {"code": "assembling"})
    assert history[4]["deleted"] is True
    # This client sends a page with everything: after an id that has been refused since May 2023.
    refused = client.orders_history({"sinceId": 703})
    assert refused.get_status_code() == 400


def test_dictionaries_are_keyed_by_code_or_are_lists(client: Any) -> None:
    statuses = client.statuses().get_response()["statuses"]
    assert statuses["send-to-delivery"]["group"] == "delivery"
    assert client.sites().get_response()["sites"]["shop"]["currency"] == "RUB"
    assert client.payment_statuses().get_response()["paymentStatuses"]["paid"]["paymentComplete"] is True
    assert "cash" in client.payment_types().get_response()["paymentTypes"]
    assert "courier" in client.delivery_types().get_response()["deliveryTypes"]
    assert client.stores().get_response()["stores"][0]["code"] == "main"
    assert client.couriers().get_response()["couriers"] == []


def test_stocks_and_prices_are_set_absolutely(client: Any, state: SimulatorState) -> None:
    offer = state.store.add_product("Чашка", 200, article="cup", quantity=9)
    uploaded = client.inventories_upload(
        [{"externalId": "p1", "stores": [{"code": "main", "available": 4}]}, {"externalId": "p7", "stores": []}]
    ).get_response()
    assert (uploaded["processedOffersCount"], uploaded["notFoundOffers"]) == (1, [{"externalId": "p7"}])
    [stock] = client.inventories({"details": 1}, 250).get_response()["offers"]
    assert (stock["id"], stock["quantity"], stock["stores"][0]["quantity"]) == (offer["id"], 4, 4)
    client.prices_upload([{"externalId": "p1", "prices": [{"code": "base", "price": 210}]}])
    [product] = client.products().get_response()["products"]
    assert (product["minPrice"], product["quantity"]) == (210, 4)


def test_customers_are_filtered_edited_and_have_a_history(client: Any, state: SimulatorState) -> None:
    state.add_customer("Анна", externalId="c-1", phones=["+79161234567"])
    state.add_customer("Пётр", externalId="c-2")
    assert client.customer_edit({"externalId": "c-1", "lastName": "Ильина"}).is_successful()
    assert [row["id"] for row in client.customers({"ids": [1]}).get_response()["customers"]] == [1]
    assert client.customer("c-1").get_response()["customer"]["lastName"] == "Ильина"
    state.delete_customer(2, combined_to=1)
    history = client.customers_history().get_response()["history"]
    assert [(entry["field"], entry["customer"]["id"]) for entry in history] == [
        ("id", 1),
        ("id", 2),
        ("last_name", 1),
        ("id", 2),
    ]
    assert history[3]["combinedTo"] == {"id": 1}


def test_too_many_requests_are_a_503(url: str, state: SimulatorState) -> None:
    state.throttle.requests, state.throttle.seconds = 1, 3600.0
    client = retailcrm.v5(url, KEY)
    assert client.statuses().is_successful()
    refused = client.statuses()
    assert (refused.get_status_code(), refused.get_error_msg()) == (503, "Rate limit exceeded")


def test_an_unknown_method_is_a_404_of_its_own(client: Any) -> None:
    missing = client.user_groups()
    assert (missing.get_status_code(), missing.get_error_msg()) == (404, "API method not found")
