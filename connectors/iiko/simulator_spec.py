"""The paths of the dialect `spec`, which is the requirement's and no real iiko's: see README.md."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from connectors.iiko.simulator_answers import ApiError, answer, body_of, needed
from connectors.iiko.simulator_cloud import guest_answer
from connectors.iiko.simulator_orders import SimulatedOrder
from connectors.iiko.simulator_state import SimulatorState


def router(state: SimulatorState) -> APIRouter:
    """Login, organizations, orders, guests."""
    routes = APIRouter()

    @routes.post("/api/auth")
    async def auth(request: Request) -> Response:
        body = await body_of(request)
        given = needed(body, "login", str), needed(body, "password", str)
        if given != (state.tokens.api_login, state.tokens.password):
            raise ApiError(401, f"Login {given[0]} or the password is wrong.")
        token = state.tokens.issue(is_jwt=False)
        if state.tokens.is_plain_text:
            return Response(token, media_type="text/plain")
        return answer({"token": token})

    @routes.get("/api/organization/list")
    async def organizations() -> Response:
        rows = [
            {
                "id": one.organization_id,
                "name": one.name,
                "timezone": one.zone,
                "currencyIsoName": one.currency,
                "isActive": True,
            }
            for one in state.organizations.values()
        ]
        return answer(rows)

    @routes.post("/api/orders/list")
    async def orders(request: Request) -> Response:
        start = needed(await body_of(request), "dateFrom", str)
        try:
            datetime.fromisoformat(start)
        except ValueError:
            raise ApiError(400, "dateFrom: expected yyyy-MM-dd HH:mm:ss.fff") from None
        found = [one for one in state.of(state.organizations) if (_date(state, one) or "") >= start]
        return answer({"orders": [one.flat() for one in found]})

    @routes.post("/api/customer/info")
    async def customer_info(request: Request) -> Response:
        return guest_answer(state, await body_of(request))

    return routes


def _date(state: SimulatorState, order: SimulatedOrder) -> str | None:
    return order.local(order.changed_at if state.date_from == "changed" else order.created_at)
