"""What is 1C's own with the custom service and with credentials, over real HTTP against the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI

from connectors import registry
from connectors.errors import ConfigError, PermanentError, RetryError
from connectors.onec.simulator import SimulatorState, create_app, create_token_app
from connectors.protocol import Account, ReconcilingConnector
from connectors.records import Transaction
from tests.conformance.suite import SECRET, Clock, ids, pull, session
from tests.conformance.test_onec import SimulatedService
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio
ONEC = registry.get("onec")
assert isinstance(ONEC, ReconcilingConnector)
TOKEN_PATH = "/oauth/token"


@pytest.fixture
def crm() -> Iterator[SimulatedService]:
    clock = Clock()
    state = SimulatorState(client_secret=SECRET, password=SECRET, clock=clock)
    with serve(create_app(state)) as url, serve(create_token_app(state)) as token_url:
        yield SimulatedService(state, clock, url, token_url)


def basic(crm: SimulatedService, **changes: Any) -> Account:
    return crm.account(**{"credentials": {"username": crm.state.username, "password": SECRET}, **changes})


async def sales(crm: SimulatedService, account: Account) -> list[Transaction]:
    async with session(account) as line:
        records, _ = await pull(crm, line.http, account=account)
    batches = [ONEC.map_record(account.context, "transactions", one.crm_id, one.body) for one in records]
    assert not any(batch.problems for batch in batches)
    return [sale for batch in batches for sale in batch.transactions]


@pytest.mark.parametrize("ids_as", ["latin", "cyrillic", "bare", "number"])
@pytest.mark.parametrize("has_bom", [False, True])
@pytest.mark.parametrize("wraps", [False, True])
async def test_a_sale_is_the_same_however_the_service_writes_it(
    crm: SimulatedService, ids_as: Any, has_bom: bool, wraps: bool
) -> None:
    tea = crm.state.add_item("Чай")
    crm.state.add_document([(tea, 1, 1234567.89)], phone="89990001122")
    crm.state.service_ids, crm.state.service_has_bom, crm.state.service_wraps = ids_as, has_bom, wraps
    crm.state.service_amounts = "number" if wraps else "text"
    assert await sales(crm, basic(crm)) == [
        Transaction("1C-1", crm.clock.now, Decimal("1234567.89"), phone_e164="+79990001122", description="Чай")
    ]


async def test_one_sale_in_two_spellings_is_one_record(crm: SimulatedService) -> None:
    other = FastAPI()

    @other.get("/api/transactions")
    async def rows() -> list[dict[str, Any]]:
        row = {"date": "2026-03-02T12:00:00", "amount": 1}
        return [{"id": "1C-7", **row}, {"id": "1С-7", **row, "amount": 2}]

    with serve(other) as url:
        assert [(sale.external_id, sale.amount) for sale in await sales(crm, basic(crm, base_url=url))] == [
            ("1C-7", Decimal("2.00"))
        ]


@pytest.mark.parametrize("path", ["", "/trade/hs", "/trade/hs/api/transactions", "/api/transactions/"])
async def test_the_service_is_found_behind_a_proxy_and_by_its_whole_address(crm: SimulatedService, path: str) -> None:
    crm.add()
    assert len(await sales(crm, basic(crm, base_url=crm.server + path))) == 1


@pytest.mark.parametrize("compares", ["date", "changed"])
@pytest.mark.parametrize("includes", [True, False])
async def test_since_is_the_bases_own_time_a_little_before_the_newest_sale(
    crm: SimulatedService, compares: Any, includes: bool
) -> None:
    crm.state.service_since, crm.state.service_includes_since = compares, includes
    account = basic(crm)
    async with session(account) as line:
        crm.seed(3)  # the last one at 09:02 UTC
        _, cursor = await pull(crm, line.http, account=account)
        crm.clock.advance(hours=1)
        late = crm.add(at=crm.clock.now - timedelta(hours=1))
        again, _ = await pull(crm, line.http, cursor, account=account)
    first, second = crm.state.requests.find("GET", crm.path)
    assert first.params["since"] == "2000-01-01T00:00:00"
    assert second.params["since"] == "2026-03-02T11:47:00"  # Moscow is 3 hours ahead
    assert late in ids(again)


async def test_how_far_to_look_back_is_an_option(crm: SimulatedService) -> None:
    account = basic(crm, options={"look_back_days": 7})
    crm.add()
    async with session(account) as line:
        _, cursor = await pull(crm, line.http, account=account)
        await pull(crm, line.http, cursor, account=account)
    assert crm.state.requests.find("GET", crm.path)[1].params["since"] == "2026-02-23T12:00:00"


async def test_a_sale_of_the_future_does_not_hide_those_of_today(crm: SimulatedService) -> None:
    crm.state.service_since = "date"
    account = basic(crm)
    crm.add(at=crm.clock.now + timedelta(days=400))
    async with session(account) as line:
        _, cursor = await pull(crm, line.http, account=account)
        crm.clock.advance(hours=1)
        today = crm.add()
        again, _ = await pull(crm, line.http, cursor, account=account)
    assert today in ids(again)


async def test_a_row_without_an_id_is_told_and_the_others_come(crm: SimulatedService) -> None:
    other = FastAPI()

    @other.get("/api/transactions")
    async def rows() -> list[Any]:
        return [7, {"amount": 1}, {"id": 5, "date": "2026-03-02T12:00:00", "amount": 1}]

    with serve(other) as url:
        account = basic(crm, base_url=url)
        async with session(account) as line:
            [page] = [page async for page in ONEC.pull(line.http, account, "transactions", None)]
    assert [record.crm_id for record in page.records] == ["5"]
    assert list(page.problems) == [
        "/api/transactions: row 1 of the answer cannot be read: it is not an object",
        "/api/transactions: row 2 of the answer cannot be read: it has no id in id",
    ]


async def test_an_answer_that_is_no_list_is_a_retry_error(crm: SimulatedService) -> None:
    other = FastAPI()

    @other.get("/api/transactions")
    async def rows() -> dict[str, str]:
        return {"error": "busy"}

    with serve(other) as url:
        account = basic(crm, base_url=url)
        async with session(account) as line:
            with pytest.raises(RetryError, match="neither a list"):
                await pull(crm, line.http, account=account)
            assert not (await ONEC.check_health(line.http, account)).ok


async def test_a_service_that_breaks_is_asked_again_and_its_text_is_not_told(crm: SimulatedService) -> None:
    crm.state.service_breaks = True
    account = basic(crm)
    async with session(account) as line:
        with pytest.raises(RetryError, match=r"answers 500$"):
            await pull(crm, line.http, account=account)
    assert len(line.slept) == 3


async def test_the_service_lists_no_ids(crm: SimulatedService) -> None:
    async with session(basic(crm)) as line:
        with pytest.raises(PermanentError, match="takes OData"):
            [page async for page in ONEC.list_ids(line.http, basic(crm), "transactions")]


# ------------------------------------------------------------------------------------------------------- credentials


@pytest.mark.parametrize(
    ("username", "text"),
    [("a:b", "colon"), ("a\nb", "characters"), ("  ", "username is not set"), ("никто", "refuses the credentials")],
)
async def test_a_user_that_cannot_sign_in_is_a_config_error(crm: SimulatedService, username: str, text: str) -> None:
    account = crm.account(credentials={"username": username, "password": SECRET})
    async with session(account) as line:
        with pytest.raises(ConfigError, match=text):
            await pull(crm, line.http, account=account)


async def test_one_token_serves_all_requests_until_it_is_refused_then_one_more_is_fetched(
    crm: SimulatedService,
) -> None:
    account = crm.account()
    async with session(account) as line:
        for _ in range(3):
            await pull(crm, line.http, account=account)
        assert crm.state.requests.count("POST", TOKEN_PATH) == 1
        crm.state.revoke_tokens()
        await pull(crm, line.http, account=account)
        assert crm.state.requests.count("POST", TOKEN_PATH) == 2
    assert crm.state.requests.count(path=crm.path, status=401) == 1


async def test_a_token_that_is_about_to_expire_is_replaced_before_it_is_refused(crm: SimulatedService) -> None:
    crm.state.token_seconds = 20
    account = crm.account()
    async with session(account) as line:
        for _ in range(2):
            await pull(crm, line.http, account=account)
    assert crm.state.requests.count("POST", TOKEN_PATH) == 2
    assert crm.state.requests.count(status=401) == 0


async def test_a_token_server_may_want_the_client_in_the_form(crm: SimulatedService) -> None:
    crm.state.takes_client_in = "form"
    crm.add()
    assert len(await sales(crm, crm.account())) == 1


async def test_a_base_that_does_not_trust_the_token_is_told_apart_from_wrong_credentials(
    crm: SimulatedService,
) -> None:
    foreign = SimulatorState(client_secret=SECRET, clock=crm.clock, seed=5)
    with serve(create_token_app(foreign)) as url:
        account = crm.account(credentials={**crm.credentials(SECRET), "token_url": url + TOKEN_PATH})
        async with session(account) as line:
            with pytest.raises(ConfigError, match="let the base trust it"):
                await pull(crm, line.http, account=account)
    assert foreign.requests.count("POST", TOKEN_PATH) == 2


async def test_health_tries_the_credentials_though_a_token_is_stored(crm: SimulatedService) -> None:
    account = crm.account()
    async with session(account) as line:
        await pull(crm, line.http, account=account)
        wrong = replace(account, credentials=crm.credentials("another-secret"))
        health = await ONEC.check_health(line.http, wrong)
    assert not health.ok
    assert "client_id and client_secret" in health.message


@pytest.mark.parametrize(
    ("token_url", "text"), [("/token", "token_url must be"), ("http://127.0.0.1:1/token", "check token_url")]
)
async def test_a_wrong_token_url_is_named(crm: SimulatedService, token_url: str, text: str) -> None:
    account = crm.account(credentials={**crm.credentials(SECRET), "token_url": token_url})
    async with session(account, secrets=(), retry_attempts=0) as line:
        health = await ONEC.check_health(line.http, account)
    assert not health.ok
    assert text in health.message
