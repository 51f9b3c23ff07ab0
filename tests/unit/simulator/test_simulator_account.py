"""The simulated account, changed by method calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.keycrm.simulator import SimulatorState, create_app
from connectors.keycrm.simulator_bodies import ORDER_INCLUDES, order_body, read_includes
from connectors.keycrm.simulator_webhooks import without_secrets

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOOK = "http://127.0.0.1:9/webhooks/keycrm/shop?token=hook-secret"


@pytest.fixture
def state() -> SimulatorState:
    state = SimulatorState(clock=lambda: NOON)
    state.webhooks.add_target(HOOK)
    return state


def _sent(state: SimulatorState) -> list[tuple[str, object]]:
    return [(delivery.event, delivery.payload) for delivery in state.webhooks.deliveries()]


def test_an_order_adds_up(state: SimulatorState) -> None:
    state.catalog.add_product("Mug", sku="MUG", price=100, purchased_price=40)
    order = state.add_order(
        products=[
            {"sku": "MUG", "quantity": 3, "discount_percent": 10},
            {"name": "Typed in", "price": 5.55, "quantity": 2, "discount_amount": 0.55},
        ],
        discount_amount=20,
        shipping_price=50,
        taxes=1.5,
        expenses=[{"id": 1, "amount": 12}],
    )
    assert [line["price_sold"] for line in order.lines] == [90, 5]
    assert [line["total_discount"] for line in order.lines] == [30, 1.1]
    fields = order.fields
    assert fields["products_total"] == 280
    assert fields["total_discount"] == 51.1
    assert fields["grand_total"] == 280 - 20 + 50 + 1.5
    assert fields["expenses_sum"] == 12
    assert fields["margin_sum"] == 311.5 - 120 - 12


def test_the_payment_status_follows_the_payments_and_tells_of_each_change(state: SimulatorState) -> None:
    order = state.add_order(products=[{"name": "Mug", "price": 100}], announce=False)
    seen = []
    first = state.add_payment(order.id, 40)
    seen.append(order.fields["payment_status"])
    state.add_payment(order.id, 60, status="not_paid")
    seen.append(order.fields["payment_status"])
    state.add_payment(order.id, 60)
    seen.append(order.fields["payment_status"])
    state.add_payment(order.id, 1)
    seen.append(order.fields["payment_status"])
    state.change_payment(first["id"], status="canceled")
    seen.append(order.fields["payment_status"])
    for payment in list(order.payments):
        state.delete_payment(payment["id"])
    seen.append(order.fields["payment_status"])
    assert seen == ["part_paid", "part_paid", "paid", "overpaid", "part_paid", "not_paid"]
    events = [event for event, _ in _sent(state)]
    assert events == ["order.change_payment_status"] * 5
    with pytest.raises(KeyError):
        state.payment(first["id"])


def test_entering_a_status_sets_its_group_its_time_and_closes_or_reopens(state: SimulatorState) -> None:
    order = state.add_order(at=NOON - timedelta(hours=3))
    assert (order.fields["status_id"], order.fields["status_group_id"]) == (1, 1)
    state.change_status(order.id, 12, at=NOON - timedelta(hours=1))
    assert order.fields["closed_at"] == order.fields["status_changed_at"] == "2026-03-02T11:00:00.000000Z"
    assert order.fields["status_group_id"] == 5
    state.change_status(order.id, 5)
    assert order.fields["closed_at"] is None
    assert order.fields["has_reserves"] is True
    assert order.fields["updated_at"] == order.fields["status_changed_at"] == "2026-03-02T12:00:00.000000Z"


def test_staying_in_a_status_is_no_change(state: SimulatorState) -> None:
    order = state.add_order(at=NOON - timedelta(hours=3))
    state.webhooks.clear()
    state.change_status(order.id, 1)
    assert order.fields["updated_at"] == "2026-03-02T09:00:00.000000Z"
    assert _sent(state) == []


def test_a_status_webhook_is_the_flat_row_under_its_own_names(state: SimulatorState) -> None:
    buyer = state.add_buyer("Buyer Example", phones=["+380500000001"])
    order = state.add_order(buyer=buyer, buyer_comment="call me 🙂", products=[{"name": "Mug", "price": 7}])
    event, payload = _sent(state)[0]
    assert event == "order.change_order_status"
    assert isinstance(payload, dict)
    assert payload["event"] == event
    context = payload["context"]
    assert context["id"] == order.id
    assert context["client_id"] == buyer.id
    assert context["client_comment"] == "call me 🙂"
    assert context["grand_total"] == 7
    assert context["fiscal_result"] == []
    assert context["status_changed_at"] == "2026-03-02T12:00:00.000000Z"
    assert not {"buyer_comment", "products", "buyer", "shipping", "payments"} & context.keys()
    state.change_status(order.id, 5)
    assert context["status_id"] == 1, "a payload that is queued does not change any more"


def test_an_account_may_be_silent_about_new_orders(state: SimulatorState) -> None:
    state.announces_new_orders = False
    state.add_order()
    assert _sent(state) == []


def test_a_target_gets_only_the_events_it_asked_for(state: SimulatorState) -> None:
    state.webhooks.targets.clear()
    state.webhooks.add_target(HOOK, ["stock"])
    product = state.catalog.add_product("Mug", sku="MUG")
    order = state.add_order()
    state.change_status(order.id, 5)
    state.catalog.set_stock(product.id, 4)
    assert [event for event, _ in _sent(state)] == ["stock"]
    with pytest.raises(ValueError, match=r"unknown events order\.created"):
        state.webhooks.add_target(HOOK, ["order.created"])


def test_stocks_are_summed_over_warehouses_and_told_as_a_bare_array(state: SimulatorState) -> None:
    catalog = state.catalog
    catalog.add_product("Mug", sku="MUG", offer_id=130)
    second = catalog.add_warehouse("Second")
    catalog.set_stock(130, 10, 1)
    catalog.set_stocks([(130, 6, 2)], warehouse_id=second)
    catalog.set_stock(130, 10)
    assert [payload for _, payload in _sent(state)] == [
        [{"offer_id": 130, "sku": "MUG", "in_stock": 10, "in_reserve": 1}],
        [{"offer_id": 130, "sku": "MUG", "in_stock": 16, "in_reserve": 3}],
    ], "a stock that is the same as before is no change"
    catalog.webhook_warehouses = frozenset({second})
    assert catalog.stock_event(130)["in_stock"] == 6
    assert catalog.offers.rows[130].fields["quantity"] == 16
    with pytest.raises(KeyError):
        catalog.set_stocks([(130, 1, 1), (131, 1, 1)])
    assert catalog.stock(130) == (16, 3), "all or nothing"


def test_a_product_without_variants_passes_its_price_on_to_its_offer(state: SimulatorState) -> None:
    product = state.catalog.add_product("Mug", sku="MUG", price=10)
    state.catalog.update_product(product.id, price=12.5, sku="MUG-2")
    offer = state.catalog.offer_of_sku("MUG-2")
    assert offer is not None
    assert offer.fields["price"] == product.fields["min_price"] == 12.5
    assert state.catalog.offer_of_sku("MUG") is None


def test_a_buyer_is_found_by_the_phone_in_any_writing_and_only_while_it_is_theirs(state: SimulatorState) -> None:
    buyer = state.add_buyer("Buyer Example", phones=["+38 (050) 000-00-01"], emails=["One@example.com"])
    assert state.find_buyer(["380500000001"], []) is buyer
    assert state.find_buyer([], ["one@EXAMPLE.com"]) is buyer
    state.update_buyer(buyer.id, phone=["+380500000002"], email=[])
    assert state.find_buyer(["380500000001"], ["one@example.com"]) is None
    assert state.find_buyer(["380500000002"], []) is buyer


def test_relations_are_absent_unless_included(state: SimulatorState) -> None:
    order = state.add_order(products=[{"name": "Mug", "price": 7}], marketing={"utm_source": "x"})
    plain = order_body(state, order, frozenset())
    relations = {name.partition(".")[0] for name in ORDER_INCLUDES} - {"customFields"}
    assert not relations & plain.keys()
    whole = order_body(state, order, read_includes(",".join(ORDER_INCLUDES), ORDER_INCLUDES))
    assert relations < whole.keys()
    assert whole["buyer"] is None
    assert whole["marketing"]["utm_source"] == "x"
    assert whole["products"][0]["offer"] is None
    assert "offer_id" not in whole["products"][0], "the documents know offer.id alone"


def test_a_deleted_order_takes_its_payments_with_it(state: SimulatorState) -> None:
    order = state.add_order(products=[{"name": "Mug", "price": 7}], payments=[{"amount": 7, "status": "paid"}])
    state.delete_order(order.id)
    assert len(state.orders) == 0
    with pytest.raises(KeyError):
        state.payment(order.payments[0]["id"])


def test_unknown_ids_are_refused_before_anything_is_stored(state: SimulatorState) -> None:
    for wrong in ({"buyer": 99}, {"status_id": 99}, {"products": [{"offer_id": 99}]}):
        with pytest.raises(KeyError):
            state.add_order(**wrong)
    assert len(state.orders) == 0


def test_reset_keeps_the_data(state: SimulatorState) -> None:
    state.add_order()
    state.faults.add("drop")
    state.reset()
    assert (state.faults.active(), state.webhooks.pending(), len(state.orders)) == ([], 0, 1)


def test_accounts_of_one_app_need_keys_of_their_own() -> None:
    with pytest.raises(ValueError, match="its own API key"):
        create_app(SimulatorState(api_key="a"), SimulatorState(api_key="a"))
    with pytest.raises(ValueError, match="needs accounts"):
        create_app()


def test_a_webhooks_secret_is_in_no_text_about_it(state: SimulatorState) -> None:
    state.add_order()
    delivery = state.webhooks.deliveries()[0]
    assert "hook-secret" not in f"{delivery!r} {state.webhooks.targets!r} {delivery.as_json()}"
    assert without_secrets(HOOK) == "http://127.0.0.1:9/webhooks/keycrm/shop?token=***"
