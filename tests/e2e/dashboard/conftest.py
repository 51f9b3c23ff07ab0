"""One demo that serves, and one browser, for all tests of the dashboard's pages."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from demo_windows import CHROMIUM, ROOT, WIDTHS, Demo, install_axe, log_in, read_demo
from playwright.sync_api import Browser, Page, expect, sync_playwright

from database.embedded import EmbeddedServer
from database.ports import free_port
from tests.support.serving import serving

START_SECONDS = 600.0

expect.set_options(timeout=20_000)  # on a busy machine a page takes its time


_demo = contextlib.ExitStack()
"""The demo that serves, if one was started."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """`crm-elt demo --still`, until it serves, which ends with Ctrl-C and leaves nothing behind.

    What the tests let happen at a CRM is all that happens, so that what a build counted can be counted again.

    CRM_ELT_TEST_DEMO names the home of one that serves already, to write tests.
    """
    if home := os.environ.get("CRM_ELT_TEST_DEMO"):
        return read_demo(Path(home), (Path(home) / "demo-output.txt").read_text())
    return _demo.enter_context(_served_demo(tmp_path_factory.mktemp("demo")))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """A dozen processes: they end with the last test of this folder, not with the session."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _demo.close()


@contextlib.contextmanager
def _served_demo(home: Path) -> Iterator[Demo]:
    variables = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    ports = {f"CRM_ELT_{name}_PORT": str(free_port()) for name in ("INGEST", "DASHBOARD", "DAGSTER", "DOCS")}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "demo", "--still"],
        cwd=ROOT, env={**variables, **ports, "CRM_ELT_HOME": str(home), "COLUMNS": "200"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    with serving(process) as served:
        served.wait_until_it_serves(START_SECONDS)
        assert "Working time per stage" in served.output
        yield read_demo(home, served.output)
        family = psutil.Process(process.pid).children(recursive=True)
        assert served.stop(signal.SIGINT) == 0, served.output[-3000:]
        _, alive = psutil.wait_procs(family, timeout=10)
        assert alive == []
        assert not EmbeddedServer(home / "demo").is_running()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium of the system, headless. While it is open Playwright's event loop runs in this thread."""
    assert Path(CHROMIUM).exists(), "Browser tests need Debian's chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
        quiet += ["--disable-component-update", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0, args=quiet)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def _admin_window(browser: Browser, demo: Demo) -> Iterator[Page]:
    page = log_in(browser, demo, "admin")
    yield page
    page.context.close()


@pytest.fixture(scope="module")
def _viewer_window(browser: Browser, demo: Demo) -> Iterator[Page]:
    page = log_in(browser, demo, "viewer")
    yield page
    page.context.close()


@pytest.fixture
def admin(_admin_window: Page) -> Iterator[Page]:
    """A page of an admin. A script of ours that fails, fails the test."""
    yield from _watched(_admin_window)


@pytest.fixture
def viewer(_viewer_window: Page) -> Iterator[Page]:
    """A page of a viewer of print-shop alone."""
    yield from _watched(_viewer_window)


def _watched(page: Page) -> Iterator[Page]:
    page.script_errors.clear()  # type: ignore[attr-defined]
    page.set_viewport_size({"width": WIDTHS["desktop"], "height": 900})
    yield page
    assert page.script_errors == []  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept as test output."""
    folder = Path(os.environ.get("CRM_ELT_SCREENSHOTS", ROOT / "test-output" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, for `demo_windows.serious_findings`."""
    return install_axe(tmp_path_factory.mktemp("axe"))
