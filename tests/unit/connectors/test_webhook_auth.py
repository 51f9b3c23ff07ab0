"""Only authentic webhooks pass, and whatever is malformed is refused, never an error."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import WebhookRefusedError
from connectors.protocol import WebhookAuth, WebhookRequest
from connectors.webhook_auth import TOLERANCE_SECONDS, verify

SECRET = "wh00k-secret"
NOW = 1_770_000_000.0
BODY = '{"event":"x","name":"Олена"}'.encode()


def request(
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    body: bytes = BODY,
    ip: str | None = None,
) -> WebhookRequest:
    return WebhookRequest("POST", headers or {}, query or {}, body, remote_address=ip)


def check(auth: WebhookAuth, given: WebhookRequest) -> bool:
    try:
        verify(auth, given, now=lambda: NOW)
    except WebhookRefusedError as error:
        refusal = str(error)
    else:
        return True
    assert SECRET not in refusal
    return False


def mac(body: bytes = BODY, secret: str = SECRET) -> bytes:
    return hmac.digest(secret.encode(), body, hashlib.sha256)


def standard(
    body: bytes = BODY,
    *,
    key: bytes = SECRET.encode(),
    at: float = NOW,
    message_id: str = "msg_1",
    text: str | None = None,
) -> dict[str, str]:
    stamp = str(int(at)) if text is None else text
    signature = base64.b64encode(hmac.digest(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}


def test_a_token_is_taken_from_the_query_or_the_header() -> None:
    auth = WebhookAuth("token", SECRET)
    assert check(auth, request(query={"token": SECRET}))
    assert check(auth, request({"x-webhook-token": SECRET}))
    assert check(auth, request({"x-webhook-token": SECRET}, {"token": "wrong"}))
    assert check(WebhookAuth("token", SECRET, header="X-Own"), request({"x-own": SECRET}))
    for query in (
        {},
        {"token": ""},
        {"token": "wrong"},
        {"token": SECRET + " "},
        {"token": SECRET.upper()},
        {"Token": SECRET},
    ):
        assert not check(auth, request(query=query))


def test_a_token_that_is_not_ascii_works_however_the_server_decoded_the_header() -> None:
    auth = WebhookAuth("token", "пароль-її")
    assert check(auth, request(query={"token": "пароль-її"}))
    assert check(auth, request({"x-webhook-token": "пароль-її".encode().decode("latin-1")}))
    assert not check(auth, request(query={"token": "\udcff"}))


def test_a_bearer_token_is_taken_with_its_word_or_bare() -> None:
    auth = WebhookAuth("bearer", SECRET)
    for value in (f"Bearer {SECRET}", f"bearer  {SECRET}", SECRET):
        assert check(auth, request({"authorization": value}))
    for value in ("", "Bearer", "Bearer ", "Bearer wrong", f"Basic {SECRET}", f"Bearer {SECRET}x"):
        assert not check(auth, request({"authorization": value}))


def test_an_hmac_is_checked_over_the_raw_body() -> None:
    auth = WebhookAuth("hmac", SECRET)
    assert check(auth, request({"x-signature": mac().hex()}))
    assert check(auth, request({"x-signature": mac().hex().upper()}))
    assert not check(auth, request({"x-signature": mac().hex()}, body=BODY + b" "))
    assert not check(auth, request({"x-signature": mac(secret="other").hex()}))
    for value in ("", "zz", mac().hex()[:-1], mac().hex()[:-2], "ї", "=", " "):
        assert not check(auth, request({"x-signature": value}))


def test_an_hmac_may_have_another_header_prefix_and_encoding() -> None:
    auth = WebhookAuth("hmac", SECRET, header="X-Hub-Signature-256", prefix="sha256=")
    assert check(auth, request({"x-hub-signature-256": f"sha256={mac().hex()}"}))
    assert not check(auth, request({"x-hub-signature-256": mac().hex()}))
    auth = WebhookAuth("hmac", SECRET, encoding="base64")
    assert check(auth, request({"x-signature": base64.b64encode(mac()).decode()}))
    for value in ("***", base64.b64encode(mac()).decode()[:-2], mac().hex(), "ї"):
        assert not check(auth, request({"x-signature": value}))
    assert not check(WebhookAuth("hmac", SECRET, encoding="rot13"), request({"x-signature": mac().hex()}))


def test_a_standard_webhook_is_checked_with_its_id_and_time() -> None:
    auth = WebhookAuth("standard", SECRET)
    good = standard()
    assert check(auth, request(good))
    assert not check(auth, request({**good, "webhook-id": "msg_2"}))
    assert not check(auth, request({**good, "webhook-timestamp": str(int(NOW) + 1)}))
    assert not check(auth, request(good, body=b"{}"))
    for name in good:
        assert not check(auth, request({key: value for key, value in good.items() if key != name}))


def test_a_standard_webhook_may_be_five_minutes_off() -> None:
    auth = WebhookAuth("standard", SECRET)
    for offset, expected in ((-TOLERANCE_SECONDS, True), (TOLERANCE_SECONDS, True), (-301, False), (301, False)):
        assert check(auth, request(standard(at=NOW + offset))) is expected


@pytest.mark.parametrize("stamp", ["", "x", "-1", "1e9", "１７７", "9" * 40, "1770000000.0", " "])
def test_a_malformed_time_is_refused(stamp: str) -> None:
    assert not check(WebhookAuth("standard", SECRET), request(standard(text=stamp)))


def test_several_signatures_and_several_secrets_are_valid_at_once() -> None:
    new_key, old_key = b"n" * 24, b"o" * 24
    secrets = " ".join("whsec_" + base64.b64encode(key).decode() for key in (new_key, old_key))
    auth = WebhookAuth("standard", secrets)
    assert check(auth, request(standard(key=new_key)))
    assert check(auth, request(standard(key=old_key)))
    assert not check(auth, request(standard(key=b"x" * 24)))
    good = standard(key=old_key)
    for others in ("v1,AAAA", "v1a,AAAA", "nocomma", "v1,", ",", "v1,***"):
        assert check(auth, request({**good, "webhook-signature": f"{others} {good['webhook-signature']}"}))
        assert not check(auth, request({**good, "webhook-signature": others}))


def test_another_version_of_a_signature_does_not_count() -> None:
    good = standard()
    assert not check(
        WebhookAuth("standard", SECRET), request({**good, "webhook-signature": "v2" + good["webhook-signature"][2:]})
    )


def test_a_standard_secret_that_is_broken_refuses_everything() -> None:
    for secret in ("whsec_", "whsec_***", " , "):
        assert not check(WebhookAuth("standard", secret), request(standard(key=b"")))


@pytest.mark.parametrize("scheme", ["token", "hmac", "bearer", "standard"])
@pytest.mark.parametrize("secret", [None, "", "  "])
def test_a_scheme_without_a_secret_refuses_everything(scheme: str, secret: str | None) -> None:
    headers = {
        "x-webhook-token": "",
        "authorization": "Bearer ",
        "x-signature": mac(secret="").hex(),
        **standard(key=b""),
    }
    assert not check(WebhookAuth(scheme, secret), request(headers, {"token": secret or ""}))


def test_unset_and_unknown_schemes_refuse_everything() -> None:
    everything = request({"x-webhook-token": SECRET, "authorization": SECRET}, {"token": SECRET})
    for scheme in ("unset", "", "basic", "NONE", "Token"):
        assert not check(WebhookAuth(scheme, SECRET), everything)


def test_none_accepts_what_the_address_list_lets_through() -> None:
    assert check(WebhookAuth("none"), request())
    auth = WebhookAuth("none", ip_allow=("10.0.0.0/8", "2001:db8::/32", "192.0.2.7"))
    for ip in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5", "192.0.2.7", "2001:db8::5%eth0"):
        assert check(auth, request(ip=ip))
    for ip in (None, "", "11.0.0.1", "192.0.2.8", "testclient", "10.1.2.3.4", "2001:db9::1", "::ffff:11.0.0.1"):
        assert not check(auth, request(ip=ip))


def test_the_address_list_holds_for_each_scheme_and_a_broken_range_lets_nobody_in() -> None:
    auth = WebhookAuth("token", SECRET, ip_allow=("10.0.0.0/8",))
    assert check(auth, request(query={"token": SECRET}, ip="10.0.0.1"))
    assert not check(auth, request(query={"token": SECRET}, ip="11.0.0.1"))
    assert not check(auth, request(ip="10.0.0.1"))
    assert not check(WebhookAuth("none", ip_allow=("10.0.0.0/99", "x")), request(ip="10.0.0.1"))


HEADERS = st.dictionaries(
    st.sampled_from(
        ["authorization", "x-webhook-token", "x-signature", "webhook-id", "webhook-timestamp", "webhook-signature"]
    ),
    st.text(max_size=40),
)


@given(
    st.sampled_from(["token", "hmac", "bearer", "standard", "unset", "?"]),
    HEADERS,
    st.dictionaries(st.just("token"), st.text(max_size=20)),
    st.binary(max_size=30),
    st.sampled_from(["hex", "base64", "x"]),
    st.one_of(st.none(), st.text(max_size=20)),
)
def test_anything_malformed_is_refused_and_raises_nothing_else(
    scheme: str, headers: dict[str, str], query: dict[str, str], body: bytes, encoding: str, ip: Any
) -> None:
    auth = WebhookAuth(scheme, SECRET, encoding=encoding, ip_allow=("10.0.0.0/8",) if ip else ())
    assert not check(auth, request(headers, query, body, ip))
