from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog

from database.environment import Environment
from sync.logging_setup import configure_logging


def fail_with_a_local() -> None:
    api_key = "canary-in-a-local"
    raise RuntimeError(f"failed after {len(api_key)} characters")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_logged_traceback_holds_no_local_variables(
    log_format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(Environment(home=tmp_path, log_format=log_format))  # type: ignore[arg-type]
    try:
        fail_with_a_local()
    except RuntimeError:
        structlog.get_logger().exception("failed")
    written = capsys.readouterr().err
    assert "failed after 17 characters" in written
    assert "fail_with_a_local" in written
    assert "canary-in-a-local" not in written


def test_lines_are_json_with_cyrillic_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Environment(home=tmp_path, log_format="json"))
    structlog.get_logger().info("pulled", stage="Виробництво 🚚")
    line = capsys.readouterr().err
    assert json.loads(line)["stage"] == "Виробництво 🚚"
    assert "Виробництво 🚚" in line


def test_a_level_that_was_asked_for_goes_before_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Environment(home=tmp_path, log_format="json"), is_service=False)
    structlog.get_logger().info("quiet")
    configure_logging(Environment(home=tmp_path, log_format="json", log_level="info"), is_service=False)
    structlog.get_logger().info("heard")
    written = capsys.readouterr().err
    assert "heard" in written
    assert "quiet" not in written


def test_what_commands_say_is_readable_and_services_write_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(Environment(home=tmp_path), is_service=False)
    structlog.get_logger().warning("http_retry", wait=1)
    line = capsys.readouterr().err
    assert "http_retry" in line
    assert "wait=1" in line
    assert "\x1b" not in line
    configure_logging(Environment(home=tmp_path))
    structlog.get_logger().warning("http_retry", wait=1)
    assert json.loads(capsys.readouterr().err)["wait"] == 1
