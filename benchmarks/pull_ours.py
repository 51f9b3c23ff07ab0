"""Pulls a project to core, in a process of its own: python -m benchmarks.pull_ours PROJECT [STREAM ...]

Without streams, all that the project enables. DATABASE_URL and CRM_ELT_MASTER_KEY say where. Prints {"seconds", "rows",
"changed", "peak_mib"} as JSON; `rows` are the new records.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence

from benchmarks.memory import peak_mib
from database.connection import open_pool
from database.encryption import Keyring
from database.environment import Environment
from sync.pull import pull_project


async def pull(project_id: str, streams: Sequence[str] | None) -> tuple[int, int]:
    """How many records were new, and how many changed."""
    keyring = Keyring.load(Environment())
    async with open_pool(os.environ["DATABASE_URL"], max_size=12) as pool:
        result = await pull_project(pool, keyring, project_id, streams=streams)
    counts = [stream.counts for stream in result.streams]
    return sum(count.new for count in counts), sum(count.changed for count in counts)


def main() -> None:
    started = time.perf_counter()
    rows, changed = asyncio.run(pull(sys.argv[1], sys.argv[2:] or None))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "rows": rows, "changed": changed, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
