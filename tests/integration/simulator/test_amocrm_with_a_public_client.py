"""A public client of amoCRM, `amocrm-api` from PyPI, runs unchanged against the simulator: it behaves like the vendor.

The client builds its addresses itself (`https://SUBDOMAIN.amocrm.ru`), so the test leads what goes there to the
simulator, at the level of the network, below the client.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

from connectors.amocrm.simulator import SimulatorState, create_app
from tests.support.http_server import serve

v2 = pytest.importorskip("amocrm.v2", reason="amocrm-api is not installed: pip install -e .[dev]")
VENDOR = "https://demo.amocrm.ru"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatorState]:
    """An account where somebody has just granted access to the client."""
    from amocrm.v2 import tokens

    state = SimulatorState(rate_limit=0)
    send = HTTPAdapter.send
    with serve(create_app(state)) as url:

        def rerouted(self: HTTPAdapter, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
            assert request.url is not None
            assert request.url.startswith(VENDOR + "/"), urlsplit(request.url).netloc
            request.url = url + request.url.removeprefix(VENDOR)
            return send(self, request, **{**settings, "proxies": None})

        monkeypatch.setattr(HTTPAdapter, "send", rerouted)
        monkeypatch.setattr(tokens.default_token_manager, "_storage", None)
        tokens.default_token_manager(
            client_id=state.client_id,
            client_secret=state.client_secret,
            subdomain="demo",
            redirect_url=state.redirect_uri,
            storage=tokens.MemoryTokensStorage(),
        )
        tokens.default_token_manager.init(code=state.oauth.code())
        yield state


def test_it_reads_leads_with_stage_pipeline_and_contact(account: SimulatorState) -> None:
    contact = account.add_contact("Анна Петрова", phones=["+79990000001"])
    made = [account.add_lead(f"Сделка {number}", price=number, contacts=[contact]) for number in range(260)]
    leads = list(v2.Lead.objects.all())
    assert [lead.id for lead in leads] == made
    account.move_lead(made[0], 142)
    lead = v2.Lead.objects.get(made[0])
    assert (lead.status.name, lead.pipeline.name) == ("Успешно реализовано", "Воронка")
    assert lead.closed_at is not None
    assert [person.name for person in lead.contacts] == ["Анна Петрова"]


def test_it_creates_and_changes_leads_and_contacts(account: SimulatorState) -> None:
    lead = v2.Lead.objects.create(name="Кухня", price=1000)
    assert account.leads[lead.id]["price"] == 1000
    found = v2.Lead.objects.get(lead.id)
    found.name = "Кухня, белая"
    found.save()
    assert account.leads[lead.id]["name"] == "Кухня, белая"
    contact = v2.Contact.objects.create(name="Иван")
    assert account.contacts[contact.id]["name"] == "Иван"


def test_it_filters_and_finds_what_is_not_there(account: SimulatorState) -> None:
    from amocrm.v2 import exceptions, filters

    now = datetime.now(UTC)
    old = account.add_lead("Старая", at=now - timedelta(days=2))
    new = account.add_lead("Новая", at=now - timedelta(minutes=1))
    since = filters.DateRangeFilter("updated_at")(now - timedelta(hours=1), now)
    assert [lead.id for lead in v2.Lead.objects.filter(filters=[since])] == [new]
    with pytest.raises(exceptions.NotFound):
        v2.Lead.objects.get(999_999)
    account.switches.has_filters = False
    assert [lead.id for lead in v2.Lead.objects.filter(filters=[since])] == [old, new]


def test_it_reads_the_log_of_stages(account: SimulatorState) -> None:
    from amocrm.v2 import filters
    from amocrm.v2.entity.events import Event

    [pipeline] = account.pipelines
    first, second, _ = account.stages(pipeline)
    lead = account.add_lead("Сделка")
    account.move_lead(lead, second)
    kind = filters.SingleFilter("type")("lead_status_changed")
    [event] = Event.objects.filter(filters=[kind])
    assert (event.entity_id, event.value_before["id"], event.value_after["id"]) == (lead, first, second)


def test_it_refreshes_its_tokens_when_they_expire(account: SimulatorState) -> None:
    from amocrm.v2 import tokens

    storage = tokens.default_token_manager._storage
    before = storage.get_refresh_token()
    real, account.clock = account.clock, lambda: datetime.now(UTC) - timedelta(days=2)
    account.oauth.issue(refresh_token=before)  # a pair of two days ago
    storage.save_tokens(account.oauth._pairs[before], before)
    account.clock = real
    account.add_lead("Сделка")
    assert len(list(v2.Lead.objects.all())) == 1
    assert account.oauth.refreshes == 1
    assert storage.get_refresh_token() != before


def test_refused_tokens_and_blocks_are_what_the_client_knows(account: SimulatorState) -> None:
    from amocrm.v2 import exceptions

    account.oauth.expire_access()
    with pytest.raises(exceptions.UnAuthorizedException):
        v2.Lead.objects.get(1)
    account.switches.is_blocked = True
    with pytest.raises(exceptions.PermissionsDenyException):
        v2.Lead.objects.get(1)
