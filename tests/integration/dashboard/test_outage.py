"""The database goes away while clients listen: they stay connected and miss nothing."""

from __future__ import annotations

from pathlib import Path

import httpx
from dashboard_process import dashboard
from hub_frames import hub, receive
from sse_client import listen
from websockets.sync.client import ClientConnection

from database import migrate
from database.embedded import EmbeddedServer
from tests.support.waiting import wait_until


def order_heard(socket: ClientConnection) -> str:
    """The next order that the hub tells of, pings apart."""
    while True:
        for message in receive(socket):
            if message["type"] == 1:
                assert message["target"] == "OrderUpdated"
                return str(message["arguments"][0]["entity_id"])


def test_an_outage_of_the_database_costs_no_event(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "postgresql")
    server.start()
    try:
        server.create_database("crm_elt")
        migrate.upgrade(server.url("crm_elt"))
        with dashboard(server.url("crm_elt"), tmp_path) as dash:
            login = dash.user()
            headers = dash.bearer(login)
            with listen(dash.url, headers) as client, hub(dash) as socket:
                dash.publish(("almond", "order", "before"))
                client.wait_for(1)
                assert order_heard(socket) == "before"
                server.stop("immediate")
                wait_until(lambda: "stream_database_away" in dash.process.log())
                assert httpx.get(f"{dash.url}/health/live").status_code == 200
                ready = httpx.get(f"{dash.url}/health/ready", timeout=20)
                assert (ready.status_code, ready.json()["code"]) == (503, "database_away")
                refused = dash.log_in(login)
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
                with listen(dash.url, headers) as too_early:
                    assert too_early.status == 503
                assert not client.has_ended
                server.start()
                dash.publish(("almond", "order", "after"))
                client.wait_for(2)
                assert client.events == [("order", "before"), ("order", "after")]
                assert order_heard(socket) == "after"
                wait_until(lambda: httpx.get(f"{dash.url}/health/ready").status_code == 200)
            assert dash.process.log().count("stream_database_away") == 1
    finally:
        server.stop("immediate")


def test_the_server_starts_while_the_database_is_away(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "postgresql")
    server.start()
    try:
        server.create_database("crm_elt")
        migrate.upgrade(server.url("crm_elt"))
        with dashboard(server.url("crm_elt"), tmp_path) as dash:
            login = dash.user()
            dash.process.stop()
            server.stop()
            dash.process.start()
            assert httpx.get(f"{dash.url}/health/ready", timeout=20).status_code == 503
            server.start()
            wait_until(lambda: httpx.get(f"{dash.url}/health/ready", timeout=20).status_code == 200)
            with listen(dash.url, dash.bearer(login)) as client:
                dash.publish(("almond", "order", "1"))
                client.wait_for(1)
    finally:
        server.stop("immediate")
