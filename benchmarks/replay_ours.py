"""Replays a project, in a process of its own: python -m benchmarks.replay_ours PROJECT

DATABASE_URL says where. Prints {"seconds", "rows", "events", "failed", "peak_mib"} as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from benchmarks.memory import peak_mib
from database.connection import open_pool
from sync.replay import replay_project


async def replay(project_id: str) -> dict[str, float]:
    async with open_pool(os.environ["DATABASE_URL"], max_size=4) as pool:
        started = time.perf_counter()
        result = await replay_project(pool, project_id)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "rows": result.rows, "events": result.events, "failed": result.failed}


def main() -> None:
    figures = asyncio.run(replay(sys.argv[1]))
    print(json.dumps({**figures, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
