"""Requests stay away from this machine and private networks, at whatever address a name has when it is connected to."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest

from connectors.addresses import GuardedTransport, is_public
from connectors.errors import ConfigError

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
     "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
     "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "localhost", ""],
)  # fmt: skip
def test_addresses_of_this_machine_and_private_networks_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


class Network:
    """Answers names from a list of answers (the last one for ever), and notes where connections go."""

    def __init__(self, *answers: Sequence[str], dead: Sequence[str] = ()) -> None:
        self.answers = list(answers)
        self.dead = dead
        self.asked: list[tuple[str, int]] = []
        self.requests: list[httpx.Request] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.host in self.dead:
            raise httpx.ConnectError("no route", request=request)
        self.requests.append(request)
        return httpx.Response(200, json={})

    def client(self, *allowed: str) -> httpx.AsyncClient:
        transport = GuardedTransport(allowed, lambda: httpx.MockTransport(self.answer), resolve=self.resolve)
        return httpx.AsyncClient(transport=transport)


async def test_a_request_goes_to_the_address_that_was_checked_under_the_name_that_was_asked_for() -> None:
    network = Network(["93.184.216.34"])
    async with network.client() as client:
        await client.get("https://shop.example.com:8443/orders?page=2", headers={"X-A": "b"})
    [request] = network.requests
    assert str(request.url) == "https://93.184.216.34:8443/orders?page=2"
    assert request.headers["host"] == "shop.example.com:8443"
    assert request.extensions["sni_hostname"] == "shop.example.com"
    assert network.asked == [("shop.example.com", 8443)]


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["93.184.216.34", "10.0.0.5"], ["::ffff:169.254.169.254"]])
async def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(answer: list[str]) -> None:
    network = Network(answer)
    async with network.client() as client:
        with pytest.raises(ConfigError, match=r"inside.example.com is an address of this machine or a private network"):
            await client.get("http://inside.example.com/")
    assert network.requests == []


async def test_a_name_that_changes_its_address_between_two_requests_is_refused_at_the_second() -> None:
    network = Network(["93.184.216.34"], ["127.0.0.1"])
    async with network.client() as client:
        await client.get("http://rebind.example.com/")
        with pytest.raises(ConfigError):
            await client.get("http://rebind.example.com/")
    assert [request.url.host for request in network.requests] == ["93.184.216.34"]


async def test_a_host_that_the_project_allows_may_be_inside_and_no_other_one() -> None:
    network = Network(["10.0.0.5"])
    async with network.client("CRM.intranet") as client:
        assert (await client.get("http://crm.INTRANET/")).status_code == 200
        with pytest.raises(ConfigError):
            await client.get("http://other.intranet/")


async def test_where_the_first_address_does_not_answer_the_next_one_is_tried() -> None:
    network = Network(["93.184.216.34", "93.184.216.35"], dead=["93.184.216.34"])
    async with network.client() as client:
        await client.get("http://shop.example.com/")
    assert [request.url.host for request in network.requests] == ["93.184.216.35"]


async def test_a_name_without_an_address_cannot_be_connected_to() -> None:
    async with Network([]).client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://nowhere.example.com/")
