"""Urgency set by hand: validated, audited, and seen at once, because orders_current computes the order anew."""

from __future__ import annotations

from typing import Any

from dashboard.orders.models import REASON_LONGEST
from dashboard.orders.reading import find_order, marts_needed
from dashboard.services import Services
from database.repositories import audit, order_overrides
from database.repositories.order_overrides import OverrideRow

NO_REASON = "Say in a few words why: the reason is shown with the order and in the audit log."
LONG_REASON = "Say it shorter: a reason has at most 500 characters."


def why_unfit(reason: str) -> str | None:
    """What is wrong with a reason; None if nothing is."""
    if not reason.strip() or "\0" in reason:
        return NO_REASON
    return LONG_REASON if len(reason.strip()) > REASON_LONGEST else None


async def override(
    services: Services, project_id: str, order_id: str, *, is_urgent: bool, reason: str, actor: str
) -> OverrideRow:
    """What counts from now on. The same once more changes nothing. Raises ProblemError: 404, 503."""
    with marts_needed():
        async with services.database() as connection, connection.transaction():
            await find_order(connection, project_id, order_id)
            before = await order_overrides.load(connection, project_id, order_id, for_update=True)
            if before is not None and (before.is_urgent, before.reason) == (is_urgent, reason):
                return before
            await order_overrides.set_urgency(
                connection, project_id, order_id, is_urgent=is_urgent, reason=reason, actor=actor
            )
            action = "added" if before is None or before.is_urgent is None else "changed"
            await audit.record(
                connection, actor=actor, action=action, project_id=project_id, object=_name(order_id),
                before=_said(before), after={"is_urgent": is_urgent, "reason": reason},
            )  # fmt: skip
            after = await order_overrides.load(connection, project_id, order_id)
            assert after is not None
            return after


async def remove(services: Services, project_id: str, order_id: str, *, actor: str) -> bool:
    """Leave it to the rules again; whether it was not before. Raises ProblemError: 404, 503."""
    with marts_needed():
        async with services.database() as connection, connection.transaction():
            await find_order(connection, project_id, order_id)
            before = await order_overrides.load(connection, project_id, order_id, for_update=True)
            if before is None or before.is_urgent is None:
                return False
            await order_overrides.clear_urgency(connection, project_id, order_id, actor=actor)
            await audit.record(
                connection, actor=actor, action="removed", project_id=project_id, object=_name(order_id),
                before=_said(before), after=None,
            )  # fmt: skip
            return True


def _name(order_id: str) -> str:
    return f"order {order_id} urgency"


def _said(row: OverrideRow | None) -> dict[str, Any] | None:
    return None if row is None or row.is_urgent is None else {"is_urgent": row.is_urgent, "reason": row.reason}
