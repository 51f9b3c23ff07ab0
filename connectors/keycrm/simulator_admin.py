"""Controls of a running simulator, for the demo and for trying things by hand: no part of KeyCRM's API.

`?account=NAME` chooses the account where there are several; the default is the first. No key is asked for: the
simulator listens on loopback alone and holds invented data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from connectors.keycrm.simulator_faults import Fault, FaultKind
from connectors.keycrm.simulator_state import SimulatorState
from connectors.keycrm.simulator_values import JSON
from connectors.keycrm.simulator_webhooks import EVENTS


class FaultRequest(BaseModel):
    """As `simulator_faults.Fault`."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    path: str = Field("/", pattern="^/")
    method: str | None = None
    times: int | None = Field(1, ge=1)
    probability: float = Field(1.0, ge=0, le=1)
    skip: int = Field(0, ge=0)
    seconds: float = Field(1.0, ge=0)
    is_applied: bool = False


class TargetRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern="^https?://")
    events: list[str] = Field(default_factory=lambda: list(EVENTS))


class StatusRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status_id: int


def router(states: Sequence[SimulatorState]) -> APIRouter:
    """The routes below /_simulator. Errors: 404 unknown account or order, 409 nothing to tick, 422 wrong body."""
    routes = APIRouter()
    by_name = {state.name: state for state in reversed(states)}

    def chosen(name: str | None) -> SimulatorState:
        if name is None:
            return states[0]
        if name not in by_name:
            raise HTTPException(404)
        return by_name[name]

    @routes.get("/counts")
    async def counts(account: str | None = None) -> JSON:
        state = chosen(account)
        deliveries = state.webhooks.deliveries()
        return {
            "account": state.name,
            "orders": len(state.orders),
            "buyers": len(state.buyers),
            "products": len(state.catalog.products),
            "requests": state.requests.total,
            "requests_by_route": state.requests.by_route(),
            "written": state.writes.as_json(),
            "webhooks": len(deliveries),
            "webhooks_delivered": sum(delivery.is_delivered for delivery in deliveries),
            "webhooks_pending": state.webhooks.pending(),
        }

    @routes.get("/requests")
    async def requests(account: str | None = None, limit: int = Query(100, ge=1)) -> list[JSON]:
        return [entry.as_json() for entry in chosen(account).requests.find()[-limit:]]

    @routes.get("/deliveries")
    async def deliveries(account: str | None = None, limit: int = Query(100, ge=1)) -> list[JSON]:
        return [delivery.as_json() for delivery in chosen(account).webhooks.deliveries()[-limit:]]

    @routes.get("/faults")
    async def faults(account: str | None = None) -> list[JSON]:
        return [_fault(fault) for fault in chosen(account).faults.active()]

    @routes.post("/faults", status_code=201)
    async def add_fault(wanted: FaultRequest, account: str | None = None) -> JSON:
        return _fault(chosen(account).faults.add(**wanted.model_dump()))

    @routes.delete("/faults")
    async def clear_faults(account: str | None = None) -> JSON:
        chosen(account).faults.clear()
        return {"status": True}

    @routes.post("/webhooks", status_code=201)
    async def add_target(wanted: TargetRequest, account: str | None = None) -> Any:
        state = chosen(account)
        try:
            state.webhooks.add_target(wanted.url, wanted.events)
        except ValueError as error:
            return JSONResponse({"message": str(error)}, 422)
        state.webhooks.start()
        return {"status": True}

    @routes.post("/orders/{order_id}/status")
    async def change_status(order_id: int, wanted: StatusRequest, account: str | None = None) -> Any:
        """What a manager does in the UI: the order enters the status, the webhook goes out."""
        state = chosen(account)
        try:
            order = state.change_status(order_id, wanted.status_id)
        except KeyError:
            return JSONResponse({"message": f"no order {order_id} or no status {wanted.status_id}"}, 404)
        return {name: order.fields[name] for name in ("id", "status_id", "status_group_id", "status_changed_at")}

    @routes.post("/tick")
    async def tick(account: str | None = None, changes: int = Query(1, ge=1, le=1000)) -> Any:
        """Let that many things happen on the account."""
        state = chosen(account)
        if state.on_tick is None:
            return JSONResponse({"message": "this account has no life of its own: it was not seeded"}, 409)
        return {"changes": state.on_tick(changes)}

    @routes.post("/reset")
    async def reset(account: str | None = None) -> JSON:
        """Forget faults, logs, queued webhooks and the used-up rate limit; the data stay."""
        chosen(account).reset()
        return {"status": True}

    return routes


def _fault(fault: Fault) -> JSON:
    names = ("kind", "path", "method", "times", "probability", "skip", "seconds", "is_applied", "strikes")
    return {name: getattr(fault, name) for name in names}
