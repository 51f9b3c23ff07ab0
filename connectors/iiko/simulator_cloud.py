"""The paths of iikoCloud."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.responses import Response

from connectors.iiko.simulator_answers import JSON, ApiError, body_of, correlated, needed
from connectors.iiko.simulator_orders import SimulatedOrder, read_local
from connectors.iiko.simulator_state import FIRST_REVISION, SimulatorState
from connectors.iiko.simulator_webhooks import Target

_REACH = timedelta(days=7)


def router(state: SimulatorState) -> APIRouter:
    """All paths, as POST with JSON."""
    routes = APIRouter()

    @routes.post("/api/1/access_token")
    async def access_token(request: Request) -> Response:
        login = needed(await body_of(request), "apiLogin", str)
        if state.tokens.is_v1_refused:
            raise ApiError(400, "This key is not supported by this method, use /api/v2/access_token")
        if login != state.tokens.api_login:
            raise ApiError(401, f"Login {login} is not authorized.")
        return correlated(token=state.tokens.issue(is_jwt=False))

    @routes.post("/api/v2/access_token")
    async def access_token_v2(request: Request) -> Response:
        body = await body_of(request)
        given = tuple(needed(body, name, str) for name in ("apiKey", "appId", "clientSecret"))
        if given != state.tokens.app:
            raise ApiError(401, "The application is not authorized.")
        return correlated(token=state.tokens.issue(is_jwt=True))

    @routes.post("/api/1/organizations")
    async def organizations(request: Request) -> Response:
        body = await body_of(request)
        is_extended = body.get("returnAdditionalInfo") is True
        rows = []
        for one in state.organizations.values():
            row: JSON = {
                "responseType": "Extended" if is_extended else "Simple",
                "id": one.organization_id,
                "name": one.name,
                "code": None,
            }
            if is_extended:
                row |= {
                    "country": "Россия",
                    "currencyIsoName": one.currency,
                    "inn": None,
                    "latitude": 0.0,
                    "longitude": 0.0,
                    "useUaeAddressingSystem": False,
                    "version": "9.1",
                    "addressFormatType": "Legacy",
                    "isCloud": True,
                    "addressLookup": [],
                }
            rows.append(row)
        return correlated(organizations=rows)

    @routes.post("/api/1/terminal_groups")
    async def terminal_groups(request: Request) -> Response:
        body = await body_of(request)
        wanted = _organizations(state, body)
        groups: dict[bool, list[JSON]] = {False: [], True: []}
        for is_asleep, found in groups.items():
            for organization_id in wanted:
                items = [
                    {
                        "id": one.terminal_id,
                        "organizationId": organization_id,
                        "name": one.name,
                        "address": "",
                        "timeZone": one.shown_zone,
                    }
                    for one in state.terminals.values()
                    if one.organization_id == organization_id and one.is_asleep is is_asleep
                ]
                if items:
                    found.append({"organizationId": organization_id, "items": items})
        return correlated(terminalGroups=groups[False], terminalGroupsInSleep=groups[True])

    @routes.post("/api/1/deliveries/by_delivery_date_and_status")
    async def by_date(request: Request) -> Response:
        body = await body_of(request)
        wanted = _organizations(state, body)
        start, end = needed(body, "deliveryDateFrom", str), body.get("deliveryDateTo")
        _check_dates(state, start, end)
        orders = [one for one in state.of(wanted) if not one.is_table]
        statuses = body.get("statuses")
        found = [
            one
            for one in orders
            if start <= (one.local(one.deliver_at) or "") <= (end or "9999")
            and (not statuses or one.status in statuses)
        ]
        return _listed(wanted, orders, found)

    @routes.post("/api/1/deliveries/by_revision")
    async def by_revision(request: Request) -> Response:
        body = await body_of(request)
        wanted = _organizations(state, body)
        revision = body.get("startRevision")
        if type(revision) is not int:
            raise ApiError(400, "The startRevision field is required.", "Validation_Required")
        orders = [one for one in state.of(wanted) if not one.is_table]
        if state.too_old(orders, revision):
            raise ApiError(400, "startRevision is more than 3 hours old", "Validation_Revision")
        return _listed(wanted, orders, [one for one in orders if one.revision > revision], at_least=revision)

    @routes.post("/api/1/deliveries/by_id")
    async def deliveries_by_id(request: Request) -> Response:
        body = await body_of(request)
        organization_id = needed(body, "organizationId", str)
        ids = needed(body, "orderIds", list)
        orders = state.of(_organizations(state, {"organizationIds": [organization_id]}))
        return correlated(orders=[one.info() for one in orders if one.order_id in ids and not one.is_table])

    @routes.post("/api/1/order/by_id")
    async def orders_by_id(request: Request) -> Response:
        body = await body_of(request)
        ids, wanted = needed(body, "orderIds", list), _organizations(state, body)
        if not state.has_order_by_id:
            raise ApiError(400, "The method needs iikoFront 7.4.6 or later")
        return correlated(
            orders=[one.info() for one in state.of(wanted) if one.order_id in ids and one.is_table and one.is_in_cloud]
        )

    @routes.post("/api/1/loyalty/iiko/customer/info")
    async def customer_info(request: Request) -> Response:
        return guest_answer(state, await body_of(request))

    @routes.post("/api/1/webhooks/settings")
    async def webhook_settings(request: Request) -> Response:
        organization_id = needed(await body_of(request), "organizationId", str)
        _organizations(state, {"organizationIds": [organization_id]})
        target = state.webhooks.targets.get(organization_id)
        return correlated(
            apiLoginName="crm-elt",
            webHooksUri=None if target is None else target.url,
            authToken=None if target is None else target.token,
            webHooksFilter=None if target is None else target.filter,
        )

    @routes.post("/api/1/webhooks/update_settings")
    async def update_webhook_settings(request: Request) -> Response:
        body = await body_of(request)
        organization_id = needed(body, "organizationId", str)
        _organizations(state, {"organizationIds": [organization_id]})
        url = needed(body, "webHooksUri", str)
        state.webhooks.targets[organization_id] = Target(url, body.get("authToken"), body.get("webHooksFilter"))
        return correlated()

    return routes


def guest_answer(state: SimulatorState, body: JSON) -> Response:
    """`customer/info`: a guest who is not there is a 400. Raises ApiError."""
    if not state.may_read_guests:
        raise ApiError(403, "The API login has no right to the guests")
    kind = needed(body, "type", str)
    organization = state.organizations.get(str(body.get("organizationId")))
    if organization is None or not organization.has_loyalty:
        raise ApiError(400, "Organization not found", "Common_OrganizationNotFound")
    value = needed(body, kind, str)
    for guest in state.guests.values():
        found: dict[str, list[Any]] = {
            "id": [guest["id"]],
            "phone": [guest["phone"]],
            "email": [guest["email"]],
            "cardNumber": [card["number"] for card in guest["cards"]],
            "cardTrack": [card["track"] for card in guest["cards"]],
        }
        if value in found.get(kind, ()):
            return correlated(**guest)
    raise ApiError(400, "There is no such user", "Validation_IncorrectPhone")


def _organizations(state: SimulatorState, body: JSON) -> list[str]:
    wanted = needed(body, "organizationIds", list)
    for one in wanted:
        if one not in state.organizations:
            raise ApiError(
                400, f"Organization {one} is not found or the login has no access", "Validation_Organization"
            )
    return [str(one) for one in wanted]


def _check_dates(state: SimulatorState, start: str, end: Any) -> None:
    """The list reaches 7 days back, on any terminal's wall clock. Raises ApiError."""
    try:
        zones = {one.zone for one in state.terminals.values()}
        oldest = min(read_local(start, zone) for zone in zones)
        if end is not None:
            datetime.fromisoformat(end).replace(tzinfo=ZoneInfo("UTC"))
    except (ValueError, TypeError):
        raise ApiError(400, "deliveryDateFrom: expected yyyy-MM-dd HH:mm:ss.fff", "Validation_Date") from None
    if oldest < state.clock() - _REACH:
        raise ApiError(400, "deliveryDateFrom is more than 7 days ago", "Validation_Date")
    if end is not None and end < start:
        raise ApiError(400, "deliveryDateTo is before deliveryDateFrom", "Validation_Date")


def _listed(
    wanted: list[str], orders: list[SimulatedOrder], found: list[SimulatedOrder], *, at_least: int = FIRST_REVISION
) -> Response:
    """`maxRevision` is the newest of the organizations, whatever was found."""
    return correlated(
        maxRevision=max([at_least, *(one.revision for one in orders)]),
        ordersByOrganizations=[
            {"organizationId": one, "orders": [order.info() for order in found if order.organization_id == one]}
            for one in wanted
        ],
    )
