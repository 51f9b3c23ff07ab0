"""A public client of 1C's OData runs unchanged against the simulated base: this behaves as the vendor's does.

It is python-1c-odata of PyPI, which has its own opinion of paths, literals, pages and errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.onec.simulator import SimulatorState, create_app
from tests.support.http_server import serve

client = pytest.importorskip("python_1c_odata", reason="python-1c-odata of the extra dev is not installed")
pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def state() -> SimulatorState:
    state = SimulatorState(clock=lambda: NOW)
    tea, bun = state.add_item("Чай чёрный"), state.add_item("Булочка")
    for number in range(23):
        state.add_document([(tea, 1, 150.5), (bun, number, 100.0)], at=NOW + timedelta(minutes=number))
    return state


@pytest.fixture
def url(state: SimulatorState) -> Iterator[str]:
    with serve(create_app(state)) as address:
        yield address


async def test_it_filters_selects_counts_and_pages(state: SimulatorState, url: str) -> None:
    async with client.Infobase(url, state.name, state.username, state.password) as base:
        sales = client.Document(base, "РеализацияТоваровУслуг")
        dear = client.F("СуммаДокумента") > 2000
        page = await sales.query(top=2, select=["Ref_Key", "Date"], odata_filter=dear, inlinecount=True)
        # 150.50 + number * 100 is over 2000 from 19 on.
        assert page.count == 4
        assert [row["Date"] for row in page.value] == ["2026-03-02T12:19:00", "2026-03-02T12:20:00"]
        found = [row["Ref_Key"] async for row in sales.iterate(page_size=5)]
        assert found == list(state.documents)
        assert await sales.count() == 23
        goods = client.Catalog(base, "Номенклатура")
        named = goods.iterate(page_size=1, odata_filter=client.startswith(client.F("Description"), "Чай"))
        assert [row["Description"] async for row in named] == ["Чай чёрный"]


async def test_it_reads_one_document_and_posts_and_unposts_it(state: SimulatorState, url: str) -> None:
    key = next(iter(state.documents))
    async with client.Infobase(url, state.name, state.username, state.password) as base:
        sales = client.Document(base, "РеализацияТоваровУслуг")
        document = await sales.get(key)
        assert (document["СуммаДокумента"], document["Товары"][0]["LineNumber"]) == (150.5, "1")
        await sales.unpost(key)
        assert state.documents[key]["Posted"] is False
        await sales.post(key, client.PostingMode.POST)
        assert (await sales.get(key))["Posted"] is True


async def test_it_understands_the_errors(state: SimulatorState, url: str) -> None:
    async with client.Infobase(url, state.name, state.username, state.password) as base:
        with pytest.raises(client.EntityNotFound, match="не найдена"):
            await client.Catalog(base, "Нет").query(top=1)
        with pytest.raises(client.EntityNotFound, match="Экземпляр не найден"):
            await client.Document(base, "РеализацияТоваровУслуг").get("11111111-2222-11ee-8000-0050569f0001")
        with pytest.raises(client.ODataError, match="HTTP 400"):
            await client.Catalog(base, "Номенклатура").query(top=1, odata_filter="Description eq")
    async with client.Infobase(url, state.name, state.username, "wrong") as base:
        with pytest.raises(client.ODataError, match="HTTP 401"):
            await client.Catalog(base, "Номенклатура").query(top=1)
