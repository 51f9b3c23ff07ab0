"""GET /api/stream/orders: who hears what, from where on, and until when."""

from __future__ import annotations

import signal

import httpx
import pytest
from dashboard_process import Dashboard
from sse_client import listen

from dashboard import users
from tests.support.waiting import wait_until


def test_a_change_arrives_with_its_id_kind_and_payload(dash: Dashboard) -> None:
    with listen(dash.url, dash.bearer(dash.user())) as client:
        assert client.headers["content-type"].startswith("text/event-stream")
        [event_id] = dash.publish(("print-shop", "order", "17"))
        [message] = client.wait_for(1)
        assert (message.event, message.event_id) == ("order", event_id)
        happened_at = message.data.pop("happened_at")
        assert happened_at.endswith("Z")
        assert message.data == {
            "event_id": event_id, "project_id": "print-shop", "kind": "order", "entity_id": "17", "vms_id": None,
            "origin": "crm", "order_id": "17", "status_id": "4",
        }  # fmt: skip


def test_a_viewer_hears_of_its_own_projects_alone(dash: Dashboard) -> None:
    own = dash.bearer(dash.user(projects=["print-shop", "almond"]))
    every = dash.bearer(dash.user(role="admin"))
    with (
        listen(dash.url, own) as viewer,
        listen(dash.url, own, project="almond") as narrow,
        listen(dash.url, every) as admin,
    ):
        dash.publish(("mug-shop", "order", "1"), ("print-shop", "payment", "2"), ("almond", "stock", "3"))
        assert [one.event for one in admin.wait_for(3)] == ["order", "payment", "stock"]
        viewer.wait_for(2)
        narrow.wait_for(1)
        assert viewer.events == [("payment", "2"), ("stock", "3")]
        assert narrow.events == [("stock", "3")]


def test_the_same_by_cookie_and_by_a_token_in_the_address(dash: Dashboard) -> None:
    login = dash.user()
    with dash.browser(login) as browser:
        cookie = {"cookie": f"{dash.cookie}={browser.cookies[dash.cookie]}"}
    with listen(dash.url, cookie) as first, listen(dash.url, {}, access_token=dash.token(login)) as second:
        dash.publish(("almond", "buyer", "5"))
        assert first.wait_for(1)[0].event == second.wait_for(1)[0].event == "buyer"


@pytest.mark.parametrize("name", ["mug-shop", "no-such-project", "a\0b"])
def test_a_project_that_one_may_not_see_is_as_unknown_as_one_that_is_not_there(dash: Dashboard, name: str) -> None:
    with listen(dash.url, dash.bearer(dash.user(projects=["print-shop"])), project=name) as client:
        assert (client.status, client.messages[0].data["code"]) == (404, "unknown_project")


@pytest.mark.parametrize("last_id", ["-1", "x", "1.5", "9" * 30, "9223372036854775808"])
def test_an_id_that_is_none_is_refused(dash: Dashboard, last_id: str) -> None:
    with listen(dash.url, dash.bearer(dash.user()), last_event_id=last_id) as client:
        assert (client.status, client.messages[0].data["code"]) == (400, "invalid")


def test_who_comes_back_gets_what_was_missed_and_then_what_follows(dash: Dashboard) -> None:
    headers = dash.bearer(dash.user(projects=["print-shop"]))
    with listen(dash.url, headers) as client:
        dash.publish(("print-shop", "order", "a1"))
        client.wait_for(1)
    dash.publish(("print-shop", "order", "a2"), ("almond", "order", "x"), ("print-shop", "order", "a3"))
    with listen(dash.url, headers, client.last_id) as again:
        again.wait_for(2)
        dash.publish(("print-shop", "order", "a4"))
        again.wait_for(3)
        assert again.events == [("order", "a2"), ("order", "a3"), ("order", "a4")]
    with listen(dash.url, headers, last_event_id=again.messages[1].event_id) as by_address:
        by_address.wait_for(1)
        assert by_address.events == [("order", "a4")]


