"""The ingest API of the benchmark: the product's application with an empty FastAPI route and an empty bare endpoint."""

from __future__ import annotations

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest_api.main import app

_CONTENT = b'{"status":"accepted","event_id":1}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_CONTENT))]


class BareEndpoint:
    """What the landing endpoint is, without its work: takes the request, answers it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _CONTENT})


@app.post("/empty/{crm}/{project}")
async def empty(crm: str, project: str) -> dict[str, object]:
    """An empty route as one writes it with FastAPI."""
    return {"status": "accepted", "event_id": 1}


# Right behind the landing routes, so that finding the route costs the same for all.
_routes = app.router.routes
_routes.insert(4, _routes.pop())
_routes.insert(4, Route("/bare/{crm}/{project}", BareEndpoint(), methods=["POST", "GET"]))
