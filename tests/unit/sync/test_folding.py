from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from connectors.records import (
    Batch,
    Customer,
    Order,
    OrderItem,
    OrderItems,
    OrderMarketing,
    OrderPayments,
    Payment,
    Reread,
    Source,
    StatusEvent,
)
from database.repositories.core import EventState, OrderState
from sync.folding import Changes, Known, Mapped, dedup_key, fold, is_not_older

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


def at(minutes: float | None) -> datetime | None:
    return None if minutes is None else START + timedelta(minutes=minutes)


def mapped(batch: Batch, origin: str = "pull") -> Mapped:
    return Mapped(batch, origin, START)


class Model:
    """What the upserts of database.repositories.core do, on dicts."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.items: dict[str, list[str | None]] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self.marketing: dict[str, dict[str, Any]] = {}
        self.customers: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []

    def known(self) -> Known:
        states = {}
        for order_id, order in self.orders.items():
            marketing = self.marketing.get(order_id)
            states[order_id] = OrderState(
                exists=True,
                source_updated_at=order.get("source_updated_at"),
                has_items=order["has_items"],
                items_updated_at=order.get("items_updated_at"),
                payments_updated_at=order.get("payments_updated_at"),
                has_marketing=marketing is not None,
                marketing_source=(marketing or {}).get("source"),
                marketing_updated_at=(marketing or {}).get("source_updated_at"),
            )
        events: dict[str, list[EventState]] = {}
        for number, event in enumerate(self.events):
            events.setdefault(event["order_id"], []).append(
                EventState(event["status_changed_at"], number, event["status_id"], event["dedup_key"])
            )
        times = {name: customer.get("source_updated_at") for name, customer in self.customers.items()}
        return Known(states, times, events, {"7": "EUR"})

    def apply(self, changes: Changes) -> None:
        _upsert(self.customers, changes.customers, changes.customers_partial, ())
        _upsert(self.orders, changes.orders, changes.orders_partial, ("has_items",))
        keys = {event["dedup_key"] for event in self.events}
        self.events += [event for key, event in changes.events.items() if key not in keys]
        for order_id, lines in changes.items.items():
            self.items[order_id] = [item.sku for item in lines.items]
        rows = changes.payment_rows()
        here = {row["payment_id"] for row in rows}
        for payment in self.payments.values():
            if payment["order_id"] in changes.payments and payment["payment_id"] not in here:
                payment["is_deleted"] = True
        self.payments.update({row["payment_id"]: dict(row) for row in rows})
        for order_id, row in changes.marketing.items():
            earlier = (self.marketing.get(order_id) or {}).get("source_updated_at")
            self.marketing[order_id] = {**row, "source_updated_at": _newest(row["source_updated_at"], earlier)}

    def state(self) -> Any:
        return (self.orders, self.items, self.payments, self.marketing, self.customers, self.events)


def _newest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((time for time in (one, other) if time is not None), default=None)


def _upsert(
    stored: dict[str, dict[str, Any]],
    complete: dict[str, dict[str, Any]],
    partial: dict[str, dict[str, Any]],
    sticky: tuple[str, ...],
) -> None:
    kept = {"items_updated_at", "payments_updated_at"}
    for name, row in complete.items():
        old = stored.get(name, {})
        new = {key: value for key, value in row.items() if value is not None}
        new |= {key: old[key] for key in kept if key in old and key not in new}
        new |= {key: old.get(key, False) or row[key] for key in sticky}
        if (time := _newest(old.get("source_updated_at"), row.get("source_updated_at"))) is not None:
            new["source_updated_at"] = time
        stored[name] = new
    for name, row in partial.items():
        old = stored.get(name, {})
        new = {**old, **{key: value for key, value in row.items() if value is not None}}
        for key in ("phones", "emails"):
            if key in row and not row[key] and key in old:
                new[key] = old[key]
        new |= {key: old.get(key, False) or row[key] for key in (*sticky, "is_deleted")}
        if (time := _newest(old.get("source_updated_at"), row.get("source_updated_at"))) is not None:
            new["source_updated_at"] = time
        stored[name] = new


minutes = st.one_of(st.none(), st.integers(0, 6))
order_ids = st.sampled_from(["1", "2"])
texts = st.one_of(st.none(), st.sampled_from("ab"))


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    order_id = draw(order_ids)
    time = at(draw(minutes))
    is_complete = draw(st.booleans())
    order = Order(
        order_id,
        status_id=draw(st.sampled_from(["s1", "s2", "s3"])),
        source_id=draw(st.sampled_from([None, "7", "8"])),
        promocode=draw(texts),
        tracking_code=draw(texts),
        currency=draw(st.sampled_from([None, None, "USD"])),
        is_deleted=draw(st.booleans()),
        source_updated_at=time,
        is_complete=is_complete,
    )
    batch = Batch(orders=[order] if draw(st.integers(0, 9)) else [])
    if draw(st.booleans()):
        lines = tuple(OrderItem(Decimal(1), sku=sku) for sku in draw(st.lists(st.sampled_from("xyz"), max_size=3)))
        batch.order_items.append(OrderItems(order_id, lines, draw(st.sampled_from([time, None]))))
    if draw(st.booleans()):
        names = draw(st.lists(st.sampled_from(["p", "q", "r"]), max_size=3, unique=True))
        payments = tuple(Payment(f"{order_id}{name}", order_id, Decimal(1), "paid") for name in names)
        batch.order_payments.append(OrderPayments(order_id, payments, time))
    if draw(st.booleans()):
        source = draw(st.sampled_from(["api", "comment"]))
        batch.order_marketing.append(OrderMarketing(order_id, utm_source=draw(texts), source=source))
    if draw(st.booleans()):
        own = draw(st.booleans())
        batch.customers.append(
            Customer(
                draw(st.sampled_from(["c1", "c2"])),
                full_name=draw(texts),
                phones=tuple(draw(st.lists(st.sampled_from("12"), max_size=2))),
                source_updated_at=at(draw(minutes)) if own else None,
                is_complete=own,
                is_deleted=draw(st.booleans()),
            )
        )
    if time is not None and order.status_id is not None:
        exact = draw(st.booleans())
        batch.status_events.append(StatusEvent(order_id, order.status_id, time, is_approximate=not exact))
    return batch


@settings(max_examples=400, deadline=None)
@given(st.lists(batches(), min_size=1, max_size=8), st.data())
def test_a_batch_comes_to_the_same_as_its_records_one_by_one(records: list[Batch], data: st.DataObject) -> None:
    """However a sequence of records is cut into batches, core is the same in the end."""
    one_by_one, cut = Model(), Model()
    for record in records:
        one_by_one.apply(fold("shop", "UAH", one_by_one.known(), [mapped(record)]))
    rest = list(records)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        cut.apply(fold("shop", "UAH", cut.known(), [mapped(record) for record in rest[:size]]))
        rest = rest[size:]
    assert cut.state() == one_by_one.state()


@settings(max_examples=200, deadline=None)
@given(st.lists(batches(), min_size=1, max_size=6))
def test_applying_the_newest_records_again_changes_nothing(records: list[Batch]) -> None:
    model = Model()
    whole = [mapped(record) for record in records]
    model.apply(fold("shop", "UAH", model.known(), whole))
    once = repr(model.events)
    model.apply(fold("shop", "UAH", model.known(), whole))
    exact = [event for event in model.events if not event["is_approximate"]]
    assert repr([event for event in model.events if not event["is_approximate"]]) == repr(exact)
    assert len({event["dedup_key"] for event in model.events}) == len(model.events)
    assert repr(model.events).startswith(once[:-1])


def test_the_dedup_key_is_unambiguous_and_in_utc() -> None:
    event = StatusEvent("1|2", "3", datetime.fromisoformat("2026-03-01T10:00:00+02:00"), "4")
    assert dedup_key("p", event) == "p|1\\|2|2026-03-01T08:00:00.000000+00:00|3|4"
    assert dedup_key("p", StatusEvent("1", "2|3", START)) != dedup_key("p", StatusEvent("1|2", "3", START))


@pytest.mark.parametrize(
    ("incoming", "known", "expected"),
    [(1, 2, False), (2, 2, True), (3, 2, True), (None, 2, True), (1, None, True), (None, None, True)],
)
def test_a_record_overwrites_what_is_not_newer(incoming: int | None, known: int | None, expected: bool) -> None:
    assert is_not_older(at(incoming), at(known)) is expected


@pytest.mark.parametrize(
    ("history", "status", "minute", "counts"),
    [
        ([], "A", 5, True),
        ([(1, "A")], "A", 5, False),
        ([(1, "A")], "B", 5, True),
        ([(1, "A"), (9, "B")], "A", 5, False),  # it was A then: nothing new, only late
        ([(1, "Z"), (9, "A")], "A", 5, False),  # the exact time is known already
        ([(1, "A"), (9, "B")], "C", 5, True),
        ([(1, "A"), (1, "B")], "A", 5, True),  # the later arrival of one instant is in force
    ],
)
def test_a_guessed_event_must_say_something_new(
    history: list[tuple[int, str]], status: str, minute: int, counts: bool
) -> None:
    known = Known(
        events={"1": [EventState(START + timedelta(minutes=m), n, s, f"k{n}") for n, (m, s) in enumerate(history)]}
    )
    event = StatusEvent("1", status, START + timedelta(minutes=minute), is_approximate=True)
    changes = fold("shop", None, known, [mapped(Batch(status_events=[event]))])
    assert bool(changes.events) is counts


def test_a_reread_is_asked_for_only_where_core_is_behind() -> None:
    def hint(order_id: str, minute: float | None) -> Batch:
        order = Order(order_id, source_updated_at=at(minute), is_complete=False)
        return Batch(orders=[order], rereads=[Reread("orders", order_id)])

    known = Known(
        orders={
            "new": OrderState(exists=True, source_updated_at=at(5), has_items=True, items_updated_at=at(5)),
            "old": OrderState(exists=True, source_updated_at=at(3), has_items=True, items_updated_at=at(3)),
        }
    )
    records = [mapped(hint(name, 4)) for name in ("new", "old", "unknown")] + [mapped(hint("new", 3))]
    assert fold("shop", None, known, records).rereads == [("orders", "old"), ("orders", "unknown")]
    same_second = fold("shop", None, known, [mapped(hint("new", 5))])
    assert same_second.rereads == [("orders", "new")]
    timeless = fold("shop", None, known, [mapped(hint("new", None))])
    assert timeless.rereads == [("orders", "new")]
    other_stream = Batch(rereads=[Reread("customers", "new")])
    assert fold("shop", None, known, [mapped(other_stream)]).rereads == [("customers", "new")]


@pytest.mark.parametrize(("seconds", "is_asked"), [(0.2, True), (59.9, True), (60.1, False), (3600, False)])
def test_what_was_read_in_the_second_of_a_hint_may_lack_what_happened_later_in_that_second(
    seconds: float, is_asked: bool
) -> None:
    read_at = START + timedelta(seconds=seconds)
    hint = Batch(
        orders=[Order("1", source_updated_at=START, manager_comment="later", is_complete=False)],
        rereads=[Reread("orders", "1")],
    )
    state = OrderState(exists=True, source_updated_at=START, has_items=True, items_updated_at=START, known_at=read_at)
    asked = [("orders", "1")] if is_asked else []
    assert fold("shop", None, Known(orders={"1": state}), [mapped(hint)]).rereads == asked
    whole = Batch(orders=[Order("1", source_updated_at=START)], order_items=[OrderItems("1", [], START)])
    assert fold("shop", None, Known(), [Mapped(whole, "pull", read_at), mapped(hint)]).rereads == asked


def test_a_currency_that_a_source_has_lost_is_the_projects_again() -> None:
    records = [
        Batch(orders=[Order("1", source_id="7")]),
        Batch(sources=[Source("7", "Shop")]),
        Batch(orders=[Order("2", source_id="7")]),
    ]
    changes = fold("shop", "UAH", Known(currencies={"7": "EUR"}), [mapped(record) for record in records])
    assert [row["currency"] for row in changes.orders.values()] == ["EUR", "UAH"]


def test_every_field_of_an_order_is_written() -> None:
    names = set(Order.__struct_fields__) - {"is_complete"}
    [row] = fold("shop", None, Known(), [mapped(Batch(orders=[Order("1")]))]).orders.values()
    assert names <= set(row)


def test_of_one_second_the_order_that_was_read_whole_goes_before_a_late_hint() -> None:
    """A status webhook of the second in which the order was paid may arrive after the order was read, paid."""
    moment = datetime(2026, 3, 1, 10, tzinfo=UTC)
    known = Known(orders={"1": OrderState(True, moment, True, moment, moment)})
    hint = Order("1", payment_status="not_paid", source_updated_at=moment, is_complete=False)
    later = replace(hint, payment_status="paid", source_updated_at=moment + timedelta(seconds=1))
    event = StatusEvent("1", "5", moment)
    same = fold("shop", "UAH", known, [Mapped(Batch(orders=[hint], status_events=[event]), "webhook", moment)])
    assert (same.orders, same.orders_partial) == ({}, {})
    assert len(same.events) == 1
    newer = fold("shop", "UAH", known, [Mapped(Batch(orders=[later]), "webhook", moment)])
    assert newer.orders_partial["1"]["payment_status"] == "paid"
