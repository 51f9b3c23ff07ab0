"""`/hubs/keycrm`: the changes of the stream for SignalR clients, over WebSockets."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, WebSocket
from starlette.responses import Response

from dashboard.guard import identify, require_own_origin, wanted_projects
from dashboard.openapi import refusals
from dashboard.routes.stream import begin
from dashboard.services import Services, services_of
from dashboard.signalr.connection import CallError, HubConnection
from dashboard.stream.rights import Watched
from dashboard.stream.subscription import Subscription
from web.answers import json_answer
from web.problems import ProblemError

PATH = "/hubs/keycrm"

router = APIRouter()


_EXAMPLE = {
    "connectionId": "Qm3xk1d0vW8fZp2rT7yLcA",
    "availableTransports": [{"transport": "WebSockets", "transferFormats": ["Text"]}],
}


@router.post(
    f"{PATH}/negotiate", summary="Ask how to connect by SignalR", responses={
        200: {"content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}}},
        **refusals({403: ("foreign_origin", "This request comes from a page of another site.")}),
    },
)  # fmt: skip
async def negotiate(
    request: Request, version: Annotated[str, Query(alias="negotiateVersion", description="0 or 1")] = "0"
) -> Response:
    """How to connect: by WebSocket. It changes nothing, and existing clients bring no CSRF token."""
    services = services_of(request)
    identity = await identify(services, request, by_query=True)
    if identity.kind == "cookie":
        require_own_origin(services, request)
    transports = [{"transport": "WebSockets", "transferFormats": ["Text"]}]
    answer: dict[str, Any] = {"connectionId": secrets.token_urlsafe(16), "availableTransports": transports}
    if version.isdecimal() and int(version[:9]) >= 1:
        answer |= {"negotiateVersion": 1, "connectionToken": secrets.token_urlsafe(16)}
    return json_answer(answer)


@router.websocket(PATH)
async def connect(websocket: WebSocket) -> None:
    """The connection itself; `?project=`, once or more, narrows it from the start."""
    services = services_of(websocket)
    try:
        identity = await identify(services, websocket, by_query=True)
        if identity.kind == "cookie":
            require_own_origin(services, websocket)
        wanted = await wanted_projects(services, identity, websocket.query_params.getlist("project"))
        start = await begin(services, None)
    except ProblemError as problem:
        await websocket.send_denial_response(problem.response())
        return
    await websocket.accept()
    with services.rights.watch(identity) as watched:
        subscription = Subscription(services.feed, watched, wanted, start)
        calls = _Calls(services, watched, subscription)
        methods = {"subscribe": calls.subscribe, "unsubscribe": calls.unsubscribe, "resume": calls.resume}
        await HubConnection(websocket, subscription, methods).run()


class _Calls:
    """What a client may call."""

    def __init__(self, services: Services, watched: Watched, subscription: Subscription) -> None:
        self._services = services
        self._watched = watched
        self._subscription = subscription

    async def subscribe(self, arguments: list[Any]) -> dict[str, Any]:
        """Subscribe(project): from the first call on only the projects that were named are heard of."""
        project = _only_text(arguments)
        await wanted_projects(self._services, self._watched.identity, [project])
        self._subscription.wanted = frozenset(self._subscription.wanted or ()) | {project}
        return self._state()

    async def unsubscribe(self, arguments: list[Any]) -> dict[str, Any]:
        """Unsubscribe(project); after the last one nothing is heard of."""
        project = _only_text(arguments)
        if self._subscription.wanted is None or project not in self._subscription.wanted:
            raise CallError("There is no subscription to this project.")
        self._subscription.wanted = frozenset(self._subscription.wanted) - {project}
        return self._state()

    async def resume(self, arguments: list[Any]) -> dict[str, Any]:
        """Resume(event_id): everything after that event, as after a broken connection."""
        if len(arguments) != 1 or type(arguments[0]) is not int:
            raise CallError("Resume takes one argument, the event_id of the last event that was seen.")
        self._subscription.move(await begin(self._services, arguments[0]))
        return self._state()

    def _state(self) -> dict[str, Any]:
        wanted = self._subscription.wanted
        return {"projects": None if wanted is None else sorted(wanted), "event_id": self._subscription.cursor}


def _only_text(arguments: list[Any]) -> str:
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        raise CallError("This takes one argument, the id of a project.")
    return arguments[0]
