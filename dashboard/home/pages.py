"""`/`: the projects that one may see, as cards."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard.guard import Viewer
from dashboard.home.reading import over_share, read_cards, total
from dashboard.services import environment_of, services_of
from dashboard.ui import pages
from dashboard.ui.docs_links import model_page

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home(request: Request, identity: Viewer) -> Response:
    page = await pages.shell(request, identity, "home")
    async with services_of(request).database() as connection:
        cards = await read_cards(connection, identity, page.chosen or None)
    counts = total(cards)
    docs = model_page(environment_of(request), "orders_current")
    return pages.answer(
        request, page, "home/home.html", cards=cards, counts=counts, share=over_share(counts), over_share=over_share,
        docs=docs,
    )  # fmt: skip
