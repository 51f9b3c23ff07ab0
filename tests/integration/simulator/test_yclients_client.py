"""A public client library of YCLIENTS, unchanged, against the simulator: it was made from the vendor's own
specification and checks every answer against that, so what it reads here it would read there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from yclients import YclientsClient, parse_webhook
from yclients.exceptions import YclientsApiError, YclientsAuthError, YclientsNotFoundError, YclientsRateLimitError
from yclients.models.schemas import CompanyCompanyidClientsSearchRequestDataTypes as Search
from yclients.models.schemas import RecordsCompanyidRequestDataTypes as Booking
from yclients.webhooks import ClientWebhook, FinancesOperationWebhook, RecordWebhook

from connectors.yclients.simulator import SimulatorState, create_app
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def state() -> SimulatorState:
    state = SimulatorState(company_id=77, timezone="Europe/Moscow", clock=lambda: NOW, per_second=0, per_minute=0)
    state.add_staff("Анна")
    state.add_service("Стрижка", 900)
    return state


@pytest.fixture
def url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as url:
        yield url


@pytest.fixture
async def client(state: SimulatorState, url: str) -> AsyncIterator[YclientsClient]:
    async with YclientsClient(state.partner_token, state.user_token, base_url=url, max_retries=0) as client:
        yield client


async def test_it_reads_the_company_its_staff_services_and_accounts(client: YclientsClient) -> None:
    [company] = await client.companies.list(my=1)
    assert (company.id_, company.title) == (77, "Студия «Миндаль»")
    assert [one.name for one in await client.staff.list(77, "")] == ["Анна"]
    assert [one.title for one in await client.services.list(77, "")] == ["Стрижка"]
    assert [one.title for one in await client.accounts.list(77)] == ["Основная касса", "Расчётный счёт"]


async def test_it_reads_records_with_their_client_services_and_payment(
    client: YclientsClient, state: SimulatorState
) -> None:
    guest = state.add_client("Иван", phone="+79990000001")
    record = state.add_record(list(state.services), client_id=guest.id, start=NOW)
    state.pay(record.id)
    [read] = await client.records.list(77, page_=1, count_=50)
    assert (read.id_, read.company_id, read.paid_full, read.deleted) == (record.id, 77, 1, False)
    assert (read.date, read.datetime) == ("2026-03-02 12:00:00", "2026-03-02T12:00:00+03:00")
    assert read.last_change_date == "2026-03-02T12:00:00+0300"
    assert [(line.title, line.cost, line.amount) for line in read.services] == [("Стрижка", 900, 1)]
    assert (read.client_.id_, read.client_.phone) == (guest.id, "+79990000001")
    # Of a single read this library knows no client but a text.
    other = state.add_record(list(state.services), start=NOW)
    assert (await client.records.get(77, other.id)).id_ == other.id


async def test_deleted_records_come_only_when_asked_for_and_lists_have_pages(
    client: YclientsClient, state: SimulatorState
) -> None:
    known = [state.add_record(at=NOW - timedelta(days=number)).id for number in range(5)]
    state.delete_record(known[0])
    assert len(await client.records.list(77)) == 4
    with_deleted = await client.records.list(77, with_deleted=True)
    assert [one.id_ for one in with_deleted if one.deleted] == [known[0]]
    pages = [await client.records.list(77, page_=page, count_=2, with_deleted=True) for page in (1, 2, 3, 4)]
    assert [[one.id_ for one in page] for page in pages] == [known[:2], known[2:4], known[4:], []]
    changed = await client.records.list(77, changed_after=datetime(2026, 2, 28, 12, 0), with_deleted=True)
    assert {one.id_ for one in changed} == {known[0], known[1], known[2]}


async def test_it_books_and_deletes(client: YclientsClient, state: SimulatorState) -> None:
    [staff_id], [service_id] = state.staff, state.services
    booking = Booking.model_validate({
        "staff_id": staff_id,
        "services": [{"id": service_id}],
        "client": {"name": "Пётр", "phone": "+79990000002"},
        "datetime": "2026-03-05T15:00:00+03:00",
        "seance_length": 3600,
        "save_if_busy": False,
        "send_sms": False,
    })  # fmt: skip
    [booked] = await client.records.create(77, booking)
    assert state.records[int(booked.id_)].start == datetime(2026, 3, 5, 12, 0, tzinfo=UTC)
    with pytest.raises(YclientsApiError) as caught:
        await client.records.create(77, booking)
    assert caught.value.status_code == 409
    await client.records.delete(77, booked.id_)
    assert state.records[int(booked.id_)].deleted
    with pytest.raises(YclientsNotFoundError):
        await client.records.get(77, booked.id_)


async def test_it_reads_clients_by_list_by_search_and_one(client: YclientsClient, state: SimulatorState) -> None:
    first, second = state.add_client("Иван", phone="+79990000001"), state.add_client("Анна", phone="+79990000002")
    assert [one.phone for one in await client.clients.list(77, phone="0002")] == ["+79990000002"]
    found = await client.clients.search(77, Search(page_=1, page_size=200, order_by="name", order_by_direction="DESC"))
    assert [(one.id_, one.name) for one in found] == [(first.id, None), (second.id, None)]
    found = await client.clients.search(77, Search(fields=["id", "name"]))
    assert [(one.id_, one.name) for one in found] == [(first.id, "Иван"), (second.id, "Анна")]
    assert (await client.clients.get(77, first.id))["phone"] == "+79990000001"


async def test_it_reads_payments(client: YclientsClient, state: SimulatorState) -> None:
    guest = state.add_client("Иван", phone="+79990000001")
    record = state.add_record(list(state.services), client_id=guest.id)
    payment = state.pay(record.id)
    for payments in (
        await client.finance_transactions.list(77),
        await client.finance_transactions.list_timetable(77, record_id=record.id),
    ):
        [read] = payments
        assert (read.id_, read.amount, read.expense.id_) == (payment.id, 900, 5)
        assert (read.date, read.client_.phone) == ("2026-03-02T12:00:00+0300", "79990000001")


async def test_it_logs_in_with_the_partners_token_alone(state: SimulatorState, url: str) -> None:
    async with YclientsClient(state.partner_token, base_url=url, max_retries=0) as client:
        with pytest.raises(YclientsAuthError):
            await client.records.list(77)
        await client.login(state.login, state.password)
        assert client.user_token == state.user_token
        assert await client.records.list(77) == []


async def test_the_throttle_answers_200_or_429(client: YclientsClient, state: SimulatorState) -> None:
    state.limit_strikes = 1
    with pytest.raises(YclientsApiError, match="Превышен лимит") as caught:
        await client.records.list(77)
    assert caught.value.status_code is None
    state.limit_strikes, state.limit_answers_200 = 1, False
    with pytest.raises(YclientsRateLimitError):
        await client.records.list(77)


async def test_its_models_of_webhooks_read_what_the_simulator_sends(state: SimulatorState) -> None:
    state.set_hooks({
        "urls": ["http://127.0.0.1:1/never"], "active": 1, "record": 1, "client": 1, "finances_operation": 1,
    })  # fmt: skip
    guest = state.add_client("Иван", phone="+79990000001")
    record = state.add_record(list(state.services), client_id=guest.id)
    state.pay(record.id)
    sent = [parse_webhook(msgspec.json.encode(one.payload)) for one in state.webhooks.deliveries()]
    assert [(type(one), one.status) for one in sent] == [
        (ClientWebhook, "create"),
        (RecordWebhook, "create"),
        (RecordWebhook, "update"),
        (FinancesOperationWebhook, "create"),
    ]
    assert sent[2].data.paid_full in (True, 1)
    assert sent[3].data.record_id == record.id
