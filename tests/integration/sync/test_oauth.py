"""Access granted in the browser: by command, by callback, with the tokens encrypted and the state unforgeable."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import structlog.testing

from commands.application import application
from commands.failures import exit_code_of
from connectors.amocrm.simulator import SimulatorState, create_app
from connectors.errors import ConfigError
from database.encryption import Keyring
from database.environment import Environment
from database.repositories import credentials
from ingest_api.main import create_app as create_ingest
from ingest_api.routes.oauth import OAuthFlow
from sync import gateway, oauth
from sync.oauth import StateError
from sync.pull import pull_project
from sync.tokens import PostgresTokens
from tests.support.http_server import serve
from tests.support.world import World

pytestmark = pytest.mark.anyio
SECRET = "s3cret-of-the-integration"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def amo() -> Iterator[tuple[SimulatorState, str]]:
    state = SimulatorState(client_secret=SECRET, rate_limit=0)
    with serve(create_app(state)) as url:
        yield state, url


@pytest.fixture
async def shop(world: World, amo: tuple[SimulatorState, str]) -> World:
    state, url = amo
    await world.add_project(
        "deals", key="", crm="amocrm", base_url=url, timezone="Europe/Moscow", currency=None,
        webhook={"auth": "token"}, options={"rate_limit": {"requests": 1000, "per_seconds": 1}},
    )  # fmt: skip
    given = {"client_id": state.client_id, "client_secret": SECRET, "redirect_uri": state.redirect_uri}
    async with world.pool.connection() as connection, connection.transaction():
        await credentials.store(connection, world.keyring, "deals", {**given, "webhook.secret": "hook-secret"})
    return world


async def redirected(world: World) -> dict[str, str]:
    """What the browser brings back after the address was opened."""
    address = await oauth.authorize_url(world.pool, world.keyring, "amocrm", "deals")
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(address)
    query = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    query.pop("referer")  # the simulator's account is demo.amocrm.ru, and its address is not
    return query


@asynccontextmanager
async def ingest(world: World, environment: Environment) -> AsyncIterator[httpx.AsyncClient]:
    app = create_ingest(environment)
    app.state.oauth = OAuthFlow(world.url, world.keyring)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://elt.example.com") as client:
        yield client


async def test_access_granted_in_the_browser_lets_the_project_pull(
    shop: World, amo: tuple[SimulatorState, str], environment: Environment
) -> None:
    state, _ = amo
    contact = state.add_contact("Анна", phones=["+79990000001"])
    lead = state.add_lead("Кухня", price=289.5, contacts=[contact])
    state.move_lead(lead, 142)
    with pytest.raises(ConfigError, match="crm-elt oauth amocrm"):
        await pull_project(shop.pool, shop.keyring, "deals")
    query = await redirected(shop)
    async with ingest(shop, environment) as client:
        answer = await client.get("/oauth/amocrm/callback", params=query, headers={"accept": "text/html"})
    assert answer.status_code == 200
    assert "Демо" in answer.text
    assert "crm-elt project enable deals" in answer.text  # the pull before had stopped it
    await shop.execute(
        "update config.projects set is_enabled = true, disabled_reason = null where project_id = 'deals'"
    )
    await pull_project(shop.pool, shop.keyring, "deals")
    [sale] = await shop.rows("select external_id, amount, currency, phone_e164, state from core.transactions")
    assert sale == {
        "external_id": f"AMO-{lead}", "amount": sale["amount"], "currency": "RUB", "phone_e164": "+79990000001",
        "state": "active",
    }  # fmt: skip
    assert str(sale["amount"]) == "289.50"
    stages = await shop.rows("select status_id from core.order_status_events order by event_id")
    [pipeline] = state.pipelines
    assert [row["status_id"] for row in stages] == [f"{pipeline}/{state.stages(pipeline)[0]}", f"{pipeline}/142"]
    assert await shop.value("select count(*) from core.orders where has_items") == 1  # nothing is left to be read again


async def test_tokens_are_encrypted_and_no_secret_is_logged(
    shop: World, amo: tuple[SimulatorState, str], environment: Environment
) -> None:
    query = await redirected(shop)
    with structlog.testing.capture_logs() as logged:
        async with ingest(shop, environment) as client:
            answer = await client.get("/oauth/amocrm/callback", params=query)
            again = await client.get("/oauth/amocrm/callback", params=query)
    assert (answer.status_code, again.status_code) == (200, 400)
    assert "oauth_granted" in {entry["event"] for entry in logged}
    async with shop.pool.connection() as connection:
        account = await gateway.open_account(shop.pool, connection, shop.keyring, "deals")
    tokens = await PostgresTokens(shop.pool, shop.keyring, "deals", account.credentials).load()
    stored = await shop.rows("select * from sync.tokens")
    assert len(stored) == 1
    for secret in (SECRET, query["code"], query["state"], tokens["access_token"], tokens["refresh_token"]):
        assert len(secret) > 10
        assert secret.encode() not in bytes(stored[0]["ciphertext"])
        for text in (repr(logged), answer.text, again.text):
            assert secret not in text


async def test_a_state_that_is_forged_old_or_of_another_crm_is_refused_clearly(
    shop: World, amo: tuple[SimulatorState, str], environment: Environment
) -> None:
    good = oauth.make_state(shop.keyring, "amocrm", "deals", NOW)
    assert oauth.read_state(shop.keyring, "amocrm", good, NOW + timedelta(minutes=29)) == "deals"
    with pytest.raises(StateError, match="too long ago"):
        oauth.read_state(shop.keyring, "amocrm", good, NOW + timedelta(minutes=31))
    with pytest.raises(StateError, match="another CRM"):
        oauth.read_state(shop.keyring, "keycrm", good, NOW)
    moved = base64.urlsafe_b64decode(good + "==").replace(b"deals", b"other")
    for forged in ("", "x", "ї", good[:-6], good + "A" * 3000, base64.urlsafe_b64encode(moved).decode()):
        with pytest.raises(StateError, match="no state of this stack"):
            oauth.read_state(shop.keyring, "amocrm", forged, NOW)
    stranger = Keyring([b"x" * 32])
    with pytest.raises(StateError, match="no state of this stack"):
        oauth.read_state(shop.keyring, "amocrm", oauth.make_state(stranger, "amocrm", "deals", NOW), NOW)
    async with ingest(shop, environment) as client:
        page = await client.get("/oauth/amocrm/callback?code=c&state=x", headers={"accept": "text/html"})
        problem = await client.get("/oauth/amocrm/callback?code=c&state=x")
        declined = {**await redirected(shop), "error": "access_denied"}
        told = await client.get("/oauth/amocrm/callback", params=declined)
    assert (page.status_code, page.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "crm-elt oauth" in page.text
    assert (problem.status_code, problem.json()["code"]) == (400, "state_refused")
    assert (told.status_code, told.json()["code"]) == (400, "not_granted")
    assert amo[0].requests.count(path="/oauth2/access_token") == 0


async def test_the_callback_says_when_the_crm_or_the_database_is_away(
    shop: World, amo: tuple[SimulatorState, str], environment: Environment
) -> None:
    query = await redirected(shop)
    app = create_ingest(environment)
    app.state.oauth = OAuthFlow("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1", shop.keyring)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://elt.example.com") as client:
        away = await client.get("/oauth/amocrm/callback", params=query)
    assert (away.status_code, away.json()["code"]) == (503, "database_away")
    amo[0].faults.add("server_error", "/oauth2/access_token", times=None)
    await shop.execute("update config.projects set sync = '{\"retry_attempts\": 0}' where project_id = 'deals'")
    async with ingest(shop, environment) as client:
        down = await client.get("/oauth/amocrm/callback", params=query)
    assert (down.status_code, down.json()["code"]) == (503, "crm_away")


async def test_the_command_prints_the_address_and_finishes_by_hand(
    shop: World, amo: tuple[SimulatorState, str], capsys: pytest.CaptureFixture[str]
) -> None:
    def cli(*words: str) -> tuple[int, str, str]:
        code = exit_code_of(application, words, debug=False)
        said = capsys.readouterr()
        return code, said.out, said.err

    code, out, err = await asyncio.to_thread(cli, "oauth", "amocrm", "deals")
    assert code == 0, err
    address = out.strip().splitlines()[-1]
    assert dict(parse_qsl(urlsplit(address).query))["client_id"] == amo[0].client_id
    assert SECRET not in out
    query = await redirected(shop)
    whole = f"{amo[0].redirect_uri}?{httpx.QueryParams(query)}"
    for given in (whole, amo[0].oauth.code()):
        code, out, err = await asyncio.to_thread(cli, "oauth", "amocrm", "deals", "--code", given)
        assert (code, "deals has access. amoCRM accepts the token; the account is Демо." in out) == (0, True), err
    for words, told in (
        (("oauth", "amocrm", "deals", "--code", "guess"), "refuses the code"),
        (("oauth", "keycrm", "deals"), "is a project of amocrm"),
        (("oauth", "nocrm", "deals"), "no CRM"),
        (("oauth", "amocrm", "nobody"), "no project"),
    ):
        code, out, err = await asyncio.to_thread(cli, *words)
        assert code in (1, 2)
        assert told in err


async def test_many_processes_refresh_once(shop: World, amo: tuple[SimulatorState, str]) -> None:
    state, _ = amo
    await oauth.finish(shop.pool, shop.keyring, "amocrm", await redirected(shop))
    state.oauth.expire_access()
    healths = await asyncio.gather(*(gateway.check_health(shop.pool, shop.keyring, "deals") for _ in range(6)))
    assert all(health.ok for health in healths)
    assert state.oauth.refreshes == 1


async def test_the_registered_address_carries_the_projects_token(shop: World, amo: tuple[SimulatorState, str]) -> None:
    state, _ = amo
    await oauth.finish(shop.pool, shop.keyring, "amocrm", await redirected(shop))
    said = await gateway.register_webhook(shop.pool, shop.keyring, "deals", "https://elt.example.com/")
    assert "hook-secret" not in said
    assert [hook["destination"] for hook in state.hooks] == [
        "https://elt.example.com/webhooks/amocrm/deals?token=hook-secret"
    ]
