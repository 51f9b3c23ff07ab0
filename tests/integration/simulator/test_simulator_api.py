"""The simulated KeyCRM API over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from connectors.keycrm.simulator import SimulatorState, create_app
from connectors.keycrm.simulator_defaults import EMPTY_ORDER
from connectors.keycrm.simulator_records import Record
from tests.support.http_server import serve

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BUYER = {"full_name": "Олена Приклад 🙂", "phone": "+380500000001", "email": "olena@example.com"}


@pytest.fixture
def state() -> SimulatorState:
    return SimulatorState(api_key="right-key", clock=lambda: NOON, rate_limit=0)


@pytest.fixture
def api(state: SimulatorState) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer right-key", "Accept": "application/json"}
    with serve(create_app(state)) as url, httpx.Client(base_url=f"{url}/v1", headers=headers, timeout=10) as client:
        yield client


def _ids(response: httpx.Response) -> list[int]:
    assert response.status_code == 200, response.text
    return [row["id"] for row in response.json()["data"]]


def _add_orders(state: SimulatorState, count: int) -> None:
    """Orders 1..count, one a minute until noon."""
    for position in range(count):
        state.add_order(at=NOON - timedelta(minutes=count - position), announce=False)


# ----------------------------------------------------------------------------------------------- keys, paths, headers


def test_a_wrong_or_missing_key_is_unauthenticated(api: httpx.Client, state: SimulatorState) -> None:
    for headers in ({"Authorization": "Bearer wrong-key"}, {"Authorization": ""}):
        response = api.get("/users", headers=headers)
        assert response.status_code == 401
        assert response.json() == {"message": "Unauthenticated."}
    assert state.requests.count("GET", "/users", status=401) == 2


def test_the_key_chooses_the_account() -> None:
    first, second = SimulatorState(api_key="first"), SimulatorState(api_key="second")
    second.add_order()
    with serve(create_app(first, second)) as url:
        for key, total in (("first", 0), ("second", 1)):
            response = httpx.get(f"{url}/v1/order", headers={"Authorization": f"Bearer {key}"})
            assert response.json()["total"] == total
    assert (first.requests.total, second.requests.total) == (1, 1)


def test_the_health_probe_shows_one_user(api: httpx.Client) -> None:
    body = api.get("/users", params={"limit": 1}).json()
    assert body["data"][0]["email"] == "owner@example.com"


def test_the_date_header_is_the_accounts_clock_and_comes_once(api: httpx.Client) -> None:
    response = api.get("/users")
    assert response.headers.get_list("date") == ["Mon, 02 Mar 2026 12:00:00 GMT"]


def test_a_path_that_does_not_exist_is_a_page_of_nginx(api: httpx.Client) -> None:
    response = api.get("/orders")
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/html")
    assert "<h1>404 Not Found</h1>" in response.text


def test_a_method_that_does_not_exist_is_a_405(api: httpx.Client) -> None:
    response = api.delete("/users")
    assert response.status_code == 405
    assert response.json() == {"message": "The DELETE method is not supported for route v1/users."}


def test_an_object_that_does_not_exist_is_a_404_with_a_message(api: httpx.Client) -> None:
    for path in ("/order/99", "/buyer/99", "/products/99", "/order/abc"):
        response = api.get(path)
        assert response.status_code == 404
        assert list(response.json()) == ["message"]


# ------------------------------------------------------------------------------------------------------------- paging


def test_the_envelope_is_laravels_and_its_urls_forget_the_filters(api: httpx.Client, state: SimulatorState) -> None:
    _add_orders(state, 40)
    body = api.get("/order", params={"page": 2, "sort": "id", "filter[status_id]": "1"}).json()
    assert [row["id"] for row in body["data"]] == list(range(16, 31))
    assert (body["total"], body["per_page"], body["current_page"], body["last_page"]) == (40, 15, 2, 3)
    assert (body["from"], body["to"]) == (16, 30)
    path = f"{api.base_url}order"
    assert body["path"] == path
    assert body["next_page_url"] == f"{path}?page=3"
    assert body["prev_page_url"] == body["first_page_url"] == f"{path}?page=1"
    assert body["last_page_url"] == f"{path}?page=3"
    assert [link["label"] for link in body["links"]] == ["&laquo; Previous", "1", "2", "3", "Next &raquo;"]


def test_the_last_page_has_no_next_and_a_page_behind_it_is_empty(api: httpx.Client, state: SimulatorState) -> None:
    _add_orders(state, 20)
    assert api.get("/order", params={"page": 2}).json()["next_page_url"] is None
    behind = api.get("/order", params={"page": 3}).json()
    assert (behind["data"], behind["from"], behind["to"], behind["total"]) == ([], None, None, 20)
    empty = api.get("/buyer").json()
    assert (empty["data"], empty["last_page"], empty["next_page_url"]) == ([], 1, None)


@pytest.mark.parametrize("page", ["0", "-1", "x", ""])
def test_a_page_that_is_none_is_the_first(api: httpx.Client, state: SimulatorState, page: str) -> None:
    _add_orders(state, 3)
    assert api.get("/order", params={"page": page}).json()["current_page"] == 1


@pytest.mark.parametrize("limit", ["51", "0", "ten"])
def test_a_limit_out_of_bounds_is_a_422(api: httpx.Client, limit: str) -> None:
    response = api.get("/order", params={"limit": limit})
    assert response.status_code == 422
    assert list(response.json()["errors"]) == ["limit"]


def test_a_limit_over_50_may_be_taken_as_50(api: httpx.Client, state: SimulatorState) -> None:
    state.limit_policy = "clamp"
    _add_orders(state, 60)
    body = api.get("/order", params={"limit": 250}).json()
    assert (body["per_page"], len(body["data"]), body["last_page"]) == (50, 50, 2)


def test_sorting_goes_both_ways_and_by_time(api: httpx.Client, state: SimulatorState) -> None:
    _add_orders(state, 4)
    state.update_order(2, buyer_comment="later")
    assert _ids(api.get("/order", params={"sort": "id"})) == [1, 2, 3, 4]
    assert _ids(api.get("/order", params={"sort": "-id"})) == [4, 3, 2, 1]
    assert _ids(api.get("/order", params={"sort": "updated_at"})) == [1, 3, 4, 2]
    assert _ids(api.get("/order", params={"sort": "-created_at"})) == [4, 3, 2, 1]
    assert _ids(api.get("/order")) == [4, 3, 2, 1]
    state.default_order_sort = "id"
    assert _ids(api.get("/order")) == [1, 2, 3, 4]
    response = api.get("/order", params={"sort": "price"})
    assert response.status_code == 400
    assert response.json()["message"].startswith("Requested sort(s) `price` is not allowed.")


# ------------------------------------------------------------------------------------------------------------ filters


def test_updated_between_is_inclusive_and_reads_utc(api: httpx.Client, state: SimulatorState) -> None:
    _add_orders(state, 5)
    for text in (
        "2026-03-02 11:56:00,2026-03-02 11:58:00",
        "2026-03-02 11:56:00, 2026-03-02 11:58:00",
        "2026-03-02T11:56:00.000000Z,2026-03-02T13:58:00+02:00",
    ):
        assert _ids(api.get("/order", params={"filter[updated_between]": text, "sort": "updated_at"})) == [2, 3, 4]
    for wrong in ("2026-03-02", "yesterday,today", "2026-03-02 00:00:00,", ""):
        response = api.get("/order", params={"filter[updated_between]": wrong})
        assert response.status_code == 422, wrong


def test_created_between_selects_by_ordered_at(api: httpx.Client, state: SimulatorState) -> None:
    state.add_order(at=NOON, ordered_at=NOON - timedelta(days=9))
    state.add_order(at=NOON, ordered_at=NOON)
    old = {"filter[created_between]": "2026-02-21 00:00:00,2026-02-22 00:00:00"}
    assert _ids(api.get("/order", params=old)) == [1]
    both = old | {"filter[updated_between]": "2026-03-02 00:00:00,2026-03-03 00:00:00"}
    assert _ids(api.get("/order", params=both)) == [1]


def test_brackets_may_be_plain_or_encoded_unless_the_account_ignores_encoded_ones(
    api: httpx.Client, state: SimulatorState
) -> None:
    state.add_order(status_id=1)
    state.add_order(status_id=5)
    assert _ids(api.get("/order?filter[status_id]=5")) == [2]
    assert _ids(api.get("/order?filter%5Bstatus_id%5D=5")) == [2]
    assert _ids(api.get("/order?filter[status_id][]=5&filter[status_id][]=1&sort=id")) == [1, 2]
    state.reads_encoded_brackets = False
    assert _ids(api.get("/order?filter%5Bstatus_id%5D=5&sort=id")) == [1, 2]


def test_an_unknown_filter_changes_nothing(api: httpx.Client, state: SimulatorState) -> None:
    _add_orders(state, 2)
    params = {"filter[warehouse_id]": "7", "filter[created_at_from]": "2030-01-01", "filter[": "x", "sort": "id"}
    assert _ids(api.get("/order", params=params)) == [1, 2]


def test_order_filters_take_comma_lists_and_combine(api: httpx.Client, state: SimulatorState) -> None:
    buyer = state.add_buyer("Buyer", phones=["+38 (050) 000-00-01"], emails=["Buyer@example.com"])
    mug = {"name": "Mug", "price": 10}
    state.add_order(status_id=1, source_id=1, source_uuid="A-1", products=[mug])
    state.add_order(status_id=5, source_id=2, products=[mug], payments=[{"amount": 10, "status": "paid"}])
    state.add_order(status_id=12, source_id=2, source_uuid="A-3", buyer=buyer, products=[mug])
    state.update_order(
        3, shipping=state.orders.rows[3].shipping | {"tracking_code": "TT1", "shipping_date_actual": "2026-03-05"}
    )
    expected = {
        "filter[status_id]": ("1, 12", [1, 3]),
        "filter[source_id]": ("2", [2, 3]),
        "filter[source_uuid]": ("A-1,A-3", [1, 3]),
        "filter[payment_status]": ("paid,overpaid", [2]),
        "filter[has_tracking_code]": ("true", [3]),
        "filter[buyer_phone]": ("380500000001", [3]),
        "filter[buyer_email]": ("buyer@EXAMPLE.com", [3]),
        "filter[shipping_between]": ("2026-03-05 00:00:00,2026-03-05 23:59:59", [3]),
    }
    for name, (text, ids) in expected.items():
        assert _ids(api.get("/order", params={name: text, "sort": "id"})) == ids, name
    assert _ids(api.get("/order", params={"filter[has_tracking_code]": "0", "sort": "id"})) == [1, 2]
    assert _ids(api.get("/order", params={"filter[source_id]": "2", "filter[status_id]": "5"})) == [2]


# ----------------------------------------------------------------------------------------------------- what orders show


def test_an_order_is_bare_and_shows_what_was_included_alone(api: httpx.Client, state: SimulatorState) -> None:
    buyer = state.add_buyer("Buyer", phones=["+380500000001", "+380500000002"], emails=["b@example.com"])
    state.catalog.add_product("Mug", sku="MUG", price=200.5)
    state.add_order(buyer=buyer, products=[{"sku": "MUG", "quantity": 2}], manager_id=1)
    plain = api.get("/order/1").json()
    assert plain.keys() == EMPTY_ORDER.keys()
    assert plain["grand_total"] == 401
    assert plain["updated_at"] == "2026-03-02T12:00:00.000000Z"
    whole = api.get(
        "/order/1", params={"include": "buyer,products.offer,manager,status,shipping.deliveryService"}
    ).json()
    assert whole["buyer"] == {
        "id": buyer.id,
        "full_name": "Buyer",
        "email": "b@example.com",
        "phone": "+380500000001",
        "company_id": None,
        "manager_id": None,
    }
    assert whole["products"][0]["offer"]["sku"] == "MUG"
    assert whole["products"][0]["price"] == 200.5
    assert whole["manager"]["id"] == 1
    assert whole["status"]["name"] == "new"
    assert whole["shipping"]["delivery_service"] is None
    assert "payments" not in whole
    listed = api.get("/order", params={"include": "products"}).json()["data"][0]
    assert "offer" not in listed["products"][0]


def test_buyers_have_arrays_where_orders_have_texts(api: httpx.Client, state: SimulatorState) -> None:
    state.add_buyer("Buyer", phones=["+380500000001", "+380500000002"], emails=["b@example.com"])
    body = api.get("/buyer/1", params={"include": "shipping,company,loyalty,manager,custom_fields"}).json()
    assert body["phone"] == ["+380500000001", "+380500000002"]
    assert body["email"] == ["b@example.com"]
    assert (body["company"], body["loyalty"], body["shipping"]) == (None, None, [])


@pytest.mark.parametrize("path", ["/order", "/order/1", "/buyer", "/offers", "/products"])
def test_an_include_that_is_not_allowed_is_a_400_in_spaties_words(
    api: httpx.Client, state: SimulatorState, path: str
) -> None:
    state.add_order()
    response = api.get(path, params={"include": "items"})
    assert response.status_code == 400
    assert response.json()["message"].startswith(
        "Requested include(s) `items` are not allowed. Allowed include(s) are `"
    )


def test_last_synced_at_changes_by_itself_and_updated_at_does_not(api: httpx.Client, state: SimulatorState) -> None:
    state.add_order()
    first = api.get("/order/1").json()
    state.clock = lambda: NOON + timedelta(seconds=5)
    second = api.get("/order/1").json()
    assert first.pop("last_synced_at") != second.pop("last_synced_at")
    assert first == second


def test_the_undocumented_time_of_the_status_can_be_left_out(api: httpx.Client, state: SimulatorState) -> None:
    state.add_order()
    assert "status_changed_at" in api.get("/order").json()["data"][0]
    state.has_status_changed_at = False
    assert "status_changed_at" not in api.get("/order").json()["data"][0]
    assert "status_changed_at" not in api.get("/order/1").json()


# -------------------------------------------------------------------------------------------------------- dictionaries


@pytest.mark.parametrize(
    "path",
    [
        "/order/status",
        "/order/source",
        "/order/payment-method",
        "/payment-method",
        "/order/delivery-service",
        "/delivery-service",
        "/product-status",
        "/expense-type",
    ],
)
def test_dictionaries_are_paged_lists(api: httpx.Client, path: str) -> None:
    body = api.get(path, params={"limit": 2, "sort": "-id"}).json()
    assert len(body["data"]) == 2
    assert body["data"][0]["id"] == body["total"] or path.endswith("status")
    assert body["data"][0]["id"] > body["data"][1]["id"]


def test_a_status_has_its_group_and_says_whether_it_closes(api: httpx.Client, state: SimulatorState) -> None:
    state.add_status(40, "Готово ✅", 5, is_closing=True, alias="done")
    row = next(row for row in api.get("/order/status", params={"limit": 50}).json()["data"] if row["id"] == 40)
    assert (row["name"], row["alias"], row["group_id"], row["is_closing_order"]) == ("Готово ✅", "done", 5, True)
    assert {"is_active", "is_reserved", "expiration_period", "created_at", "updated_at", "deleted_at"} < row.keys()


def test_custom_fields_are_a_bare_array(api: httpx.Client, state: SimulatorState) -> None:
    for position, model in ((2, "order"), (1, "client"), (3, "order")):
        row = {"id": position, "uuid": f"X_{position}", "model": model, "name": "n", "type": "text"}
        state.custom_fields.add(Record(row | {"position": 10 - position, "options": []}))
    plain = api.get("/custom-fields").json()
    assert [row["id"] for row in plain] == [1, 2, 3]
    assert "options" not in plain[0]
    params = {"filter[model]": "order", "include": "options", "sort": "position"}
    chosen = api.get("/custom-fields", params=params).json()
    assert [row["id"] for row in chosen] == [3, 2]
    assert chosen[0]["options"] == []


def test_leads_are_refused_until_pipelines_are_on(api: httpx.Client, state: SimulatorState) -> None:
    response = api.get("/pipelines/cards")
    assert (response.status_code, response.json()) == (400, {"message": "Leads are not enabled"})
    state.has_pipelines = True
    created = api.post("/pipelines/cards", json={"title": "Lead", "contact": BUYER})
    assert created.status_code == 201
    assert created.json()["contact"]["full_name"] == BUYER["full_name"]
    assert api.post("/pipelines/cards", json={"title": "Lead"}).status_code == 422
    state.webhooks.add_target("http://127.0.0.1:9/")
    lead_id = created.json()["id"]
    assert api.put(f"/pipelines/cards/{lead_id}", json={"status_id": 3}).status_code == 202
    assert state.webhooks.deliveries()[0].payload["event"] == "lead.change_lead_status"
    assert state.webhooks.deliveries()[0].payload["context"]["status_id"] == 3
    window = {"filter[updated_between]": "2026-03-02 00:00:00,2026-03-03 00:00:00", "include": "contact,status,manager"}
    assert _ids(api.get("/pipelines/cards", params=window)) == [lead_id]
    state.may_see_leads = False
    assert api.get("/pipelines/cards").status_code == 403


# ------------------------------------------------------------------------------------------------------ writing orders


def test_an_order_is_created_with_everything_in_it(api: httpx.Client, state: SimulatorState) -> None:
    state.catalog.add_product("Mug", sku="MUG", price=100)
    body: dict[str, Any] = {
        "source_id": 1,
        "source_uuid": "A-77",
        "buyer": BUYER,
        "ordered_at": "2026-03-01 08:00:00",
        "shipping_price": "49.50",
        "manager_comment": "✍️",
        "shipping": {"shipping_address_city": "Київ", "shipping_date": "2026-03-04", "shipping_price": 500},
        "marketing": {"utm_source": "facebook"},
        "products": [{"sku": "MUG", "quantity": 2}, {"name": "Typed in", "price": 9.99, "quantity": 1}],
        "payments": [{"payment_method": "cash", "amount": 50, "status": "paid"}],
    }
    response = api.post("/order", json=body)
    assert response.status_code == 201
    created = response.json()
    assert created["source_uuid"] == "A-77"
    assert created["ordered_at"] == "2026-03-01T08:00:00.000000Z"
    assert created["created_at"] == "2026-03-02T12:00:00.000000Z"
    assert created["grand_total"] == 259.49, "a shipping price inside shipping is dropped"
    assert created["payment_status"] == "part_paid"
    assert created["status_id"] == 1
    order = state.orders.rows[created["id"]]
    assert order.shipping["shipping_date_actual"] == "2026-03-04"
    again = api.post("/order", json=body)
    assert again.status_code == 201, "by default a second order with the same source_uuid is created"
    assert again.json()["client_id"] == created["client_id"], "the buyer is recognised"
    window = {"filter[created_between]": "2026-03-01 08:00:00,2026-03-01 08:00:00", "sort": "id"}
    assert _ids(api.get("/order", params=window)) == [1, 2]


def test_an_order_without_source_or_buyer_is_a_422(api: httpx.Client, state: SimulatorState) -> None:
    for body in ({}, {"status_id": 5}):
        response = api.post("/order", json=body)
        assert response.status_code == 422
        assert set(response.json()["errors"]) == {"source_id", "buyer"}
    broken = api.post("/order", content=b'{"source_id": 1, "buy', headers={"Content-Type": "application/json"})
    assert broken.status_code == 422
    wrong = {
        "source_id": 99,
        "buyer": BUYER,
        "manager_id": 99,
        "shipping_price": "dear",
        "payments": [{"status": "gone"}],
    }
    errors = api.post("/order", json=wrong | {"products": [{"price": 5}], "custom_fields": [{"uuid": "OR_9"}]}).json()[
        "errors"
    ]
    assert set(errors) == {
        "source_id",
        "manager_id",
        "shipping_price",
        "payments.0.amount",
        "payments.0.payment_method_id",
        "payments.0.status",
        "products.0.name",
        "custom_fields.0.uuid",
    }
    assert len(state.orders) == 0


def test_a_second_source_uuid_may_be_refused(api: httpx.Client, state: SimulatorState) -> None:
    state.source_uuid_policy = "reject"
    body = {"source_id": 1, "source_uuid": "A-77", "buyer": BUYER}
    assert api.post("/order", json=body).status_code == 201
    response = api.post("/order", json=body)
    assert response.status_code == 422
    assert list(response.json()["errors"]) == ["source_uuid"]
    assert api.post("/order", json=body | {"source_id": 2}).status_code == 201


def test_orders_are_imported_all_or_none_and_silently(api: httpx.Client, state: SimulatorState) -> None:
    state.webhooks.add_target("http://127.0.0.1:9/")
    good = {"source_id": 1, "buyer": BUYER}
    assert api.post("/order/import", json={"orders": [good, {"source_id": 1}]}).status_code == 422
    assert api.post("/order/import", json={"orders": [good] * 51}).status_code == 422
    assert len(state.orders) == 0
    response = api.post("/order/import", json={"orders": [good, good]})
    assert (response.status_code, response.content) == (201, b"")
    assert (len(state.orders), state.webhooks.deliveries()) == (2, [])


def test_an_order_is_changed_with_202_and_its_status_goes_out_as_a_webhook(
    api: httpx.Client, state: SimulatorState
) -> None:
    state.webhooks.add_target("http://127.0.0.1:9/")
    state.add_order(products=[{"name": "Mug", "price": 10}], announce=False)
    response = api.put("/order/1", json={"status_id": 12, "manager_comment": "done", "discount_amount": 2})
    assert response.status_code == 202
    body = response.json()
    assert (body["status_id"], body["status_group_id"], body["grand_total"]) == (12, 5, 8)
    assert body["closed_at"] is not None
    assert [delivery.payload["context"]["status_id"] for delivery in state.webhooks.deliveries()] == [12]


def test_a_tracking_code_can_be_set_once(api: httpx.Client, state: SimulatorState) -> None:
    state.add_order()
    assert api.put("/order/1", json={"shipping": {"tracking_code": "TT1"}}).status_code == 202
    response = api.put("/order/1", json={"shipping": {"tracking_code": "TT2"}, "manager_comment": "x"})
    assert response.status_code == 422
    assert list(response.json()["errors"]) == ["shipping.tracking_code"]
    order = state.orders.rows[1]
    assert (order.shipping["tracking_code"], order.fields["manager_comment"]) == ("TT1", None), "nothing half-applied"
    assert api.put("/order/1", json={"shipping": {"shipping_address_city": "Львів"}}).status_code == 202
    assert order.shipping["tracking_code"] == "TT1"


def test_lines_can_be_changed_and_none_added(api: httpx.Client, state: SimulatorState) -> None:
    state.catalog.add_product("Mug", sku="MUG", price=100)
    order = state.add_order(products=[{"sku": "MUG"}, {"name": "Typed in", "price": 5}])
    typed = order.lines[1]["id"]
    changed = [{"sku": "MUG", "quantity": 3, "name": "Other"}, {"id": typed, "name": "Renamed", "price": 6}]
    assert api.put("/order/1", json={"products": changed}).json()["grand_total"] == 306
    assert [line["name"] for line in order.lines] == ["Mug", "Renamed"], "only an ad-hoc line has a name of its own"
    response = api.put("/order/1", json={"products": [{"sku": "NEW", "quantity": 1}], "status_id": 5})
    assert response.status_code == 422
    assert (len(order.lines), order.fields["status_id"]) == (2, 1)
    assert api.put("/order/1", json={"status_id": 77}).status_code == 422


def test_a_payments_answer_has_no_id_so_the_order_must_be_read_again(api: httpx.Client, state: SimulatorState) -> None:
    state.webhooks.add_target("http://127.0.0.1:9/")
    state.add_order(products=[{"name": "Mug", "price": 10}], announce=False)
    response = api.post(
        "/order/1/payment", json={"amount": 10, "payment_method_id": 1, "status": "paid", "description": "own-1"}
    )
    assert response.status_code == 201
    body = response.json()
    assert "id" not in body
    assert body["payment_method"] == {"id": 1, "name": "cash", "alias": "cash", "is_active": True}
    (payment,) = api.get("/order/1", params={"include": "payments"}).json()["payments"]
    assert (payment["description"], payment["destination_id"], payment["amount"]) == ("own-1", 1, 10)
    changed = api.put(f"/order/1/payment/{payment['id']}", json={"status": "canceled", "amount": 500})
    assert changed.status_code == 202
    assert (changed.json()["status"], changed.json()["amount"]) == ("canceled", 10), "the amount cannot be edited"
    events = [(d.payload["event"], d.payload["context"]["payment_status"]) for d in state.webhooks.deliveries()]
    assert events == [("order.change_payment_status", "paid"), ("order.change_payment_status", "not_paid")]
    assert api.post("/order/1/payment", json={}).status_code == 422
    assert api.post("/order/9/payment", json={"amount": 1}).status_code == 404
    assert api.put("/order/1/payment/99", json={"status": "paid"}).status_code == 404
    assert api.put(f"/order/1/payment/{payment['id']}", json={"status": "gone"}).status_code == 422


def test_a_bank_transaction_can_be_attached_to_a_payment(api: httpx.Client, state: SimulatorState) -> None:
    state.add_order(products=[{"name": "Mug", "price": 10}], payments=[{"amount": 10}])
    assert api.post("/payments/1/external-transactions", json={"transaction_uuid": "u-1"}).status_code == 201
    assert state.orders.rows[1].payments[0]["transaction_uuid"] == "u-1"
    assert api.post("/payments/1/external-transactions", json={}).status_code == 422
    assert api.post("/payments/1/external-transactions", json={"transaction_id": "x"}).status_code == 422
    assert api.post("/payments/9/external-transactions", json={"transaction_id": 1}).status_code == 404


def test_tags_come_and_go(api: httpx.Client, state: SimulatorState) -> None:
    tag = state.add_tag("VIP")
    state.add_order()
    assert api.post(f"/order/1/tag/{tag.id}").status_code == 202
    assert api.get("/order/1", params={"include": "tags"}).json()["tags"][0]["name"] == "VIP"
    removed = api.delete(f"/order/1/tag/{tag.id}")
    assert (removed.status_code, removed.content) == (204, b"")
    assert api.delete(f"/order/1/tag/{tag.id}").status_code == 400
    assert api.post("/order/1/tag/99").status_code == 404
    assert [row["name"] for row in api.get("/tag").json()["data"]] == ["VIP"]


# ------------------------------------------------------------------------------------------------- buyers and the goods


def test_buyers_are_written_and_found(api: httpx.Client, state: SimulatorState) -> None:
    body = {"full_name": "Buyer", "phone": ["+380500000001"], "email": ["b@example.com"], "note": "n", "discount": 5}
    created = api.post("/buyer", json=body)
    assert created.status_code == 201
    buyer_id = created.json()["id"]
    assert api.post("/buyer", json={"email": ["no-at"], "manager_id": 99}).status_code == 422
    state.clock = lambda: NOON + timedelta(hours=1)
    assert api.put(f"/buyer/{buyer_id}", json={"phone": ["+380500000002"]}).status_code == 422  # without a name
    changed = {"full_name": "Buyer", "phone": ["+380500000002"]}
    assert api.put(f"/buyer/{buyer_id}", json=changed).status_code == 202
    state.add_buyer("Other", phones=["+380500000003"])
    for name, text in (
        ("filter[buyer_phone]", "380500000002"),
        ("filter[buyer_email]", "b@example.com"),
        ("filter[buyer_id]", str(buyer_id)),
        ("filter[created_between]", "2026-03-02 12:00:00,2026-03-02 12:00:00"),
    ):
        assert _ids(api.get("/buyer", params={name: text})) == [buyer_id], name
    updated = {"filter[updated_between]": "2026-03-02 13:00:00,2026-03-02 14:00:00", "sort": "-updated_at"}
    assert _ids(api.get("/buyer", params=updated)) == [2, buyer_id]
    assert _ids(
        api.get("/buyer", params=updated | {"filter[created_between]": "2026-03-02 12:30:00,2026-03-03 00:00:00"})
    ) == [2]


def test_buyers_are_imported_all_or_none(api: httpx.Client, state: SimulatorState) -> None:
    refused = api.post("/buyer/import", json={"buyers": [{"full_name": "A"}, {"phone": ["1"]}]})
    assert (refused.status_code, refused.json(), len(state.buyers)) == (400, {"status": False}, 0)
    taken = api.post("/buyer/import", json={"buyers": [{"full_name": "A"}, {"full_name": "B"}]})
    assert (taken.status_code, taken.json(), len(state.buyers)) == (201, {"status": True}, 2)


def test_stocks_are_absolute_in_one_warehouse_and_fire_the_stock_webhook(
    api: httpx.Client, state: SimulatorState
) -> None:
    state.webhooks.add_target("http://127.0.0.1:9/")
    state.catalog.add_product("Mug", sku="a-1", price=5, offer_id=130)
    second = state.catalog.add_warehouse("Second")
    for warehouse_id, quantity in ((1, 10), (second, 6), (1, 7)):
        body = {"warehouse_id": warehouse_id, "stocks": [{"sku": "a-1", "quantity": quantity}]}
        response = api.put("/offers/stocks", json=body)
        assert (response.status_code, response.json()) == (202, {"status": True})
    row = api.get("/offers/stocks", params={"filter[offers_sku]": "a-1"}).json()["data"][0]
    assert row == {"id": 130, "sku": "a-1", "price": 5, "purchased_price": 0, "quantity": 13, "reserve": 0}
    detailed = api.get("/offers/stocks", params={"filter[details]": "true"}).json()["data"][0]
    assert [(stock["id"], stock["quantity"]) for stock in detailed["warehouse"]] == [(1, 7), (second, 6)]
    assert [delivery.payload[0]["in_stock"] for delivery in state.webhooks.deliveries("stock")] == [10, 16, 13]
    wrong = {
        "warehouse_id": 9,
        "stocks": [{"sku": "none", "quantity": 1}, {"id": 130}, {"quantity": 1}, {"id": 9, "quantity": 1}],
    }
    assert set(api.put("/offers/stocks", json=wrong).json()["errors"]) == {
        "warehouse_id",
        "stocks.0.sku",
        "stocks.1.quantity",
        "stocks.2.sku",
        "stocks.3.id",
    }
    assert set(api.put("/offers/stocks", json={}).json()["errors"]) == {"warehouse_id", "stocks"}


def test_offers_are_filtered_and_priced(api: httpx.Client, state: SimulatorState) -> None:
    state.catalog.add_product("Mug", sku="MUG", price=5)
    state.catalog.add_product("Shirt", offers=[{"sku": "S-1", "price": 7}, {"sku": "S-2", "price": 9}])
    changes = {
        "offers": [
            {"sku": "S-1", "price": 8.5, "dimensions": {"weight": 0.2}},
            {"id": 1, "image_url": "http://x/1.png"},
        ]
    }
    assert api.put("/offers", json=changes).status_code == 202
    assert _ids(api.get("/offers", params={"filter[product_id]": "2"})) == [2, 3]
    assert _ids(api.get("/offers", params={"filter[sku]": "MUG,S-2", "filter[is_archived]": "false"})) == [1, 3]
    row = api.get("/offers", params={"filter[id]": "2", "include": "product"}).json()["data"][0]
    assert (row["price"], row["weight"], row["product"]["name"]) == (8.5, 0.2, "Shirt")
    assert row["product"]["max_price"] == 9
    assert api.put("/offers", json={"offers": [{"sku": "none"}]}).status_code == 422


def test_products_are_written_and_read(api: httpx.Client, state: SimulatorState) -> None:
    category = api.post("/products/categories", json={"name": "Mugs"})
    assert category.status_code == 201
    assert api.post("/products/categories", json={"parent_id": 99}).status_code == 422
    body = {
        "name": "Mug",
        "sku": "MUG",
        "price": 5.5,
        "category_id": category.json()["id"],
        "pictures": ["http://x/1.png"],
    }
    created = api.post("/products", json=body)
    assert created.status_code == 201
    assert created.json()["thumbnail_url"] == "http://x/1.png"
    assert api.put("/products/1", json={"price": 6}).status_code == 202
    assert state.catalog.offers.rows[1].fields["price"] == 6
    assert set(api.post("/products", json={"pictures": ["x"] * 7, "category_id": 9}).json()["errors"]) == {
        "name",
        "category_id",
        "pictures",
    }
    assert api.post("/products/1/offers", json={"offers": [{"sku": "MUG-XL", "price": 9}]}).status_code == 201
    assert api.get("/products/1", params={"include": "custom_fields"}).json()["has_offers"] is True
    assert api.post("/products/import", json={"products": [{"name": "A"}] * 101}).status_code == 422
    assert api.post("/products/import", json={"products": [{"name": "A"}, {"name": "B"}]}).json() == {"status": True}
    assert _ids(api.get("/products", params={"filter[category_id]": "1"})) == [1]
    assert _ids(api.get("/products", params={"filter[product_id]": "2,3", "filter[is_archived]": "0"})) == [2, 3]
    assert [row["name"] for row in api.get("/products/categories").json()["data"]] == ["Mugs"]
