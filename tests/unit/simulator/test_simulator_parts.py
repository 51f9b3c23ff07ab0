"""Values, tables, faults and the rate limit of the simulator."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from connectors.keycrm.simulator_bodies import ORDER_INCLUDES, read_includes
from connectors.keycrm.simulator_faults import Faults, LoggedRequest, PageShifts, RequestLog, Throttle
from connectors.keycrm.simulator_records import Query, Record, Table
from connectors.keycrm.simulator_values import ApiError, Errors, number, read_id, read_texts, read_time, stamp


def test_times_are_written_in_utc_with_six_digits_and_a_z() -> None:
    local = datetime(2026, 3, 29, 3, 30, 59, 999_999, tzinfo=timezone(timedelta(hours=3)))
    assert stamp(local) == "2026-03-29T00:30:59.000000Z"


@pytest.mark.parametrize(
    "text", ["2026-03-02 09:15:00", " 2026-03-02T09:15:00.000000Z", "2026-03-02T13:15:00+04:00", "2026-03-02T09:15"]
)
def test_times_are_read_in_every_form_that_clients_send(text: str) -> None:
    assert read_time(text) == datetime(2026, 3, 2, 9, 15, tzinfo=UTC)


@pytest.mark.parametrize(("given", "written"), [(1200, 1200), (1200.0, 1200), ("99.50", 99.5), (0.125, 0.13), (-3, -3)])
def test_money_is_an_int_where_it_is_whole_and_a_float_otherwise(given: object, written: float) -> None:
    result = number(given)
    assert result == written
    assert type(result) is type(written)


@pytest.mark.parametrize("given", [None, True, "abc", "", [], "1 000"])
def test_what_is_no_number_is_not_read_as_one(given: object) -> None:
    with pytest.raises(ValueError):
        number(given)


@pytest.mark.parametrize(
    ("given", "read"), [(7, 7), ("7", 7), ("7a", None), (True, None), ("-7", None), ("٣", None), ("9" * 30, None)]
)
def test_ids_are_numbers_or_their_digits(given: object, read: int | None) -> None:
    assert read_id(given) == read


def test_emails_and_phones_may_come_as_one_text_or_as_a_list() -> None:
    assert read_texts("a@example.com") == ["a@example.com"]
    assert read_texts(["+380500000001", None, "", 5]) == ["+380500000001", "5"]
    assert read_texts({"x": 1}) == []


def test_a_422_says_the_first_error_and_how_many_more() -> None:
    errors = Errors()
    errors.stop()
    errors.required("source_id")
    errors.invalid("manager_id")
    errors.add("manager_id", "The manager id must be an integer.")
    with pytest.raises(ApiError) as raised:
        errors.stop()
    assert raised.value.status == 422
    assert raised.value.body == {
        "message": "The source id field is required. (and 2 more errors)",
        "errors": {
            "source_id": ["The source id field is required."],
            "manager_id": ["The selected manager id is invalid.", "The manager id must be an integer."],
        },
    }


def test_a_nested_include_brings_its_parent_and_both_spellings_of_custom_fields_work() -> None:
    assert read_includes("products.offer, customFields,", ORDER_INCLUDES) == {
        "products",
        "products.offer",
        "custom_fields",
    }
    with pytest.raises(ApiError) as raised:
        read_includes("buyer,items", ORDER_INCLUDES)
    assert raised.value.status == 400
    message = raised.value.body["message"]
    assert message.startswith("Requested include(s) `items` are not allowed. Allowed include(s) are `buyer, ")


# ------------------------------------------------------------------------------------------------------------- tables


def _table(times: list[str]) -> Table[Record]:
    table: Table[Record] = Table("updated_at")
    for position, at in enumerate(times, 1):
        table.add(Record({"id": position, "updated_at": at, "weight": position % 3 or None}))
    return table


def test_windows_and_sorts_give_what_a_plain_search_gives_after_any_changes() -> None:
    chance = random.Random(7)
    table = _table([f"2026-01-{chance.randint(1, 28):02d}" for _ in range(300)])
    for step in range(200):
        if step % 5 == 0:
            table.remove(chance.choice(list(table.rows)))
        else:
            table.change(chance.choice(list(table.rows.values())), updated_at=f"2026-01-{chance.randint(1, 28):02d}")
        low, high = sorted((f"2026-01-{chance.randint(1, 28):02d}", f"2026-01-{chance.randint(1, 28):02d}"))
        found = table.select(Query(("window", low, high), ("updated_at", low, high), (), "updated_at"))
        expected = sorted(
            (record.fields["updated_at"], record.id) for record in table if low <= record.fields["updated_at"] <= high
        )
        assert found == [record_id for _, record_id in expected]
        newest = table.select(Query("newest", None, (lambda record: record.fields["weight"] == 2,), "-id"))
        assert newest == sorted((r.id for r in table if r.fields["weight"] == 2), reverse=True)


def test_a_sort_by_a_field_without_index_puts_nulls_first() -> None:
    table = _table(["2026-01-01"] * 6)
    assert table.select(Query("w", None, (), "weight")) == [3, 6, 1, 4, 2, 5]
    assert table.select(Query("-w", None, (), "-weight")) == [5, 2, 4, 1, 6, 3]


def test_a_remembered_list_is_forgotten_when_something_changes() -> None:
    table = _table(["2026-01-01"])
    query: Query[Record] = Query("all")
    assert table.select(query) == [1]
    table.add(Record({"id": 9, "updated_at": "2026-01-02"}))
    assert table.select(query) == [1, 9]
    assert table.new_id() == 10
    with pytest.raises(ValueError, match="id 9 is taken"):
        table.add(Record({"id": 9, "updated_at": "2026-01-02"}))


# ------------------------------------------------------------------------------------------------- faults and limits


def test_a_fault_skips_strikes_and_is_spent() -> None:
    faults = Faults()
    fault = faults.add("server_error", "/order", method="GET", times=2, skip=1)
    assert faults.strike("GET", "/orders") is None
    assert faults.strike("POST", "/order") is None
    assert faults.strike("GET", "/order/5") is None
    assert faults.strike("GET", "/order/5") is fault
    assert faults.strike("GET", "/order") is fault
    assert faults.strike("GET", "/order") is None
    assert fault.strikes == 2
    assert faults.active() == []


def test_chances_of_faults_repeat_with_the_seed() -> None:
    def struck(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add("slow", times=None, probability=0.3)
        return [faults.strike("GET", "/order") is not None for _ in range(200)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert 30 < sum(struck(1)) < 90


def test_clearing_switches_faults_off_and_starts_the_chances_anew() -> None:
    faults = Faults(3)

    def struck() -> list[bool]:
        faults.add("slow", times=None, probability=0.5)
        return [faults.strike("GET", "/x") is not None for _ in range(50)]

    first = struck()
    faults.clear()
    assert faults.strike("GET", "/x") is None
    assert struck() == first


@pytest.mark.parametrize(("kind", "path"), [("explosion", "/"), ("slow", "order")])
def test_a_fault_that_does_not_exist_is_refused(kind: str, path: str) -> None:
    with pytest.raises(ValueError, match="fault"):
        Faults().add(kind, path)  # type: ignore[arg-type]


def test_a_duplicated_page_waits_for_a_second_page() -> None:
    faults = Faults()
    fault = faults.add("duplicate_page")
    assert faults.strike("GET", "/order", page=1) is None
    assert faults.strike("GET", "/order", page=2) is fault


def test_a_shifted_list_repeats_one_page_and_loses_none() -> None:
    shifts = PageShifts()
    shown = [shifts.place("list", page, is_struck=page == 3)[0] for page in range(1, 7)]
    assert shown == [1, 2, 2, 3, 4, 5]
    assert shifts.place("list", 1, is_struck=False) == (1, 0)
    assert shifts.place("list", 2, is_struck=False) == (2, 0)


def test_the_limit_counts_a_window_from_its_first_request() -> None:
    now = 100.0
    throttle = Throttle(2, 60.0, clock=lambda: now)
    assert throttle.take() == (True, 1, 60.0)
    now = 130.0
    assert throttle.take() == (True, 0, 30.0)
    assert throttle.take() == (False, 0, 30.0)
    now = 160.0
    assert throttle.take() == (True, 1, 60.0)
    throttle.reset()
    assert throttle.take() == (True, 1, 60.0)


def test_no_limit_is_zero_requests() -> None:
    throttle = Throttle(0)
    assert all(throttle.take()[0] for _ in range(1000))


def test_the_log_finds_requests_by_what_matters() -> None:
    log = RequestLog(most=3)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for method, path, query in (("GET", "/users", ""), ("GET", "/order", "page=1"), ("PUT", "/order/7", "")):
        log.add(LoggedRequest(method, path, query, at))
    log.add(LoggedRequest("GET", "/order", "page=2&filter%5Bstatus_id%5D=1%2C2", at, status=200))
    assert log.total == 4
    assert log.count("GET") == 2
    assert log.count(below="/order") == 3
    assert log.find("GET", "/order", status=200)[0].params == {"page": "2", "filter[status_id]": "1,2"}
    # Of all that came, and not of the last three alone.
    assert log.by_route() == {"GET /order": 2, "GET /users": 1, "PUT /order/{id}": 1}
    log.clear()
    assert log.count() == log.total == len(log.by_route()) == 0
