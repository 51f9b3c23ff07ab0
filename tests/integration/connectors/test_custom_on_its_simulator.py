"""What is a custom definition's own, over real HTTP against the made-up vendor Orchard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI, Response
from starlette.responses import RedirectResponse

from connectors import registry
from connectors.custom.simulator import PREFIX, SimulatorState, create_app
from connectors.errors import ConfigError, PermanentError
from connectors.protocol import Account
from tests.conformance.suite import SECRET, Clock, ids, pull, session
from tests.conformance.test_custom import SimulatedOrchard
from tests.support.http_server import serve
from tests.support.orchard import AUTHS, PAGINGS, json_definition, xml_definition

pytestmark = pytest.mark.anyio
CUSTOM = registry.get("custom")


@contextmanager
def orchard(definition: dict[str, Any] | None = None, **manners: Any) -> Iterator[SimulatedOrchard]:
    clock = Clock()
    state = SimulatorState(SECRET, clock=clock, **manners)
    with serve(create_app(state)) as url:
        yield SimulatedOrchard(state, definition or json_definition(), clock, url + PREFIX)


def oauth2(crm: SimulatedOrchard) -> Account:
    address = crm.account().base_url.removesuffix(PREFIX)
    auth = {"type": "oauth2", "token_url": f"{address}/oauth/token", "client_id": "login", "client_secret": "api_key"}
    return with_definition(crm, {**crm.definition, "auth": auth})


def with_definition(crm: SimulatedOrchard, definition: dict[str, Any]) -> Account:
    options = {"definition": definition}
    return crm.account(options=options, context=replace(crm.account().context, options=options))


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("paging", PAGINGS)
async def test_every_way_of_paging_and_authenticating_brings_every_record(paging: str, auth: str, form: str) -> None:
    definition = json_definition(paging, auth) if form == "json" else xml_definition(paging, auth)
    with orchard(definition, form=form, auth=auth, paging=paging) as crm:
        expected = crm.seed(12)
        async with session(crm.account()) as line:
            records, cursor = await pull(crm, line.http)
            assert ids(records) == expected
            crm.clock.advance(hours=1)
            crm.touch(expected[3])
            again, _ = await pull(crm, line.http, cursor)
        assert expected[3] in ids(again)
        assert len(again) <= 7


@pytest.mark.parametrize("paging", ["page", "offset"])
async def test_a_vendor_that_gives_fewer_rows_than_asked_for_is_read_to_the_end(paging: str) -> None:
    with orchard(json_definition(paging), paging=paging, most_per_page=3) as crm:
        expected = crm.seed(11)
        async with session(crm.account()) as line:
            records, _ = await pull(crm, line.http)
        assert sorted(ids(records), key=int) == expected


async def test_oauth2_tokens_are_fetched_once_used_by_all_requests_and_renewed_when_refused() -> None:
    with orchard(auth="oauth2") as crm:
        expected = crm.seed(12)
        account = oauth2(crm)
        async with session(account) as line:
            assert ids((await pull(crm, line.http, account=account))[0]) == expected
            assert crm.state.requests.count(path="/oauth/token") == 1
            crm.state.tokens.clear()
            assert ids((await pull(crm, line.http, account=account))[0]) == expected
            assert crm.state.requests.count(path="/oauth/token") == 2
        assert (await account.tokens.load())["access_token"] == "orchard-token-1"


async def test_oauth2_with_a_wrong_secret_names_the_credentials() -> None:
    with orchard(auth="oauth2") as crm:
        account = replace(oauth2(crm), credentials={"login": "orchard", "api_key": "wrong-secret"})
        async with session(account) as line:
            health = await CUSTOM.check_health(line.http, account)
    assert not health.ok
    assert "client_secret" in health.message
    assert "wrong-secret" not in health.message


async def test_oauth2_asks_no_token_url_inside_that_is_not_allowed() -> None:
    with orchard(auth="oauth2") as crm:
        account = oauth2(crm)
        account.options["definition"]["auth"]["token_url"] = "http://localhost:1/token"  # type: ignore[index]
        async with session(account) as line:
            with pytest.raises(ConfigError, match="localhost is an address of this machine"):
                await pull(crm, line.http, account=account)
        assert crm.requests() == 0


async def test_this_machine_is_not_asked_unless_the_definition_allows_it() -> None:
    with orchard() as crm:
        account = with_definition(crm, {**crm.definition, "allow_hosts": []})
        async with session(account) as line:
            with pytest.raises(ConfigError, match="allow_hosts"):
                await pull(crm, line.http, account=account)
            with pytest.raises(ConfigError, match="allow_hosts"):
                await CUSTOM.read(line.http, account, "orders", "1")
            assert "allow_hosts" in (await CUSTOM.check_health(line.http, account)).message
        assert crm.requests() == 0


def vendor(content: bytes, media_type: str = "application/json") -> FastAPI:
    app = FastAPI()

    @app.get("/orders")
    async def orders() -> Response:
        return Response(content, media_type=media_type)

    @app.get("/away")
    async def away() -> Response:
        return RedirectResponse("http://169.254.169.254/latest/meta-data")

    return app


async def pulled_from(app: FastAPI, **changes: Any) -> list[str]:
    definition = json_definition("next_link")
    definition["entities"]["orders"] |= {"incremental": None, **changes.pop("orders", {})}
    definition |= changes
    with orchard(definition) as crm, serve(app) as url:
        account = crm.account(base_url=url)
        async with session(account, retry_attempts=0) as line:
            return ids((await pull(crm, line.http, account=account))[0])


async def test_a_redirect_is_not_followed() -> None:
    with pytest.raises(ConfigError, match="redirect"):
        await pulled_from(vendor(b""), orders={"path": "/away"})


async def test_a_link_to_another_host_is_not_followed() -> None:
    body = b'{"meta":{"next":"http://evil.example.com/orders"},"data":[{"id":1}]}'
    with pytest.raises(PermanentError, match="another host"):
        await pulled_from(vendor(body))


async def test_an_answer_that_is_too_large_is_given_up() -> None:
    body = b'{"data":[' + b" " * 1_100_000 + b"]}"
    with pytest.raises(PermanentError, match="larger than 1 MiB"):
        await pulled_from(vendor(body), max_response_mb=1)
    assert await pulled_from(vendor(body)) == []


async def test_a_vendor_that_gives_the_same_page_for_ever_is_noticed() -> None:
    for paging in ("page", "offset", "next_link"):
        body = b'{"meta":{"next":"/orders?again"},"data":[{"id":1},{"id":2},{"id":3},{"id":4},{"id":5}]}'
        with pytest.raises(ConfigError, match="same page comes again"):
            await pulled_from(vendor(body), orders={"pagination": PAGINGS[paging]})


async def test_rows_that_are_no_records_are_problems_and_the_others_are_read() -> None:
    body = b'{"data":[{"id":1},{"x":2},7,{"id":4}]}'
    with orchard(json_definition("next_link")) as crm, serve(vendor(body)) as url:
        account = crm.account(base_url=url)
        async with session(account) as line:
            [page] = [page async for page in CUSTOM.pull(line.http, account, "orders", None)]
    assert ids(page.records) == ["1", "4"]
    assert list(page.problems) == [
        "orders: row 2 of a page has no id: fields.id: nothing is at $.id",
        "orders: row 3 is no record: expected an object, got number",
    ]


async def test_xml_with_a_document_type_is_no_answer() -> None:
    body = b'<!DOCTYPE orders [<!ENTITY a "b">]><orders><order id="1"/></orders>'
    definition = xml_definition()
    with orchard(definition) as crm, serve(vendor(body, "application/xml")) as url:
        account = crm.account(base_url=url)
        async with session(account, retry_attempts=0) as line:
            health = await CUSTOM.check_health(line.http, account)
    assert not health.ok
    assert "DTD" in health.message


async def test_health_reads_the_first_pages_and_says_what_failed_or_that_there_was_nothing() -> None:
    with orchard() as crm:
        async with session(crm.account()) as line:
            empty = await CUSTOM.check_health(line.http, crm.account())
            assert (empty.ok, empty.is_proof) == (True, False)
            crm.seed(7)
            crm.state.add_sale(sum="12.50")
            good = await CUSTOM.check_health(line.http, crm.account())
            assert (good.ok, good.is_proof) == (True, True)
            assert "5 orders and 1 transactions and 0 customers" in good.message
            crm.state.add_sale(at=crm.clock.now, title="x", sum="1")["at"] = "soon"
            bad = await CUSTOM.check_health(line.http, crm.account())
    assert not bad.ok
    assert "transactions: record 2: fields.occurred_at: expected a time, got 'soon'" in bad.message


async def test_a_vendor_that_ignores_the_time_is_read_whole_and_old_records_are_left_out() -> None:
    with orchard(ignores_since=True) as crm:
        crm.seed(3)
        crm.clock.advance(days=1)
        since = crm.clock.now
        crm.clock.advance(minutes=1)
        new = crm.add()
        account = crm.account(since=since)
        async with session(account) as line:
            records, _ = await pull(crm, line.http, account=account)
    assert ids(records) == [new]


async def test_times_go_out_as_the_definition_writes_them() -> None:
    with orchard() as crm:
        written = {}
        # 09:00:30.5 UTC on 2 March is 11:00:30 in Kyiv.
        since = crm.clock.now + timedelta(seconds=30.5)
        for form in ("iso", "date", "epoch", "epoch_ms", "%d.%m.%Y %H:%M"):
            definition = json_definition()
            definition["entities"]["orders"]["incremental"] = {"param": "updated_since", "format": form}
            account = replace(with_definition(crm, definition), since=since)
            async with session(account) as line:
                await pull(crm, line.http, account=account)
            written[form] = crm.state.requests.find(path="/orders")[-1].params["updated_since"]
    assert written == {
        "iso": "2026-03-02T09:00:30Z",
        "date": "2026-03-02",
        "epoch": "1772442030",
        "epoch_ms": "1772442030000",
        "%d.%m.%Y %H:%M": "02.03.2026 11:00",
    }


async def test_paths_and_parameters_are_templates_and_stay_below_base_url() -> None:
    with orchard() as crm:
        crm.seed(1)
        definition = json_definition()
        definition["entities"]["orders"] |= {
            "params": {"updated_since": "{{ since }}", "shop": "{{ project | upper }}"},
            "incremental": {"format": "iso"},
        }
        account = with_definition(crm, definition)
        async with session(account) as line:
            records, _ = await pull(crm, line.http, account=account)
            assert len(records) == 1
            params = crm.state.requests.find(path="/orders")[0].params
            assert params["shop"] == "SHOP"
            assert "updated_since" not in params
            definition["entities"]["orders"]["path"] = "/orders/../sales"
            account = with_definition(crm, definition)
            with pytest.raises(ConfigError, match="out of base_url"):
                await pull(crm, line.http, account=account)


async def test_ids_of_all_records_are_listed_for_the_comparison_where_the_list_is_whole() -> None:
    with orchard() as crm:
        known = crm.seed(7)
        crm.remove(known[2])
        async with session(crm.account()) as line:
            listed = [one async for page in CUSTOM.list_ids(line.http, crm.account(), "orders") for one in page]  # type: ignore[attr-defined]
            assert sorted(set(listed), key=int) == [one for one in known if one != known[2]]
            definition = json_definition()
            definition["entities"]["orders"]["lists_all"] = False
            account = with_definition(crm, definition)
            with pytest.raises(ConfigError, match="lists_all"):
                [page async for page in CUSTOM.list_ids(line.http, account, "orders")]  # type: ignore[attr-defined]
