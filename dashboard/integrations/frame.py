"""What every page of one project has: the project, its tabs, its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import Request
from starlette.responses import HTMLResponse

from connectors.protocol import Capabilities
from dashboard import guard
from dashboard.capabilities import capabilities_of
from dashboard.identity import Identity
from dashboard.marks import N_
from dashboard.services import services_of
from dashboard.ui import pages
from dashboard.ui.pages import Shell
from database.repositories.settings import ProjectRow

AREA = "integrations"


@dataclass(frozen=True, slots=True)
class Frame:
    page: Shell
    row: ProjectRow
    capabilities: Capabilities

    @property
    def base(self) -> str:
        return path_of(self.row.project_id)

    def answer(
        self, request: Request, template: str, /, *, tab: str, status: int = 200, **context: Any
    ) -> HTMLResponse:
        return pages.answer(
            request, self.page, f"integrations/{template}", status=status,
            row=self.row, capabilities=self.capabilities, base=self.base, tab=tab, tabs=self._tabs(), **context,
        )  # fmt: skip

    def _tabs(self) -> list[tuple[str, str, str]]:
        """Name, address and English title of each."""
        tabs = [("overview", self.base, N_("Overview")), ("access", f"{self.base}/access", N_("Access"))]
        if self.row.crm == "csv":
            tabs.append(("files", f"{self.base}/files", N_("Files")))
        else:
            tabs.append(("webhooks", f"{self.base}/webhooks", N_("Webhooks")))
        if self.row.crm == "custom":
            tabs.append(("definition", f"{self.base}/definition", N_("Definition")))
        tabs.append(("logs", f"{self.base}/logs", N_("Log")))
        return tabs


async def frame(request: Request, identity: Identity, project_id: str) -> Frame:
    """Raises ProblemError, 404, if there is no such project that this user may see."""
    row = await guard.visible_project(services_of(request), identity, project_id)
    page = await pages.shell(request, identity, AREA)
    return Frame(page, row, capabilities_of(row))


def path_of(project_id: str) -> str:
    return f"/integrations/{quote(project_id, safe='')}"
