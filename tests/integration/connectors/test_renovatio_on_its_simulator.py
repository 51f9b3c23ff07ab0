"""What is Renovatio's own, over real HTTP against the simulator. What all connectors share is in tests/conformance."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.errors import ConfigError, ConnectorError, NotFoundError, PermanentError, RetryError
from connectors.protocol import Account, MappingContext, Window
from connectors.records import Batch
from tests.conformance.suite import SECRET, everything_logged, ids, pull, session, stored
from tests.conformance.test_renovatio import SALT, SimulatedRenovatio, crm, visit_hash

__all__ = ["crm"]
pytestmark = pytest.mark.anyio

NAME = "Передонова 79161234567"


def periods(crm: SimulatedRenovatio, name: str = "date") -> list[timedelta]:
    """How long the periods were that the simulator was asked for, in order."""
    found = []
    for entry in crm.state.requests.find(path="/getAppointments"):
        if f"{name}_from" in entry.body:
            start, end = (datetime.strptime(entry.body[f"{name}_{side}"], "%d.%m.%Y %H:%M") for side in ("from", "to"))
            found.append(end - start)
    return found


def sales(crm: SimulatedRenovatio, records: list[Any], context: MappingContext | None = None) -> list[Batch]:
    given = context or crm.account().context
    return [crm.connector.map_record(given, "visits", record.crm_id, record.body) for record in records]


# ----------------------------------------------------------------------------------------------------------- periods


async def test_no_period_is_longer_than_31_days_and_each_visit_comes_once(crm: SimulatedRenovatio) -> None:
    expected = crm.seed(40)
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    assert sorted(ids(records)) == sorted(expected)
    assert max(periods(crm)) <= timedelta(days=31, minutes=1)


@pytest.mark.parametrize("is_logical", [False, True], ids=["HTTP 500", "code 500 with HTTP 200"])
async def test_a_period_that_the_server_fails_on_is_halved_and_the_rest_is_asked_for_in_such_halves(
    crm: SimulatedRenovatio, is_logical: bool
) -> None:
    expected = crm.seed(40)
    crm.state.widest, crm.state.is_500_logical = timedelta(days=9), is_logical
    async with session(crm.account(), retry_attempts=2) as line:
        records, cursor = await pull(crm, line.http)
    assert sorted(ids(records)) == sorted(expected)
    # 31 days thrice, as any failure; 15.5 and 7.75 at once; then whatever is as short as what went well.
    assert [round(length / timedelta(days=1), 2) for length in periods(crm)[:6]] == [31, 31, 31, 15.5, 7.75, 7.75]
    assert len(line.slept) == 2
    wide = [length for length in periods(crm)[9:] if length > timedelta(days=8)]
    assert wide == []
    assert cursor is not None


async def test_the_length_that_went_well_is_in_the_cursor(crm: SimulatedRenovatio) -> None:
    crm.seed(20)
    crm.state.widest = timedelta(days=9)
    async with session(crm.account(), retry_attempts=0) as line:
        _, cursor = await pull(crm, line.http, pages=1)
        before = len(periods(crm))
        await pull(crm, line.http, cursor)
    assert max(periods(crm)[before:]) < timedelta(days=8)


async def test_a_server_that_fails_on_a_day_is_down_and_not_asked_for_less(crm: SimulatedRenovatio) -> None:
    crm.seed(2)
    crm.state.widest = timedelta(0)
    async with session(crm.account(), retry_attempts=1) as line:
        with pytest.raises(RetryError) as caught:
            await pull(crm, line.http)
    assert caught.value.status == 500
    assert min(periods(crm)) > timedelta(hours=11)
    assert len(periods(crm)) < 10


async def test_later_pulls_ask_for_what_changed_two_days_back_at_the_least(crm: SimulatedRenovatio) -> None:
    [old, *_] = crm.seed(10)
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        crm.state.requests.clear()
        crm.clock.advance(hours=1)
        crm.touch(old)
        records, _ = await pull(crm, line.http, cursor)
    assert ids(records) == [old]
    assert len(crm.state.requests.find()) == 1
    [request] = crm.state.requests.find()
    pulled = crm.clock.now - timedelta(hours=1)
    assert request.body["date_updated_from"] == f"{pulled + timedelta(hours=3, days=-2):%d.%m.%Y %H:%M}"
    assert "show_patient_data" not in request.body


async def test_a_pull_after_a_long_pause_is_cut_too_and_can_be_resumed(crm: SimulatedRenovatio) -> None:
    known = crm.seed(4)
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        crm.clock.advance(days=100)
        added = crm.add()
        crm.touch(known[0], at=crm.clock.now - timedelta(days=60))
        first, cursor = await pull(crm, line.http, cursor, pages=2)
        rest, cursor = await pull(crm, line.http, cursor)
        again, _ = await pull(crm, line.http, cursor)
    assert {known[0], added} <= set(ids(first + rest))
    assert max(periods(crm, "date_updated")) <= timedelta(days=31, minutes=1)
    assert ids(again) == [added]


async def test_the_first_pull_brings_what_is_booked_too_so_that_nothing_is_missed_at_night(
    crm: SimulatedRenovatio,
) -> None:
    known = crm.seed(3)
    booked = crm.state.add_visit(crm._patient, start=crm.clock.now + timedelta(days=200), announce=False)
    listed: list[str] = []
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
        async for page in crm.connector.list_ids(line.http, crm.account(), "visits"):  # type: ignore[attr-defined]
            listed += page
    assert sorted(ids(records)) == sorted(listed) == sorted([*known, visit_hash(booked.id)])


# ------------------------------------------------------------------------------------------------- clinics and zones


async def test_only_the_clinics_of_the_settings_are_pulled_each_by_its_own_call(crm: SimulatedRenovatio) -> None:
    second, third = crm.state.add_clinic("Clinic B"), crm.state.add_clinic("Clinic C")
    crm.add()
    wanted = [
        crm.state.add_visit(crm._patient, [("x", 5, 1)], clinic=clinic, status="completed", announce=False)
        for clinic in (second, third)
    ]
    crm.clock.advance(hours=1)
    account = crm.account(options={"clinic_ids": [2, 3]})
    async with session(account) as line:
        records, cursor = await pull(crm, line.http, account=account)
        everything, _ = await pull(crm, line.http, cursor)  # the option was taken away: all is read
    assert sorted(ids(records)) == sorted(visit_hash(visit.id) for visit in wanted)
    assert {entry.body.get("clinic_id") for entry in crm.state.requests.find(path="/getAppointments")} == {
        "2",
        "3",
        None,
    }
    assert len(everything) == 3


@pytest.mark.parametrize("zone", ["Europe/Lisbon", "Asia/Vladivostok"])
async def test_a_visit_is_at_its_clinics_wall_clock_that_the_api_tells(crm: SimulatedRenovatio, zone: str) -> None:
    crm.state.tells_timezones = True
    far = crm.state.add_clinic("Far", timezone=zone)
    start = crm.clock.now - timedelta(minutes=30)
    crm.state.add_visit(crm._patient, [("x", 5, 1)], clinic=far, start=start, status="completed", announce=False)
    async with session(crm.account()) as line:
        clinics, _ = await pull(crm, line.http, stream="places")
        records, cursor = await pull(crm, line.http)
        crm.clock.advance(hours=20)
        later, _ = await pull(crm, line.http, cursor)
    places = [
        place
        for c in clinics
        for place in crm.connector.map_record(MappingContext("c"), "places", c.crm_id, c.body).places
    ]
    context = MappingContext("clinic", timezone="Europe/Moscow", places={place.place_id: place for place in places})
    assert sales(crm, records, context)[0].transactions[0].occurred_at == start
    assert ids(later) == ids(records)


async def test_a_window_is_of_instants_whatever_the_clinics_zone(crm: SimulatedRenovatio) -> None:
    options = {"timezones": {"2": "Asia/Vladivostok"}}
    context = MappingContext("clinic", timezone="Europe/Moscow", options=options)
    account = crm.account(options=options, context=context)
    far = crm.state.add_clinic("Far", timezone="Asia/Vladivostok")
    start = datetime(2026, 3, 1, 22, tzinfo=UTC)
    visit = crm.state.add_visit(crm._patient, [("x", 5, 1)], clinic=far, start=start, status="completed")
    async with session(account) as line:
        inside, _ = await pull(crm, line.http, account=account, window=Window(start, start + timedelta(minutes=1)))
        before, _ = await pull(crm, line.http, account=account, window=Window(start - timedelta(days=1), start))
    assert (ids(inside), before) == ([visit_hash(visit.id)], [])


# -------------------------------------------------------------------------------------------------------- the vendor


async def test_answers_differ_in_form_and_give_the_same_records(crm: SimulatedRenovatio) -> None:
    crm.seed(3)
    state = crm.state
    async with session(crm.account()) as line:
        plain, _ = await pull(crm, line.http)
        state.ids_are_text = state.error_is_text = state.empty_is_null = state.list_is_object = True
        for state.money in ("comma", "number", "text"):
            again, _ = await pull(crm, line.http)
            assert sorted(again, key=lambda record: record.crm_id) == sorted(plain, key=lambda record: record.crm_id)
        hidden = crm.account()
        state.shows_patients = False
        again, _ = await pull(crm, line.http, account=hidden)
        assert len(again) == 3


async def test_without_sum_value_the_services_are_summed(crm: SimulatedRenovatio) -> None:
    services = [("a", "100.50", 2), ("b", 5, 1)]
    crm.state.add_visit(crm._patient, services, has_sum=False, status="completed", announce=False)
    crm.clock.advance(hours=1)
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    assert sales(crm, records)[0].transactions[0].amount == Decimal("206.00")


async def test_a_good_key_that_is_refused_now_and_then_is_asked_with_again(crm: SimulatedRenovatio) -> None:
    expected = crm.seed(1)
    crm.state.spurious_refusals, crm.state.codes_are_text = 3, True
    async with session(crm.account()) as line:
        records, _ = await pull(crm, line.http)
    assert ids(records) == expected
    assert line.slept == [2.0, 2.0, 2.0]


async def test_a_key_without_the_right_to_list_clinics_still_pulls_visits(crm: SimulatedRenovatio) -> None:
    expected = crm.seed(1)
    crm.state.denied.add("getClinics")
    with everything_logged() as logged:
        async with session(crm.account()) as line:
            places, _ = await pull(crm, line.http, stream="places")
            records, _ = await pull(crm, line.http)
            health = await crm.connector.check_health(line.http, crm.account())
    assert (places, ids(records)) == ([], expected)
    assert health.ok
    assert "renovatio_method_refused" in logged.getvalue()


async def test_a_key_without_the_right_to_read_visits_is_a_config_error(crm: SimulatedRenovatio) -> None:
    crm.state.denied.add("getAppointments")
    async with session(crm.account()) as line:
        with pytest.raises(ConfigError, match=r"no right to this method \(403\)"):
            await pull(crm, line.http)
        health = await crm.connector.check_health(line.http, crm.account())
    assert not health.ok
    assert "getAppointments" in health.message


async def test_health_names_the_clinics_and_those_that_are_not_there(crm: SimulatedRenovatio) -> None:
    crm.state.add_clinic("Clinic B")
    async with session(crm.account()) as line:
        good = await crm.connector.check_health(line.http, crm.account())
        bad = await crm.connector.check_health(line.http, crm.account(options={"clinic_ids": [2, 7]}))
    assert (good.ok, good.message) == (True, "Renovatio accepts the key; the account has 2 clinics: Clinic A, Clinic B")
    assert (bad.ok, bad.message) == (False, "The option clinic_ids names 7, which the account does not have")


async def test_the_key_travels_in_the_body_alone(crm: SimulatedRenovatio) -> None:
    async with session(crm.account()) as line:
        await pull(crm, line.http)
    assert {entry.query for entry in crm.state.requests.find()} == {""}
    assert {entry.method for entry in crm.state.requests.find()} == {"POST"}


# ------------------------------------------------------------------------------------------------------ single visits


async def test_a_visit_is_found_wherever_it_is_and_its_absence_is_certain(crm: SimulatedRenovatio) -> None:
    past = crm.seed(20)
    crm.clock.advance(days=3)
    booked = crm.state.add_visit(crm._patient, start=crm.clock.now + timedelta(days=200), announce=False)
    crm.state.change(booked.id, at=crm.clock.now - timedelta(days=90), announce=False)
    async with session(crm.account()) as line:
        for crm_id in (past[0], past[-1], visit_hash(booked.id)):
            record = await crm.connector.read(line.http, crm.account(), "visits", crm_id)
            assert record.crm_id == crm_id
        with pytest.raises(NotFoundError):
            await crm.connector.read(line.http, crm.account(), "visits", visit_hash(999))


async def test_a_visit_that_has_just_changed_costs_one_call(crm: SimulatedRenovatio) -> None:
    known = crm.seed(5)
    crm.clock.now = datetime.now(UTC).replace(microsecond=0)
    crm.touch(known[0])
    async with session(crm.account()) as line:
        await crm.connector.read(line.http, crm.account(), "visits", known[0])
    assert crm.requests() == 1


async def test_the_ids_of_all_visits_are_listed(crm: SimulatedRenovatio) -> None:
    known = crm.seed(12)
    booked = crm.state.add_visit(crm._patient, start=crm.clock.now + timedelta(days=100), announce=False)
    account = crm.account(since=crm.clock.now - 5 * crm.step)
    found: dict[str, list[str]] = {"all": [], "since": []}
    async with session(crm.account()) as line:
        for name, given in (("all", crm.account()), ("since", account)):
            async for page in crm.connector.list_ids(line.http, given, "visits"):  # type: ignore[attr-defined]
                found[name] += page
    assert sorted(found["all"]) == sorted([*known, visit_hash(booked.id)])
    assert sorted(found["since"]) == sorted([*known[-5:], visit_hash(booked.id)])


# ------------------------------------------------------------------------------------------------- salt and secrecy


@pytest.mark.parametrize("salt", ["", "s" * 31])
async def test_a_salt_too_short_stops_everything_before_the_first_call(crm: SimulatedRenovatio, salt: str) -> None:
    account: Account = crm.account(credentials={"api_key": SECRET, "salt": salt})
    async with session(account) as line:
        for stream in ("visits", "places"):
            with pytest.raises(ConfigError, match="at least 32 random bytes"):
                await pull(crm, line.http, account=account, stream=stream)
        with pytest.raises(ConfigError):
            await crm.connector.read(line.http, account, "visits", "a" * 64)
        health = await crm.connector.check_health(line.http, account)
    assert not health.ok
    assert "32 random bytes" in health.message
    assert crm.requests() == 0


async def test_another_salt_than_the_first_is_refused_because_each_visit_would_count_twice(
    crm: SimulatedRenovatio,
) -> None:
    crm.seed(1)
    other = crm.account(credentials={"api_key": SECRET, "salt": "t" * 32})
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http)
        with pytest.raises(ConfigError, match="each visit would count twice"):
            await pull(crm, line.http, cursor, account=other)
    assert SALT not in str(cursor)


class Babbling(httpx.AsyncBaseTransport):
    """A server, or something before it, that names a patient wherever it can."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        desc = {"code": NAME if self.kind == "odd code" else 400, "desc": NAME, "message": NAME}
        match self.kind:
            case "protocol error":
                raise httpx.RemoteProtocolError(f"illegal header line: bytearray(b'{NAME}')", request=request)
            case "decoding":
                return httpx.Response(200, text=f'{{"error": {NAME}')
            case "no envelope":
                return httpx.Response(200, json={"message": NAME})
            case "data are text":
                return httpx.Response(200, json={"error": 0, "data": NAME})
            case "redirect":
                return httpx.Response(302, headers={"location": f"https://x/?{NAME.encode().hex()}"}, text=NAME)
            case kind if kind.isdigit():
                return httpx.Response(int(kind), json={"error": 1, "data": desc, "message": NAME, "errors": [NAME]})
        return httpx.Response(200, json={"error": 1, "data": desc})


