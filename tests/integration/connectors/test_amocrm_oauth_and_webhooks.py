"""amoCRM's OAuth2 and its webhooks, over real HTTP against the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI, Request

from connectors import registry
from connectors.amocrm.simulator import custom_field
from connectors.errors import ConfigError
from connectors.protocol import MappingContext, OAuthConnector, WebhookRequest
from connectors.records import Reread, Reversal
from connectors.tokens import MemoryTokens, Tokens
from tests.conformance.suite import SECRET, pull, session
from tests.conformance.test_amocrm import SimulatedAmoCrm, SimulatedOAuthAmoCrm, simulated
from tests.support.http_server import serve

pytestmark = pytest.mark.anyio
AMOCRM = registry.get("amocrm")
CONTEXT = MappingContext("shop", timezone="Europe/Moscow", region="RU", currency="RUB")


@pytest.fixture
def crm() -> Iterator[SimulatedAmoCrm]:
    with simulated() as crm:
        yield crm


@pytest.fixture
def oauth() -> Iterator[SimulatedOAuthAmoCrm]:
    with simulated(SimulatedOAuthAmoCrm) as crm:
        assert isinstance(crm, SimulatedOAuthAmoCrm)
        yield crm


# -------------------------------------------------------------------------------------------------------------- OAuth


async def test_tokens_that_expire_are_renewed_once_for_all_who_wait(oauth: SimulatedOAuthAmoCrm) -> None:
    account = oauth.account()
    async with session(account) as line:
        await AMOCRM.check_health(line.http, account)
        before = await account.tokens.load()
        oauth.state.oauth.expire_access()
        done = oauth.state.oauth.refreshes

        async def ask() -> None:
            assert (await AMOCRM.check_health(line.http, account)).ok

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask)
        after = await account.tokens.load()
    assert oauth.state.oauth.refreshes == done + 1
    assert after["refresh_token"] != before["refresh_token"] != SECRET


async def test_a_new_pair_is_stored_before_it_is_used(oauth: SimulatedOAuthAmoCrm) -> None:
    class Watching(MemoryTokens):
        uses: list[int]

        async def renew(self, stale: Tokens, obtain: Any) -> Tokens:
            fresh = await super().renew(stale, obtain)
            self.uses = [entry.status or 0 for entry in oauth.state.requests.find(below="/api/v4")]
            return fresh

    store = Watching()
    account = replace(oauth.account(), tokens=store)
    async with session(account) as line:
        assert (await AMOCRM.check_health(line.http, account)).ok
    assert store.uses == []  # nothing was asked of the API until the store had them


async def test_an_answer_to_a_refresh_that_is_lost_locks_nobody_out(oauth: SimulatedOAuthAmoCrm) -> None:
    oauth.state.faults.add("drop", "/oauth2/access_token", is_applied=True)
    account = oauth.account()
    async with session(account) as line:
        assert (await AMOCRM.check_health(line.http, account)).ok
    assert oauth.state.oauth.refreshes == 2


async def test_a_spent_refresh_token_says_to_authorise_again(oauth: SimulatedOAuthAmoCrm) -> None:
    account = oauth.account()
    async with session(account) as line:
        await AMOCRM.check_health(line.http, account)
        fresh = replace(account, tokens=MemoryTokens())  # as from a backup of the settings
        health = await AMOCRM.check_health(line.http, fresh)
        with pytest.raises(ConfigError, match="crm-elt oauth amocrm"):
            await pull(oauth, line.http, account=fresh)
    assert not health.ok
    assert "refresh_token" in health.message
    assert "crm-elt oauth amocrm" in health.message


async def test_a_code_becomes_tokens_and_strangers_are_refused(oauth: SimulatedOAuthAmoCrm) -> None:
    account = oauth.account()
    async with session(account) as line:
        assert isinstance(AMOCRM, OAuthConnector)
        code = oauth.state.oauth.code()
        for query, told in (
            ({}, "no code"),
            ({"error": "access_denied"}, "not granted"),
            ({"code": code, "referer": "other.amocrm.ru"}, "another account"),
            ({"code": code, "client_id": "someone"}, "another integration"),
            ({"code": "guess"}, "refuses the code"),
        ):
            with pytest.raises(ConfigError, match=told):
                await AMOCRM.exchange_code(line.http, account, query)
        tokens = await AMOCRM.exchange_code(line.http, account, {"code": code})
        assert set(tokens) == {"access_token", "refresh_token", "expires_at"}
        with pytest.raises(ConfigError, match="refuses the code"):
            await AMOCRM.exchange_code(line.http, account, {"code": code})
    tried = replace(account, tokens=MemoryTokens(tokens))
    async with session(tried) as line:
        assert (await AMOCRM.check_health(line.http, tried)).ok


# ----------------------------------------------------------------------------------------------------------- webhooks


async def test_a_webhook_is_registered_once_and_others_stay(crm: SimulatedAmoCrm) -> None:
    crm.state.hooks.append({"destination": "https://other.example.com/", "settings": ["add_lead"], "disabled": False})
    url = "https://elt.example.com/webhooks/amocrm/shop?token=hook-secret"
    async with session(crm.account()) as line:
        for expected in ("from now on", "already"):
            assert expected in await AMOCRM.register_webhook(line.http, crm.account(), url)
        crm.state.switches.may_hook = False
        crm.state.hooks.pop()
        assert "WebHooks" in await AMOCRM.register_webhook(line.http, crm.account(), url)
        assert "secret" in await AMOCRM.register_webhook(line.http, crm.account(), url.partition("?")[0])
    assert [hook["destination"] for hook in crm.state.hooks] == ["https://other.example.com/"]


async def test_what_the_account_sends_is_read(crm: SimulatedAmoCrm) -> None:
    received: list[tuple[str, bytes]] = []
    receiver = FastAPI()

    @receiver.post("/hook")
    async def hook(request: Request) -> dict[str, str]:
        received.append((request.headers["content-type"], await request.body()))
        return {}

    with serve(receiver) as url:
        async with session(crm.account()) as line:
            await AMOCRM.register_webhook(line.http, crm.account(), f"{url}/hook?token=t")
        lead = crm.state.add_lead("Сделка", price=289, fields=[custom_field(500, "Источник", "Сайт")])
        crm.clock.advance(minutes=1)
        [pipeline] = crm.state.pipelines
        second = crm.state.stages(pipeline)[1]
        crm.state.move_lead(lead, second)
        crm.state.delete("leads", lead)
        contact = crm.state.add_contact("Анна", phones=["+79990000001"])
        crm.state.sender.deliver_pending()
    batches = []
    for content_type, body in received:
        request = WebhookRequest("POST", {"content-type": content_type}, {}, body)
        batches.append(AMOCRM.map_webhook(CONTEXT, None, AMOCRM.check_webhook(request, CONTEXT), crm.clock.now))
    added, moved, deleted, _ = batches
    assert not any(batch.problems for batch in batches)
    assert [batch.rereads for batch in batches] == [
        [Reread("orders", str(lead))],
        [Reread("orders", str(lead))],
        [],
        [Reread("customers", str(contact))],
    ]
    assert not added.status_events[0].is_approximate
    assert [(e.status_id, e.status_changed_at) for e in moved.status_events] == [
        (f"{pipeline}/{second}", crm.clock.now)
    ]
    assert moved.orders[0].grand_total == Decimal(289)
    assert deleted.orders[0].is_deleted
    assert deleted.reversals == [Reversal(f"AMO-{lead}")]


def test_a_receiver_that_fails_a_hundred_times_is_switched_off(crm: SimulatedAmoCrm) -> None:
    hook = {"destination": "http://127.0.0.1:1/never", "settings": ["update_lead"], "disabled": False}
    crm.state.hooks.append(hook)
    [lead] = crm.seed(1)
    for _ in range(40):
        crm.touch(lead)
    crm.state.sender.deliver_pending()
    assert hook["disabled"]


def test_the_page_that_grants_access_leads_back_with_a_code(oauth: SimulatedOAuthAmoCrm) -> None:
    address = AMOCRM.authorize_url(oauth.account(), "signed-state")
    answer = httpx.get(address, follow_redirects=False, trust_env=False)
    assert answer.status_code == 302
    query = httpx.URL(answer.headers["location"]).params
    assert (query["state"], query["client_id"]) == ("signed-state", oauth.state.client_id)
    assert query["code"]
