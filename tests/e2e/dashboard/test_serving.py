"""What the demo serves besides the pages."""

from __future__ import annotations

import httpx
from demo_windows import Demo


def test_everything_that_the_demo_names_answers(demo: Demo) -> None:
    for name, path in {
        "INGEST": "/health/ready", "DASHBOARD": "/health/ready", "DAGSTER": "/server_info", "DOCS": "/manifest.json",
    }.items():  # fmt: skip
        answer = httpx.get(f"http://127.0.0.1:{demo.ports[name]}{path}", timeout=30)
        assert answer.status_code == 200, name
