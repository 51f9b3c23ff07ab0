"""Orders that were written since the last build of the marts, and wait to be shown in its order table."""

from __future__ import annotations

from database.connection import Connection

PORTION = 100
"""Orders per folding: its work grows faster than their number, and what it holds is held shortly."""


async def fold(connection: Connection) -> int | None:
    """Bring a portion of the waiting orders into intermediate.int_orders__latest at once; how many they were.

    None if it cannot be done now: the marts have not been built yet, or a build writes that table.
    """
    row = await (
        await connection.execute("select to_regprocedure('intermediate.fold_orders(integer)') is not null as flag")
    ).fetchone()
    if not (row and row["flag"]):
        return None
    row = await (await connection.execute("select intermediate.fold_orders(%s) as folded", [PORTION])).fetchone()
    assert row is not None
    return None if row["folded"] is None else int(row["folded"])
