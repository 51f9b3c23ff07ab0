"""A demo that serves, windows of the system's Chromium on it, and axe-core."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
from playwright.sync_api import Browser, Page
from psycopg.rows import dict_row

from database.connection import Connection, connect
from database.embedded import EmbeddedServer
from database.environment import Environment

ROOT = Path(__file__).parents[3]
CHROMIUM = "/usr/bin/chromium"
T = TypeVar("T")
WIDTHS = {"phone": 375, "desktop": 1440}
AXE = "axe-core"
_SAID = {"Dashboard": "DASHBOARD", "Ingest API": "INGEST", "Dagster": "DAGSTER", "dbt docs": "DOCS"}


@dataclass(frozen=True)
class Demo:
    """A demo that serves: its addresses, its database, and who may log in."""

    home: Path
    ports: dict[str, int]
    database_url: str
    passwords: dict[str, str] = field(repr=False)

    @property
    def url(self) -> str:
        """Of the dashboard: the demo's, or the one that CRM_ELT_TEST_DASHBOARD names (when writing tests)."""
        return os.environ.get("CRM_ELT_TEST_DASHBOARD") or f"http://127.0.0.1:{self.ports['DASHBOARD']}"

    @property
    def ingest_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['INGEST']}"

    def environment(self) -> Environment:
        """Of the demo's own processes, for functions that tests call themselves."""
        return Environment(DATABASE_URL=self.database_url, home=self.home / "demo")  # type: ignore[call-arg]

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.database_url, row_factory=dict_row, autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()  # type: ignore[arg-type]

    def do(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run a coroutine on a connection, in a thread of its own: in ours Playwright's loop may run."""

        async def run() -> T:
            async with await connect(self.database_url) as connection:
                return await work(connection)

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(run())).result()

    def bearer(self, login: str = "admin") -> dict[str, str]:
        """Headers of a program that is logged in."""
        answer = httpx.post(f"{self.url}/login", json={"login": login, "password": self.passwords[login]}, timeout=30)
        assert answer.status_code == 200, answer.text
        return {"authorization": f"Bearer {answer.json()['access_token']}"}

    def crm_elt(self, *words: str) -> str:
        """Run a command on the demo's stack; what it printed."""
        variables = {**os.environ, "CRM_ELT_HOME": str(self.home / "demo"), "DATABASE_URL": self.database_url}
        done = subprocess.run(
            [sys.executable, "-m", "cli", *words],
            cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def read_demo(home: Path, output: str) -> Demo:
    """What a newcomer reads off the screen."""
    passwords = {
        "admin": re.findall(r"as admin, password (\S+)", output)[-1],
        "viewer": re.findall(r"as viewer, .*password (\S+)", output)[-1],
    }
    found = {name: re.findall(rf"{name}\W+http://127\.0\.0\.1:(\d+)", output)[-1] for name in _SAID}
    ports = {_SAID[name]: int(port) for name, port in found.items()}
    # A copy of its database, while tests are written.
    database_url = os.environ.get("CRM_ELT_TEST_DATABASE") or EmbeddedServer(home / "demo").url("crm_elt")
    return Demo(home, ports, database_url, passwords)


def log_in(browser: Browser, demo: Demo, login: str, **options: Any) -> Page:
    """A new browser window of a user who has logged in by the form; fails on errors in the page's scripts."""
    context = browser.new_context(
        base_url=demo.url, locale="en-GB", viewport={"width": WIDTHS["desktop"], "height": 900}, **options
    )
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    errors: list[str] = []
    page.script_errors = errors  # type: ignore[attr-defined]
    page.goto("/login")
    page.get_by_label("Login").fill(login)
    page.get_by_label("Password").fill(demo.passwords[login])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: not url.endswith("/login"))
    return page


def install_axe(folder: Path) -> str:
    """The script of axe-core, installed by npm from the registry that this machine is set up for."""
    npm = shutil.which("npm")
    assert npm is not None, "The accessibility check needs npm: apt-get install npm"
    (folder / "package.json").write_text('{"private": true}')
    subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", AXE],
        cwd=folder, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return (folder / "node_modules" / AXE / "axe.min.js").read_text()


def serious_findings(page: Page, axe: str) -> list[str]:
    """What axe-core (WCAG 2.2 A and AA) calls serious or critical: rule, and the elements it is about."""
    page.evaluate(axe)  # not by a script tag, which the page's policy refuses
    run = "() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
    found = page.evaluate(run)["violations"]
    return [
        f"{item['id']}: {item['help']}: {[node['html'][:200] for node in item['nodes'][:3]]}"
        for item in found
        if item["impact"] in ("serious", "critical")
    ]


def fits(page: Page, name: str) -> bool:
    """Whether the page at this width (`phone`, `desktop`) has nothing to scroll sideways."""
    page.set_viewport_size({"width": WIDTHS[name], "height": 900})
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width <= WIDTHS[name]
