"""Tells whether a webhook is authentic. One verifier for all CRMs: which scheme is a project's setting, not code.

Whatever is wrong with the request or the setting ends in `WebhookRefusedError`; its message never repeats what came.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable
from functools import lru_cache

from connectors.errors import WebhookRefusedError
from connectors.protocol import WebhookAuth, WebhookRequest

TOLERANCE_SECONDS = 300
"""How far the timestamp of a Standard Webhook may be from now."""


def verify(auth: WebhookAuth, request: WebhookRequest, *, now: Callable[[], float] = time.time) -> None:
    """Raises WebhookRefusedError unless the request comes from an allowed address and satisfies the scheme.

    `none` accepts what the address list lets through; an unknown scheme, or one without its secret, refuses everything.
    """
    _check_address(auth, request)
    if auth.scheme == "none":
        return
    if auth.scheme == "unset":
        raise WebhookRefusedError("this project has no webhook settings: set webhook.auth and webhook.secret")
    secret = (auth.secret or "").strip()
    if auth.scheme not in ("token", "hmac", "bearer", "standard"):
        raise WebhookRefusedError("webhook.auth is not one of token, hmac, bearer, standard, none")
    if not secret:
        raise WebhookRefusedError("webhook.secret is not set")
    if auth.scheme == "token":
        _check_token(auth, request, secret)
    elif auth.scheme == "bearer":
        _check_bearer(auth, request, secret)
    elif auth.scheme == "hmac":
        _check_hmac(auth, request, secret)
    else:
        _check_standard(request, secret, now())


def _check_address(auth: WebhookAuth, request: WebhookRequest) -> None:
    if not auth.ip_allow:
        return
    try:
        address = ipaddress.ip_address((request.remote_address or "").strip().partition("%")[0])
    except ValueError:
        raise WebhookRefusedError("the sender's address is not known") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    for allowed in auth.ip_allow:
        network = _network(allowed)
        if network is not None and address.version == network.version and address in network:
            return
    raise WebhookRefusedError("the sender's address is not in webhook.ip_allow")


@lru_cache(maxsize=1024)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """None: a range that cannot be read lets nobody in."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _check_token(auth: WebhookAuth, request: WebhookRequest, secret: str) -> None:
    given = (request.query.get("token"), request.headers.get((auth.header or "x-webhook-token").lower()))
    if not any(_same(token, secret) for token in given if token):
        raise WebhookRefusedError("the token is missing or wrong")


def _check_bearer(auth: WebhookAuth, request: WebhookRequest, secret: str) -> None:
    value = request.headers.get((auth.header or "authorization").lower(), "").strip()
    scheme, _, token = value.partition(" ")
    # Some senders leave the word out.
    given = token.strip() if scheme.lower() == "bearer" else value
    if not given or not _same(given, secret):
        raise WebhookRefusedError("the bearer token is missing or wrong")


def _check_hmac(auth: WebhookAuth, request: WebhookRequest, secret: str) -> None:
    given = request.headers.get((auth.header or "x-signature").lower(), "").strip()
    if not given.startswith(auth.prefix):
        raise WebhookRefusedError("the signature is missing or malformed")
    given = given[len(auth.prefix) :].strip()
    try:
        if auth.encoding == "hex":
            signature = binascii.unhexlify(given)
        elif auth.encoding == "base64":
            signature = base64.b64decode(given, validate=True)
        else:
            raise WebhookRefusedError("webhook.encoding is neither hex nor base64")
    except ValueError:  # binascii.Error and what non-ASCII text raises
        raise WebhookRefusedError("the signature is missing or malformed") from None
    if not hmac.compare_digest(signature, hmac.digest(secret.encode(), request.body, hashlib.sha256)):
        raise WebhookRefusedError("the signature is wrong")


def _check_standard(request: WebhookRequest, secret: str, now: float) -> None:
    """Standard Webhooks: `v1,` + base64 of the HMAC-SHA256 of `id.timestamp.body`."""
    message_id = request.headers.get("webhook-id", "")
    timestamp = request.headers.get("webhook-timestamp", "").strip()
    signatures = request.headers.get("webhook-signature", "").split()
    if not message_id or not signatures or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise WebhookRefusedError("the signature's headers are missing or malformed")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise WebhookRefusedError("the signature is too old, or of the future")
    signed = b".".join((message_id.encode(errors="backslashreplace"), timestamp.encode(), request.body))
    expected = [hmac.digest(key, signed, hashlib.sha256) for key in standard_keys(secret)]
    matches = [
        hmac.compare_digest(_unbase64(value) or b"", digest)
        for version, _, value in (signature.partition(",") for signature in signatures[:20])
        if version == "v1"
        for digest in expected
    ]
    if not any(matches):
        raise WebhookRefusedError("the signature is wrong")


def standard_keys(secret: str) -> list[bytes]:
    """Several secrets, separated by spaces or commas, are valid at once while one replaces the other."""
    keys = []
    for part in secret.replace(",", " ").split():
        key = _unbase64(part.removeprefix("whsec_")) or (None if part.startswith("whsec_") else part.encode())
        if key:
            keys.append(key)
    if not keys:
        raise WebhookRefusedError("webhook.secret is not a Standard Webhooks secret")
    return keys


def _unbase64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def _same(given: str, secret: str) -> bool:
    expected = secret.encode()
    # Servers hand headers over as latin-1, whatever was sent.
    as_latin = given.encode("latin-1", errors="backslashreplace")
    as_utf8 = given.encode("utf-8", errors="backslashreplace")
    return hmac.compare_digest(as_utf8, expected) | hmac.compare_digest(as_latin, expected)
