"""Keeps requests away from this machine and its networks, for addresses that come out of a project's settings.

The name is resolved here, every address it has is checked, and the connection goes to the address that was checked:
a name server that answers otherwise a moment later changes nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import anyio
import httpx

from connectors.errors import ConfigError

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) -> its IP addresses. Raises OSError."""

_NAT64 = ip_network("64:ff9b::/96")


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host as the system knows them, in the system's order."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(text: str) -> bool:
    """Whether an IP address is one of the internet's: not loopback, link-local, private, multicast or reserved, nor an
    IPv6 address that stands for such an IPv4 one."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(one.is_global and not one.is_multicast for one in (address, *_embedded(address)))


def _embedded(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends requests to public addresses, and to hosts that are allowed by name; raises ConfigError for others.

    Proxies of the environment are not used: a proxy would resolve the name once more, unchecked.
    """

    def __init__(
        self,
        allowed: Collection[str],
        open_transport: Callable[[], httpx.AsyncBaseTransport],
        *,
        resolve: Resolve = resolve,
    ) -> None:
        self._allowed = frozenset(host.lower() for host in allowed)
        self._open = open_transport
        self._resolve = resolve
        self._by_host: dict[str, httpx.AsyncBaseTransport] = {}
        """A pool for each host: one whose TLS was checked for a host must not serve another at the same address."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises ConfigError if the host has an address that is not public; httpx.ConnectError where it has none."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"the name cannot be resolved: {error}", request=request) from None
        if not addresses:
            raise httpx.ConnectError("the name has no address", request=request)
        if host.lower() not in self._allowed and not all(is_public(address) for address in addresses):
            raise ConfigError(
                f"{host[:100]} is an address of this machine or a private network, which a request may not go to: "
                "correct the address, or name the host in allow_hosts"
            )
        transport = self._by_host.setdefault(host, self._open())
        for address in addresses[:-1]:
            try:
                return await transport.handle_async_request(_to(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent yet
        return await transport.handle_async_request(_to(request, addresses[-1]))

    async def aclose(self) -> None:
        for transport in self._by_host.values():
            await transport.aclose()


def _to(request: httpx.Request, address: str) -> httpx.Request:
    """The request for that very address; the header Host and the certificate are still those of the name."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