KINDS = ["refusal", "odd code", "protocol error", "decoding", "no envelope", "data are text", "redirect"]
STATUSES = ["400", "401", "402", "403", "404", "408", "422", "429", "500", "503"]


@pytest.mark.parametrize("is_confidential", [True, False], ids=["as the flows open it", "by the connector alone"])
@pytest.mark.parametrize("kind", [*KINDS, *STATUSES])
async def test_no_error_and_no_line_of_the_log_repeats_a_word_of_the_vendor(
    crm: SimulatedRenovatio, kind: str, is_confidential: bool
) -> None:
    if kind == "protocol error" and not is_confidential:
        is_confidential = True  # the connector does not see these: the session alone can keep them quiet
    account = crm.account()
    with everything_logged() as logged:
        async with session(
            account, retry_attempts=1, transport=Babbling(kind), is_confidential=is_confidential
        ) as line:
            with pytest.raises(ConnectorError) as caught:
                await pull(crm, line.http, account=account)
            health = await crm.connector.check_health(line.http, account)
    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value)) + repr(health)
    for text in (told, logged.getvalue()):
        assert "Передонова" not in text
        assert "79161234567" not in text
    assert not health.ok
    expected = {"400": PermanentError, "422": PermanentError, "429": RetryError, "503": RetryError, "404": ConfigError}
    assert isinstance(caught.value, expected.get(kind, ConnectorError))


async def test_a_cursor_survives_the_database(crm: SimulatedRenovatio) -> None:
    crm.seed(8)
    async with session(crm.account()) as line:
        _, cursor = await pull(crm, line.http, pages=1)
    assert stored(cursor) == cursor
