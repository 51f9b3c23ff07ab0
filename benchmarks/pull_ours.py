"""Pulls all orders of a project to core, in a process of its own: python -m benchmarks.pull_ours PROJECT

DATABASE_URL and CRM_ELT_MASTER_KEY say where. Prints {"seconds", "rows", "peak_mib"} as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from benchmarks.memory import peak_mib
from database.connection import open_pool
from database.encryption import Keyring
from database.environment import Environment
from sync.pull import pull_project


async def pull(project_id: str) -> int:
    keyring = Keyring.load(Environment())
    async with open_pool(os.environ["DATABASE_URL"], max_size=12) as pool:
        result = await pull_project(pool, keyring, project_id, streams=["orders"])
    return sum(stream.counts.new for stream in result.streams)


def main() -> None:
    started = time.perf_counter()
    rows = asyncio.run(pull(sys.argv[1]))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "rows": rows, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
