"""/hubs/keycrm frame by frame: negotiation, handshake, records, pings, and who is kept out."""

from __future__ import annotations

import json

import httpx
import pytest
from dashboard_process import Dashboard
from hub_frames import END, HANDSHAKE, address, hub, receive
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.waiting import wait_until


def closing_code(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(20)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def test_negotiation_offers_websockets_in_both_versions(dash: Dashboard) -> None:
    headers = dash.bearer(dash.user())
    old = httpx.post(f"{dash.url}/hubs/keycrm/negotiate", headers=headers).json()
    assert set(old) == {"connectionId", "availableTransports"}
    new = httpx.post(f"{dash.url}/hubs/keycrm/negotiate?negotiateVersion=1", headers=headers).json()
    assert (new["negotiateVersion"], set(new)) == (
        1,
        {"negotiateVersion", "connectionId", "connectionToken", "availableTransports"},
    )
    assert new["availableTransports"] == [{"transport": "WebSockets", "transferFormats": ["Text"]}]
    assert new["connectionToken"] != new["connectionId"]


def test_negotiation_by_cookie_works_for_our_own_pages_alone(dash: Dashboard) -> None:
    with dash.browser(dash.user()) as browser:
        assert browser.post("/hubs/keycrm/negotiate").status_code == 200
        foreign = browser.post("/hubs/keycrm/negotiate", headers={"origin": "https://evil.example"})
        assert (foreign.status_code, foreign.json()["code"]) == (403, "foreign_origin")


def test_a_websocket_of_a_foreign_page_is_refused_although_the_browser_sends_the_cookie(dash: Dashboard) -> None:
    with dash.browser(dash.user()) as browser:
        cookie = {"Cookie": f"{dash.cookie}={browser.cookies[dash.cookie]}"}
    with pytest.raises(InvalidStatus) as refused:
        connect(address(dash), additional_headers=cookie, origin="https://evil.example")  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403
    with connect(address(dash), additional_headers=cookie, origin=dash.url) as socket:  # type: ignore[arg-type]
        socket.send(HANDSHAKE)
        assert socket.recv(10) == "{}" + END


@pytest.mark.parametrize(("query", "status"), [({}, 401), ({"access_token": "x"}, 401), ({"project": "nowhere"}, 404)])
def test_who_may_not_is_refused_before_the_socket_opens(dash: Dashboard, query: dict[str, str], status: int) -> None:
    if status == 404:
        query = {**query, "access_token": dash.token(dash.user())}
    with pytest.raises(InvalidStatus) as refused:
        connect(address(dash, **query))
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body or b"{}")["status"] == status


@pytest.mark.parametrize(
    ("handshake", "reason"),
    [
        ('{"protocol":"messagepack","version":1}', "json alone"),
        ('{"protocol":"json","version":7}', "version 1"),
        ("hello", "JSON object"),
    ],
)
def test_a_handshake_that_cannot_be_met_is_answered_with_its_error(
    dash: Dashboard, handshake: str, reason: str
) -> None:
    with connect(address(dash, access_token=dash.token(dash.user()))) as socket:
        socket.send(handshake + END)
        [answer] = receive(socket)
        assert reason in answer["error"]
        assert closing_code(socket) == 1002


def test_messages_may_come_in_pieces_and_several_at_once(dash: Dashboard) -> None:
    with connect(address(dash, access_token=dash.token(dash.user()))) as socket:
        call = '{"type":1,"invocationId":"%s","target":"Subscribe","arguments":["almond"]}' + END
        socket.send(HANDSHAKE[:9])
        socket.send(HANDSHAKE[9:] + '{"type":6}' + END + call % "a" + call % "b" + (call % "c")[:20])
        assert receive(socket) == [{}]
        answers = receive(socket) + receive(socket)
        assert [(one["type"], one["invocationId"]) for one in answers] == [(3, "a"), (3, "b")]
        socket.send((call % "c")[20:].encode())  # as bytes, which some clients send
        assert receive(socket)[0]["invocationId"] == "c"


def test_a_call_without_an_id_is_done_and_not_answered(dash: Dashboard) -> None:
    with hub(dash, project="mug-shop") as socket:
        socket.send('{"type":1,"target":"Subscribe","arguments":["almond"]}' + END)
        socket.send('{"type":4,"invocationId":"s","target":"Anything","arguments":[]}' + END)
        assert receive(socket) == [{"type": 3, "invocationId": "s", "error": "This hub has no streams to call."}]
        dash.publish(("print-shop", "order", "1"), ("almond", "order", "2"), ("mug-shop", "order", "3"))
        heard = receive(socket)
        if len(heard) == 1:  # what is committed side by side may come in one frame
            heard += receive(socket)
        assert [(one["type"], one["target"], one["arguments"][0]["entity_id"]) for one in heard] == [
            (1, "OrderUpdated", "2"),
            (1, "OrderUpdated", "3"),
        ]


@pytest.mark.parametrize(
    "message", ["[]", "{", '{"type":"1"}', '{"type":1,"target":5,"arguments":[]}', '{"type":1,"x":"' + "y" * 40_000]
)
def test_who_breaks_the_protocol_is_told_and_disconnected(dash: Dashboard, message: str) -> None:
    with hub(dash) as socket:
        socket.send(message + (END if len(message) < 1000 else ""))
        [last] = receive(socket)
        assert last["type"] == 7
        assert last["error"]
        assert "allowReconnect" not in last
        assert closing_code(socket) == 1002


def test_a_client_that_says_goodbye_is_let_go(dash: Dashboard) -> None:
    with hub(dash) as socket:
        socket.send('{"type":7}' + END)
        assert closing_code(socket) == 1000


def test_the_server_pings_a_quiet_client(dash: Dashboard) -> None:
    with hub(dash) as socket:
        assert receive(socket) == [{"type": 6}]  # within 20 s


def test_no_token_in_the_address_of_a_websocket_gets_into_the_log(dash: Dashboard) -> None:
    token = dash.token(dash.user())
    with connect(address(dash, access_token=token)):
        wait_until(lambda: "access_token=..." in dash.process.log())
    assert token.split(".")[2] not in dash.process.log()