def test_who_missed_more_than_is_kept_is_told_to_look_anew(dash: Dashboard) -> None:
    headers = dash.bearer(dash.user())
    old, *_, newest = dash.publish(*(("almond", "order", f"p{n}") for n in range(4)))
    dash.execute("delete from sync.stream_events where event_id < %s", newest)
    with restarted(dash), listen(dash.url, headers, old) as client:
        [reset] = client.wait_for(1)
        assert (reset.event, reset.event_id, reset.data) == ("reset", newest, {"event_id": newest})
        dash.publish(("almond", "order", "after"))
        client.wait_for(2)
        assert client.events == [("order", "after")]


def test_an_id_of_the_future_is_reset_too(dash: Dashboard) -> None:
    with listen(dash.url, dash.bearer(dash.user()), 2**62) as client:
        assert client.wait_for(1)[0].event == "reset"


class restarted:  # noqa: N801 - reads as a word
    """The dashboard, killed and started again, so that it remembers nothing."""

    def __init__(self, dash: Dashboard) -> None:
        dash.process.stop(signal.SIGKILL)
        dash.process.start()
        wait_until(lambda: httpx.get(f"{dash.url}/health/ready", timeout=5).status_code == 200)

    def __enter__(self) -> None:
        """It runs already."""

    def __exit__(self, *_: object) -> None:
        """It goes on running."""


def test_logging_out_ends_the_stream(dash: Dashboard) -> None:
    headers = dash.bearer(dash.user())
    with listen(dash.url, headers) as client:
        httpx.post(f"{dash.url}/logout", headers=headers)
        wait_until(lambda: client.has_ended)
        assert client.messages[-1].event == "end"


def test_disabling_a_user_ends_its_streams_and_no_others(dash: Dashboard) -> None:
    login = dash.user()
    with listen(dash.url, dash.bearer(login)) as client, listen(dash.url, dash.bearer(dash.user())) as other:
        dash.do(lambda c: users.set_enabled(c, login, is_enabled=False, actor="test"))
        wait_until(lambda: client.has_ended)
        dash.publish(("almond", "order", "later"))
        other.wait_for(1)
        assert client.events == []
        assert client.messages[-1].event == "end"


def test_an_expired_token_ends_the_stream(dash: Dashboard) -> None:
    login = dash.user()
    with listen(dash.url, dash.bearer(login)) as client:
        dash.execute(
            "update config.sessions set token_expires_at = now() + interval '0.5 s'"
            " where user_id = (select user_id from config.users where login = %s)",
            login,
        )
        wait_until(lambda: client.has_ended)
        assert client.messages[-1].event == "end"


def test_rights_count_at_once_in_open_streams(dash: Dashboard) -> None:
    login = dash.user(projects=["print-shop", "almond"])
    with listen(dash.url, dash.bearer(login)) as client:
        dash.publish(("almond", "order", "1"))
        client.wait_for(1)
        dash.do(lambda c: users.set_rights(c, login, "viewer", ["print-shop", "mug-shop"], actor="test"))
        dash.publish(("almond", "order", "2"), ("mug-shop", "order", "3"), ("print-shop", "order", "4"))
        client.wait_for(3)
        assert client.events == [("order", "1"), ("order", "3"), ("order", "4")]
        dash.do(lambda c: users.set_rights(c, login, "viewer", [], actor="test"))
        wait_until(lambda: client.has_ended)


def test_a_stop_ends_open_streams_so_that_the_server_ends_soon(dash: Dashboard) -> None:
    with listen(dash.url, dash.bearer(dash.user())) as client:
        # Within 30 s: a server that waits for its streams would wait for ever.
        assert dash.process.stop() == -signal.SIGTERM  # uvicorn hands the signal on when all is done
        wait_until(lambda: client.has_ended)
        assert client.messages == []
        assert '"event": "dashboard_stopped"' in dash.process.log()
    dash.process.start()
