"""Serves a KeyCRM simulator with many orders, in a process of its own: python -m benchmarks.pull_simulator ORDERS KEY

Prints its address on one line when it is ready, and serves until it is killed.
"""

from __future__ import annotations

import random
import sys
import time
from datetime import UTC, datetime, timedelta

from connectors.keycrm.simulator import SimulatorState, create_app
from demo.http_server import serve

_START = datetime(2025, 1, 1, 8, tzinfo=UTC)


def fill(orders: int, key: str) -> SimulatorState:
    """Orders two minutes apart with one to three items, most of them paid. The same for the same number."""
    rng = random.Random(orders)
    now = _START + timedelta(minutes=2 * orders + 60)
    state = SimulatorState(api_key=key, clock=lambda: now, rate_limit=0)
    buyers = [
        state.add_buyer(f"Покупець {n}", phones=[f"+38050{n:07}"], emails=[f"buyer{n}@example.com"])
        for n in range(max(1, orders // 4))
    ]
    statuses = sorted(state.dictionaries["statuses"].rows)
    for number in range(orders):
        lines = [
            {"name": f"Чашка {rng.randrange(900)}", "sku": f"cup-{rng.randrange(900)}", "price": 200.5, "quantity": 2}
            for _ in range(rng.randint(1, 3))
        ]
        total = 401 * len(lines)
        state.add_order(
            buyer=rng.choice(buyers),
            status_id=rng.choice(statuses),
            products=lines,
            payments=[{"amount": total, "status": "paid"}] if rng.random() < 0.8 else [],
            at=_START + timedelta(minutes=2 * number),
            announce=False,
        )
    return state


def main() -> None:
    with serve(create_app(fill(int(sys.argv[1]), sys.argv[2]))) as url:
        print(f"{url}/v1", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
