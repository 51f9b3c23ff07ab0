"""/hubs/keycrm with the client that VMS uses: the npm package @microsoft/signalr, unchanged."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from dashboard_process import Dashboard
from signalr_client import connected, install

from dashboard import users


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("signalr"))


def hub(dash: Dashboard) -> str:
    return f"{dash.url}/hubs/keycrm"


def test_a_client_hears_each_kind_of_change_by_its_method(dash: Dashboard, package: Path) -> None:
    with connected(package, hub(dash), dash.token(dash.user())) as client:
        assert client.heard("started")
        ids = dash.publish(
            ("print-shop", "order", "1"), ("almond", "payment", "2"), ("mug-shop", "buyer", "3"),
            ("print-shop", "stock", "4"),
        )  # fmt: skip
        client.wait_for("StockUpdated")
        targets = [name for name, _ in client.said if name.endswith("Updated")]
        assert targets == ["OrderUpdated", "PaymentUpdated", "BuyerUpdated", "StockUpdated"]
        [order] = client.heard("OrderUpdated")[0]  # one argument
        order.pop("happened_at")
        assert order == {
            "event_id": ids[0], "project_id": "print-shop", "kind": "order", "entity_id": "1", "vms_id": None,
            "origin": "crm", "order_id": "1", "status_id": "4",
        }  # fmt: skip
        client.stop()
        client.wait_for("stopped")
        assert client.heard("closed") == [None]


def test_a_client_hears_only_of_projects_that_its_user_may_see(dash: Dashboard, package: Path) -> None:
    token = dash.token(dash.user(projects=["print-shop", "almond"]))
    with connected(package, hub(dash), token) as client:
        dash.publish(("mug-shop", "order", "1"), ("almond", "order", "2"))
        client.wait_for("OrderUpdated")
        assert [one["entity_id"] for [one] in client.heard("OrderUpdated")] == ["2"]
        kind, reason = client.invoke("Subscribe", "mug-shop")
        assert kind == "error"
        assert "There is no such project that you may see." in reason


def test_subscribing_narrows_to_the_projects_that_were_named(dash: Dashboard, package: Path) -> None:
    with connected(package, hub(dash), dash.token(dash.user(role="admin"))) as client:
        assert client.invoke("Subscribe", "almond")["projects"] == ["almond"]
        dash.publish(("mug-shop", "order", "1"), ("almond", "order", "2"))
        client.wait_for("OrderUpdated")
        assert client.invoke("subscribe", "mug-shop")["projects"] == ["almond", "mug-shop"]
        dash.publish(("print-shop", "order", "3"), ("mug-shop", "order", "4"))
        client.wait_for("OrderUpdated", 2)
        client.invoke("Unsubscribe", "almond")
        dash.publish(("almond", "order", "5"), ("mug-shop", "order", "6"))
        client.wait_for("OrderUpdated", 3)
        assert [one["entity_id"] for [one] in client.heard("OrderUpdated")] == ["2", "4", "6"]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (["Unknown"], "The hub has no method of this name"),
        (["Subscribe"], "one argument"),
        (["Subscribe", 5], "one argument"),
        (["Unsubscribe", "almond"], "There is no subscription"),
        (["Resume", "x"], "Resume takes one argument"),
        (["Resume", -1], "whole number"),
    ],
)
def test_a_call_that_cannot_be_done_is_answered_with_a_sentence(
    dash: Dashboard, package: Path, call: list[object], reason: str
) -> None:
    with connected(package, hub(dash), dash.token(dash.user())) as client:
        kind, said = client.invoke(*call)  # type: ignore[arg-type]
        assert kind == "error"
        assert reason in said
        assert client.invoke("Subscribe", "almond")["projects"] == ["almond"]  # and it goes on


def test_without_a_login_a_client_is_refused(dash: Dashboard, package: Path) -> None:
    with connected(package, hub(dash), "not-a-token") as client:
        assert "401" in client.heard("refused")[0]


def test_a_client_that_reconnects_by_itself_resumes_where_it_was(dash: Dashboard, package: Path) -> None:
    with connected(package, hub(dash), dash.token(dash.user()), reconnects=True) as client:
        dash.publish(("almond", "order", "1"))
        [first] = client.wait_for("OrderUpdated")[0]
        dash.process.stop(signal.SIGKILL)
        client.wait_for("reconnecting")
        dash.publish(("almond", "order", "2"), ("almond", "payment", "3"))
        dash.process.start()
        client.wait_for("reconnected", seconds=40)
        client.invoke("Resume", first["event_id"])
        client.wait_for("PaymentUpdated")
        dash.publish(("almond", "order", "4"))
        client.wait_for("OrderUpdated", 3)
        heard = [one["entity_id"] for [one] in client.heard("OrderUpdated", "PaymentUpdated")]
        assert heard == ["1", "2", "3", "4"]


def test_resuming_from_what_is_not_kept_any_more_is_told(dash: Dashboard, package: Path) -> None:
    with connected(package, hub(dash), dash.token(dash.user())) as client:
        client.invoke("Resume", 2**52)
        [reset] = client.wait_for("Reset")[0]
        assert reset["event_id"] < 2**52


def test_a_server_that_stops_tells_its_clients_to_come_back(dash: Dashboard, package: Path) -> None:
    with connected(package, hub(dash), dash.token(dash.user()), reconnects=True) as client:
        dash.process.stop()
        client.wait_for("reconnecting")
        dash.process.start()
        client.wait_for("reconnected", seconds=40)


def test_disabling_a_user_closes_its_connection_for_good(dash: Dashboard, package: Path) -> None:
    login = dash.user()
    with connected(package, hub(dash), dash.token(login), reconnects=True) as client:
        dash.do(lambda c: users.set_enabled(c, login, is_enabled=False, actor="test"))
        [reason] = client.wait_for("closed")
        assert "The session has ended" in reason
        assert client.heard("reconnecting") == []
