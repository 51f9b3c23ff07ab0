"""`crm-elt custom test` as a user meets it, and how a project is let through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.custom.simulator import PREFIX, SimulatorState, create_app
from database.environment import Environment
from tests.support.command_line import Cli, command_line
from tests.support.http_server import serve
from tests.support.orchard import json_definition, xml_definition

ANSWER = {"data": [{"id": 5, "state": {"code": "new"}, "total": 12.5, "client": {"phone": "0501234567"}}]}


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    return command_line(capfd)


def settings(folder: Path, definition: dict[str, Any], **changes: Any) -> str:
    project = {
        "id": "orchard", "name": "Orchard", "crm": "custom", "base_url": "http://127.0.0.1:9/api", "region": "UA",
        "timezone": "Europe/Kyiv", "credentials": {"api_token": "${ORCHARD_KEY}"},
        "options": {"definition": definition}, **changes,
    }  # fmt: skip
    path = folder / "orchard.yaml"
    path.write_text(yaml.safe_dump({"projects": [project]}), encoding="utf-8")
    return str(path)


def sample(folder: Path, content: Any) -> str:
    path = folder / "response"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_a_sample_shows_each_fields_value_or_why_there_is_none_without_network_keys_and_database(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    file = settings(tmp_path, json_definition())
    code, out, err = cli("custom", "test", file, "--sample", sample(tmp_path, ANSWER), "--entity", "orders", "--json")
    assert code == 0, err
    [outcome] = json.loads(out)["entities"]
    fields = {one["name"]: (one["state"], one["value"], one["reason"]) for one in outcome["records"][0]["fields"]}
    assert fields["id"] == ("ok", "5", None)
    assert fields["status"] == ("ok", "new", None)
    assert fields["total"] == ("ok", 12.5, None)
    assert fields["phone"] == ("ok", "+380501234567", None)
    assert fields["customer_id"] == ("empty", None, "nothing is at $.client.id")


def test_what_fails_is_said_and_the_exit_code_is_1(cli: Cli, tmp_path: Path) -> None:
    file = settings(tmp_path, json_definition())
    wrong = {"data": [{**ANSWER["data"][0], "total": "many"}]}
    code, out, err = cli("custom", "test", file, "--sample", sample(tmp_path, wrong), "--entity", "orders")
    assert code == 1
    assert "expected an amount, got 'many'" in out
    assert "1 field or record failed" in err
    code, _, err = cli("custom", "test", file, "--sample", sample(tmp_path, {}), "--entity", "orders")
    assert (code, "no record in the answer" in err) == (1, True)


def test_xml_is_tried_alike(cli: Cli, tmp_path: Path) -> None:
    file = settings(tmp_path, xml_definition())
    answer = (
        '<orders><order id="5"><state>new</state><updated>2026-03-02</updated><total>1 000,5</total></order></orders>'
    )
    words = ("custom", "test", file, "--sample", sample(tmp_path, answer), "--entity", "orders")
    code, out, err = cli(*words)
    assert code == 0, err
    assert "1000.50" in out
    code, _, err = cli(*words[:4], sample(tmp_path, f"<!DOCTYPE orders>{answer}"), *words[5:])
    assert (code, "DTD" in err) == (1, True)


def test_a_wrong_definition_and_wrong_words_are_sentences(cli: Cli, tmp_path: Path) -> None:
    definition = json_definition()
    definition["entities"]["orders"]["fields"]["total"] = "total"
    response = sample(tmp_path, ANSWER)
    _, _, err = cli("custom", "test", settings(tmp_path, definition), "--sample", response)
    assert "options.definition.entities.orders.fields.total: expected a JSONPath" in err
    file = settings(tmp_path, json_definition())
    for words, text in (
        ((), "Give either"),
        (("--live", "--sample", response), "Give either"),
        (("--sample", response), "--entity customers or orders or transactions"),
        (("--sample", response, "--project", "x"), "one project of crm custom"),
    ):
        code, _, err = cli("custom", "test", file, *words)
        assert (code, text in err) == (1, True), err


def test_live_asks_for_the_first_page_of_each_entity(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = SimulatorState("orchard-key-1")
    for _ in range(7):
        state.add_order(total="3.00")
    monkeypatch.setenv("ORCHARD_KEY", "orchard-key-1")
    with serve(create_app(state)) as url:
        file = settings(tmp_path, json_definition(), base_url=url + PREFIX)
        code, out, err = cli("custom", "test", file, "--live", "--json")
        assert code == 0, err
        counts = {one["entity"]: len(one["records"]) for one in json.loads(out)["entities"]}
        assert counts == {"orders": 5, "transactions": 0, "customers": 0}
        assert state.requests.total == 3
        monkeypatch.setenv("ORCHARD_KEY", "another-key")
        code, _, err = cli("custom", "test", file, "--live")
    assert (code, "refuses the credential api_token" in err) == (1, True)
    assert "another-key" not in err


def test_a_project_is_enabled_by_a_sample_or_by_a_test_and_not_by_hand(
    environment: Environment, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_KEY", "orchard-key-1")
    state = SimulatorState("orchard-key-1")
    state.add_order(total="3.00")
    with serve(create_app(state)) as url:
        file = settings(tmp_path, json_definition(), base_url=url + PREFIX)
        code, out, err = cli("apply", file)
        assert (code, "crm-elt project test orchard" in out) == (0, True), err
        code, _, err = cli("project", "enable", "orchard")
        assert (code, "cannot be enabled, its definition has not passed a test yet" in err) == (1, True)
        response = sample(tmp_path, ANSWER)
        code, out, err = cli("custom", "test", file, "--sample", response, "--entity", "orders", "--activate")
        assert (code, "orchard is enabled." in out) == (0, True), err
        assert state.requests.total == 0

        definition = json_definition()
        del definition["entities"]["customers"]
        file = settings(tmp_path, definition, base_url=url + PREFIX)
        code, out, err = cli("custom", "test", file, "--sample", response, "--entity", "orders", "--activate")
        assert (code, "may be pulled with this definition once the file is applied" in out) == (0, True), err
        code, out, err = cli("apply", file)
        assert (code, "is not pulled" in out) == (0, False), err

        definition["entities"]["orders"]["fields"]["comment"] = "$.state.code"
        file = settings(tmp_path, definition, base_url=url + PREFIX)
        assert cli("apply", file)[0] == 0
        code, out, err = cli("project", "test", "orchard", "--json")
        assert code == 0, err
        assert json.loads(out)["enabled_now"] is True
        assert cli("project", "disable", "orchard")[0] == 0
        assert cli("project", "enable", "orchard")[0] == 0
