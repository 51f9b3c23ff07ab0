"""`/`: the projects that one may see, as cards."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard.guard import Viewer
from dashboard.ui import pages

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home(request: Request, identity: Viewer) -> Response:
    page = await pages.shell(request, identity, "home")
    return pages.answer(request, page, "home/home.html")
