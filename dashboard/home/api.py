"""`GET /api/projects`: the cards of the first page, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from dashboard.guard import Viewer, wanted_projects
from dashboard.home.alerts import Alert
from dashboard.home.reading import Card, State, over_share, read_cards
from dashboard.services import services_of

router = APIRouter(prefix="/api")


class Orders(BaseModel):
    open: int = Field(description="Orders that are not closed, without those that the settings hide.", examples=[412])
    ok: int = Field(description="Open orders that keep their stage's limit.", examples=[300])
    near: int = Field(description="Those near it.", examples=[24])
    over: int = Field(description="Those over it.", examples=[11])
    over_share: float | None = Field(description="over / (ok + near + over); null: no limit.", examples=[0.033])


class ProjectAlert(BaseModel):
    kind: str = Field(
        description="disabled, pull_failed, pull_retried, late, crm_away, inbound, outbound, conflict ...",
        examples=["inbound"],
    )
    count: int = Field(description="How many there are.", examples=[3])
    since: datetime | None = Field(
        description="Since when the oldest waits; null: nobody knows.", examples=["2026-11-21T08:03:11Z"]
    )
    tone: Literal["over", "near"] = Field(description="over: something stands still; near: somebody has to look.")
    title: str = Field(description="What it is, in words.", examples=["3 records could not be applied"])
    advice: str = Field(description="What to do.", examples=["Read why, mend it, then retry or discard them."])
    message: str | None = Field(description="What the newest one says.", examples=[None])
    page: str = Field(description="Where it is mended.", examples=["/sync/dead-letters?project=print-shop"])


class Project(BaseModel):
    project_id: str = Field(examples=["print-shop"])
    name: str = Field(description="The project's name.", examples=["Print shop"])
    crm: str = Field(examples=["keycrm"])
    timezone: str = Field(examples=["Europe/Kyiv"])
    is_enabled: bool
    disabled_reason: str | None = Field(examples=[None])
    state: State = Field(
        description="stopped: something stands still; disabled: by hand; new: nothing was ever synchronised."
    )
    is_syncing: bool = Field(description="It is being synchronised now.")
    last_sync_ok: bool | None = Field(description="null: nothing was ever synchronised.", examples=[True])
    last_success_at: datetime | None = Field(examples=["2026-11-21T08:03:11Z"])
    orders: Orders | None = Field(description="null: the marts have not been built.")
    alerts: list[ProjectAlert] = Field(description="What needs somebody; empty: nothing.")


class Projects(BaseModel):
    items: list[Project]
    next: None = Field(default=None, description="All projects are on one page.")


@router.get("/projects", summary="List projects", response_model=Projects)
async def list_projects(
    request: Request,
    identity: Viewer,
    project: Annotated[list[str] | None, Query(description="Only these projects.")] = None,
) -> Projects:
    """The projects that one may see, each with its last synchronisation, its open orders, and what needs somebody."""
    services = services_of(request)
    wanted = await wanted_projects(services, identity, project or ())
    async with services.database() as connection:
        cards = await read_cards(connection, identity, wanted)
    return Projects(items=[_project(card) for card in cards])


def _project(card: Card) -> Project:
    row, counts = card.project, card.orders
    return Project(
        project_id=row.project_id, name=row.name, crm=row.crm, timezone=row.timezone, is_enabled=row.is_enabled,
        disabled_reason=row.disabled_reason, state=card.state, is_syncing=card.sync.is_running,
        last_sync_ok=card.is_last_sync_ok, last_success_at=card.sync.success_at,
        orders=None if counts is None else Orders(
            open=counts.open, ok=counts.ok, near=counts.near, over=counts.over, over_share=over_share(counts)
        ),
        alerts=[_alert(row.project_id, alert) for alert in card.alerts],
    )  # fmt: skip


def _alert(project_id: str, alert: Alert) -> ProjectAlert:
    words = alert.words
    title = words.title[alert.count != 1] % {"num": alert.count}
    return ProjectAlert(
        kind=alert.kind, count=alert.count, since=alert.since, tone=words.tone, title=title, advice=words.advice,
        message=alert.message, page=alert.page(project_id),
    )  # fmt: skip
