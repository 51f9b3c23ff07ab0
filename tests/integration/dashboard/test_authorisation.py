"""Every route x (anonymous, viewer of another project, viewer of this one, a script of another one, admin), as
authorisation.py says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import cast

import httpx
import pytest
from authorisation import OTHER, PROJECT, SEED, TABLE, Expected, Line
from dashboard_process import Dashboard
from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from dashboard import script_tokens
from dashboard.main import create_app
from dashboard.sessions import SESSION_SECONDS, TOKEN_SECONDS
from dashboard.tokens import Tokens
from database.connection import Connection
from database.encryption import Keyring
from database.environment import Environment
from database.repositories import sessions

LOGINS = Callable[[str], dict[str, str]]


def routes_of(app: FastAPI) -> list[str]:
    found = []
    for context in iter_route_contexts(app.routes):
        route = context.route
        if isinstance(route, APIWebSocketRoute):
            found.append(f"WEBSOCKET {route.path}")
        else:
            assert isinstance(route, APIRoute), route
            found += [f"{method} {route.path}" for method in sorted(route.methods)]
    return found


def test_the_table_has_a_line_for_each_route_and_no_other() -> None:
    routes = routes_of(create_app(Environment()))
    assert sorted(set(routes) - TABLE.keys()) == [], "add these to tests/integration/dashboard/authorisation.py"
    assert sorted(TABLE.keys() - set(routes)) == [], "these are no routes any more"


@pytest.fixture(scope="module")
def headers_of(dash: Dashboard) -> LOGINS:
    """Headers of a caller, each time of a new session: what one line does to it, the next one does not feel."""
    for statement in SEED:
        dash.execute(statement)
    users = {
        "stranger": dash.user(projects=[OTHER]),
        "viewer": dash.user(projects=[PROJECT, "till", "orchard"]),
        "admin": dash.user(role="admin"),
    }
    tokens = Tokens(Keyring.load(dash.environment))
    script = dash.do(lambda c: script_tokens.create(c, "elsewhere", "admin", [OTHER], None, actor="test"))

    async def opened(connection: Connection) -> dict[str, list[str]]:
        """One token for each line, all by one connection."""
        found: dict[str, list[str]] = {}
        for caller, login in users.items():
            cursor = await connection.execute("select user_id from config.users where login = %s", [login])
            row = await cursor.fetchone()
            assert row is not None
            for _ in TABLE:
                session_id, expires_at = await sessions.open_session(
                    connection, row["user_id"], "bearer", 1, token_seconds=TOKEN_SECONDS, seconds=SESSION_SECONDS
                )
                found.setdefault(caller, []).append(tokens.issue(session_id, 1, expires_at))
        return found

    ready = dash.do(opened)

    def headers(caller: str) -> dict[str, str]:
        if caller == "anonymous":
            return {}
        return {"authorization": f"Bearer {script.token if caller == 'elsewhere' else ready[caller].pop()}"}

    return headers


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client


@pytest.mark.parametrize("name", TABLE)
def test_each_caller_gets_what_the_table_says(
    dash: Dashboard, client: httpx.Client, headers_of: LOGINS, name: str
) -> None:
    line = TABLE[name]
    got = {caller: outcome(dash, client, name, line, headers_of(caller)) for caller in line.expected()}
    assert got == line.expected()


def outcome(dash: Dashboard, client: httpx.Client, name: str, line: Line, headers: dict[str, str]) -> Expected:
    method, path = name.split(" ", 1)
    values = {"project": PROJECT, "project_id": PROJECT, **line.path}
    address = dash.url + re.sub(r"\{(\w+)(:\w+)?\}", lambda match: str(values[match[1]]), path)
    if method == "WEBSOCKET":
        status = status_of_socket(address.replace("http", "ws", 1), line, headers)
    else:
        with client.stream(  # a stream's body does not end
            method, address, params=dict(line.query), json=line.json, data=line.form, headers=headers
        ) as answer:
            status = answer.status_code
        client.cookies.clear()
    assert status < 500 or (status == 503 and line.needs_marts), name
    return cast(Expected, status) if status in (401, 403, 404) else "passes"


def status_of_socket(address: str, line: Line, headers: dict[str, str]) -> int:
    query = str(httpx.QueryParams(dict(line.query)))
    try:
        with connect(f"{address}?{query}", additional_headers=headers):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code
