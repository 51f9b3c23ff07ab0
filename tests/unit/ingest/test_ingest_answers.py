"""Error answers, the log of refusals, metrics, the environment."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingest_api.metrics import Metrics
from ingest_api.problems import ProblemError, send_problem
from ingest_api.refusals import INTERVAL_SECONDS, RefusalLog, store_counts

pytestmark = pytest.mark.anyio


class Log:
    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def warning(self, event: str, **values: Any) -> None:
        self.lines.append({"event": event, **values})


@pytest.mark.parametrize(
    ("status", "word"),
    [(400, "skip_row"), (401, "config"), (404, "config"), (413, "permanent"), (429, "retry"), (503, "retry")],
)  # fmt: skip
async def test_a_problem_follows_rfc_9457_and_names_the_error_word(status: int, word: str) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    problem = ProblemError(status, "some_code", "One clear sentence.", retry_after=7, close=True)
    await send_problem(send, problem)
    headers = dict(sent[0]["headers"])
    content = msgspec.json.decode(sent[1]["body"])
    assert sent[0]["status"] == content["status"] == status
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"content-length"] == str(len(sent[1]["body"])).encode()
    assert (headers[b"retry-after"], headers[b"connection"]) == (b"7", b"close")
    assert (content["code"], content["word"], content["detail"]) == ("some_code", word, "One clear sentence.")
    assert content["type"] == "about:blank"
    assert (b"www-authenticate" in headers) is (status == 401)
    assert problem.response().body == sent[1]["body"]


def test_a_flood_of_refusals_is_one_line_per_interval_and_kind() -> None:
    log = Log()
    now = 0.0
    refusals = RefusalLog(lambda: now, log)
    for _ in range(1000):
        refusals.note("p", "not_authentic", "x")
    refusals.note("p", "unreadable", "y")
    refusals.note("q", "not_authentic", "x")
    assert len(log.lines) == 3
    now = INTERVAL_SECONDS + 1
    refusals.note("p", "not_authentic", "x")
    assert log.lines[-1]["more_since_last"] == 999


def test_refusals_of_known_projects_are_counted_until_they_are_stored() -> None:
    refusals = RefusalLog(lambda: 0.0, Log())
    stored: list[Mapping[tuple[str, str], int]] = []
    is_away = True

    async def store(counts: Mapping[tuple[str, str], int]) -> None:
        if is_away:
            raise OSError
        stored.append(dict(counts))
        refusals.note("q", "too_large", "z")  # one that comes meanwhile is not lost

    for project, code in (("p", "not_authentic"), ("p", "not_authentic"), ("q", "too_large"), ("", "unknown_project")):
        refusals.note(project, code, "x")
    with pytest.raises(OSError, match=r"^$"):
        asyncio.run(store_counts(refusals, store))
    is_away = False
    asyncio.run(store_counts(refusals, store))
    asyncio.run(store_counts(refusals, store))
    assert stored == [{("p", "not_authentic"): 2, ("q", "too_large"): 1}, {("q", "too_large"): 1}]


def test_metrics_tell_what_was_received_accepted_and_refused() -> None:
    metrics = Metrics()
    metrics.received, metrics.accepted = 5, 3
    metrics.refused["not_authentic"] += 2
    metrics.group_size.observe(3)
    text = metrics.render().decode()
    for line in (
        "crm_elt_ingest_webhooks_received_total 5.0",
        "crm_elt_ingest_webhooks_accepted_total 3.0",
        'crm_elt_ingest_webhooks_refused_total{reason="not_authentic"} 2.0',
        'crm_elt_ingest_group_size_bucket{le="5.0"} 1.0',
    ):
        assert line in text.splitlines()


def test_a_wrong_variable_is_one_sentence_and_no_traceback() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import ingest_api.main"],
        env={"CRM_ELT_INGEST_PORT": "99999999", "PATH": ""},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "CRM_ELT_INGEST_PORT" in result.stderr
    assert "Traceback" not in result.stderr
