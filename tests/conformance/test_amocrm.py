"""amoCRM passes the suite of all connectors: with a long-lived token and OAuth2, with filters and without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from connectors import registry
from connectors.amocrm.simulator import SimulatorState, create_app, custom_field
from connectors.protocol import Account, MappingContext, WebhookRequest, Window
from connectors.tokens import MemoryTokens
from tests.conformance.suite import SECRET, Clock, ConnectorConformance, Fault, SimulatedCrm
from tests.support.http_server import serve


class SimulatedAmoCrm(SimulatedCrm):
    connector = registry.get("amocrm")
    page_size = 5
    asked_size = 5

    def __init__(self, state: SimulatorState, clock: Clock, base_url: str) -> None:
        self.state = state
        self.clock = clock
        self._base_url = base_url
        self._contact = state.add_contact("Анна Петрова", phones=["+79990000001"], emails=["anna@example.com"])
        self._touches = 0

    def account(self, **changes: Any) -> Account:
        values: dict[str, Any] = {
            "project_id": "shop",
            "crm": "amocrm",
            "base_url": self._base_url,
            "credentials": self.credentials(SECRET),
            "context": MappingContext("shop", timezone="Europe/Moscow", region="RU", currency="RUB"),
            "batch_size": self.asked_size,
        }
        return Account(**{**values, **changes})

    def credentials(self, secret: str) -> Mapping[str, str]:
        return {"access_token": secret}

    def add(self, *, at: datetime | None = None) -> str:
        fields = [custom_field(500, "Источник", "Сайт 😀")]
        return str(self.state.add_lead("Сделка", price=289.5, contacts=[self._contact], fields=fields, at=at))

    def touch(self, crm_id: str, *, at: datetime | None = None) -> None:
        self._touches += 1
        self.state.update("leads", int(crm_id), at=at, name=f"Сделка {self._touches}")

    def remove(self, crm_id: str) -> None:
        self.state.delete("leads", int(crm_id))

    def fail(self, fault: Fault, *, times: int = 1, skip: int = 0, seconds: float = 0.0) -> None:
        self.state.faults.clear()
        if times > 0:
            self.state.faults.add(fault, "/api/v4/leads", times=times, skip=skip, seconds=seconds)

    def repeat_a_page(self) -> None:
        self.state.faults.add("duplicate_page", "/api/v4/leads")

    def requests(self) -> int:
        return self.state.requests.total

    def webhook(self) -> WebhookRequest:
        self.state.hooks.append(
            {"destination": "http://127.0.0.1:1/never", "settings": ["status_lead"], "disabled": False}
        )
        lead = self.state.add_lead("Сделка", price=1, contacts=[self._contact])
        self.clock.advance(seconds=1)
        self.state.move_lead(lead, self.state.stages(self.state.leads[lead]["pipeline_id"])[1])
        delivery = self.state.sender.deliveries("status_lead")[-1]
        return WebhookRequest("POST", {"content-type": "application/x-www-form-urlencoded"}, {}, delivery.payload)

    def is_in_window(self, crm_id: str, window: Window) -> bool:
        return window.start.timestamp() <= self.state.leads[int(crm_id)]["created_at"] < window.end.timestamp()


class SimulatedOAuthAmoCrm(SimulatedAmoCrm):
    """The same account with an integration: the refresh token of the settings is the secret, and rotates."""

    def __init__(self, state: SimulatorState, clock: Clock, base_url: str) -> None:
        super().__init__(state, clock, base_url)
        state.client_secret = SECRET + "-of-the-client"
        state.oauth.issue(refresh_token=SECRET)
        state.oauth.expire_access()
        self._tokens: dict[str, MemoryTokens] = {}

    def account(self, **changes: Any) -> Account:
        account = super().account(**changes)
        store = self._tokens.setdefault(account.credentials["refresh_token"], MemoryTokens())
        return super().account(**{**changes, "tokens": store})

    def credentials(self, secret: str) -> Mapping[str, str]:
        return {
            "client_id": self.state.client_id,
            "client_secret": self.state.client_secret,
            "redirect_uri": self.state.redirect_uri,
            "refresh_token": secret,
        }


class SimulatedAmoCrmWithoutFilters(SimulatedAmoCrm):
    """Pages overlap where a whole list is walked: of these eight rows at least five are new."""

    asked_size = 8

    def __init__(self, state: SimulatorState, clock: Clock, base_url: str) -> None:
        super().__init__(state, clock, base_url)
        state.switches.has_filters = False


@contextmanager
def simulated(kind: type[SimulatedAmoCrm] = SimulatedAmoCrm, **settings: Any) -> Iterator[SimulatedAmoCrm]:
    clock = Clock()
    state = SimulatorState(access_token=SECRET, clock=clock, rate_limit=0, **settings)
    with serve(create_app(state)) as url:
        yield kind(state, clock, url)


class TestAmoCrm(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedAmoCrm]:
        with simulated() as crm:
            yield crm


class TestAmoCrmWithOAuth(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedAmoCrm]:
        with simulated(SimulatedOAuthAmoCrm) as crm:
            yield crm


class TestAmoCrmThatIgnoresFilters(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedAmoCrm]:
        with simulated(SimulatedAmoCrmWithoutFilters) as crm:
            yield crm


class TestAmoCrmWhoseBoundsAreExclusive(ConnectorConformance):
    @pytest.fixture
    def crm(self) -> Iterator[SimulatedAmoCrm]:
        with simulated() as crm:
            crm.state.switches.has_exclusive_bounds = True
            yield crm
