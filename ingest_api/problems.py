"""The problems of web.problems, and sending one without the detour over a Response."""

from __future__ import annotations

from starlette.types import Send

from web.problems import HANDLERS, ProblemError, database_away

__all__ = ["HANDLERS", "ProblemError", "database_away", "send_problem"]


async def send_problem(send: Send, problem: ProblemError) -> None:
    """Answer with a problem on the hot path."""
    content = problem.content()
    headers = [(name.encode(), value.encode()) for name, value in problem.headers().items()]
    headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
