"""Orders of the warehouse -> RetailCRM: made and found by our key as their externalId, edited by RetailCRM's id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.errors import RetryError
from connectors.http import HttpSession
from connectors.protocol import Account, Change, PushResult
from connectors.records import Batch
from connectors.retailcrm import api, client, mapping, push_bodies
from connectors.retailcrm.account import catalogue, code_of, codes, local_zone
from connectors.retailcrm.api import Row
from connectors.retailcrm.push_customers import find_or_create
from connectors.retailcrm.webhooks import status_fingerprint

_RESOURCE = client.RESOURCES["orders"]
NO_CUSTOMER = "RetailCRM does not take the customer off an order: choose another one instead"


async def push_order(http: HttpSession, account: Account, change: Change) -> PushResult:
    """Create the order, or bring it up to date. Raises ConnectorError."""
    row = await _known_row(http, account, change)
    push = _Push(http, account, change)
    body = await push.body(row)
    if change.crm_id is None and row is None:
        local = await local_zone(http, account)
        new = push_bodies.new_order_body(change.data, change.key, local, body)
        try:
            answer = await api.post(http, account, "/orders/create", {"order": new})
            return push.result(answer, body, is_new=True)
        except api.ExistsError as error:
            # An attempt that was not answered, after all.
            row = await client.by_external_id(http, account, _RESOURCE, change.key)
            if row is None:
                raise error from None
            body = await push.body(row)
    if row is not None:
        body = push_bodies.differing(body, row)
    crm_id = change.crm_id if row is None else str(row["id"])
    answer = {"order": row}
    if body:
        answer = await api.post(http, account, f"/orders/{crm_id}/edit", {"order": body}, by="id")
    return push.result({"id": int(str(crm_id)), **answer}, body)


async def _known_row(http: HttpSession, account: Account, change: Change) -> Row | None:
    """The order as RetailCRM has it, where that must be known: to keep its lines, or after an attempt whose end nobody
    heard of. Raises NotFoundError."""
    if change.crm_id is not None:
        is_needed = change.may_have_been_sent or "items" in change.fields
        return await client.by_id(http, account, _RESOURCE, change.crm_id) if is_needed else None
    if change.may_have_been_sent:
        return await client.by_external_id(http, account, _RESOURCE, change.key)
    return None


class _Push:
    """One order on its way."""

    def __init__(self, http: HttpSession, account: Account, change: Change) -> None:
        self._http = http
        self._account = account
        self._change = change
        self._ignored: dict[str, str] = {}
        self._writes = 0

    async def body(self, row: Row | None) -> Row:
        """All fields of the change. `row`: the order as it is there."""
        data, fields = self._change.data, self._change.fields
        return push_bodies.order_body(
            data,
            fields,
            customer=await self._customer() if "customer" in fields else None,
            carrier=await self._carrier(data.get("carrier")) if "carrier" in fields else None,
            items=await self._items(data["items"], row) if "items" in fields else None,
        )

    async def _customer(self) -> Row | None:
        """Named by RetailCRM's id; one that it does not have is made, else the order would be refused."""
        person: Mapping[str, Any] | None = self._change.data.get("customer")
        if person is None:
            if self._change.crm_id is not None:
                self._ignored["customer"] = NO_CUSTOMER
            return None
        if person.get("crm_id") is not None:
            return {"id": int(person["crm_id"])}
        row, is_new = await find_or_create(self._http, self._account, person["key"], person)
        self._writes += is_new
        return {"id": row["id"]}

    async def _carrier(self, carrier: str | None) -> str | None:
        """The code of the delivery type that a carrier is."""
        if carrier is None:
            return None
        given: Mapping[str, str] = self._account.options.get("delivery_types") or {}
        if carrier in given:
            return given[carrier]
        known = await codes(self._http, self._account, "delivery-types", "deliveryTypes", carrier)
        code = code_of(known, carrier)
        if code is None:
            self._ignored["carrier"] = (
                f"RetailCRM has no delivery type for the carrier {carrier!r}: say in options.delivery_types which it is"
            )
        return code

    async def _items(self, lines: Sequence[Mapping[str, Any]], row: Row | None) -> list[Row]:
        offers: list[int | None] = []
        for line in lines:
            sku = line.get("sku")
            if line.get("crm_id") is not None:
                offers.append(int(line["crm_id"]))
                continue
            found = () if sku is None else (await catalogue(self._http, self._account, sku)).ids(sku)
            offers.append(found[0] if len(found) == 1 else None)
            if sku is not None and len(found) != 1:
                why = "has no article" if not found else f"has {len(found)} offers with the article"
                self._ignored["items"] = f"RetailCRM's catalogue {why} {sku!r}: its line is there by the name alone"
        given = row.get("items") if row is not None else None
        return push_bodies.item_bodies(lines, offers, given if type(given) is list else [])

    def result(self, answer: Row, sent: Row, *, is_new: bool = False) -> PushResult:
        """What RetailCRM says of the order now."""
        order = answer.get("order")
        order = order if type(order) is dict else {}
        crm_id = answer.get("id")
        if type(crm_id) is not int:
            raise RetryError("orders: RetailCRM does not say the id of the order")
        customer = order.get("customer")
        return PushResult(
            crm_id=str(crm_id),
            ignored=self._ignored,
            was_there=self._change.is_new and not is_new,
            customer_id=str(customer["id"]) if type(customer) is dict and type(customer.get("id")) is int else None,
            fingerprint=_fingerprint(order, sent),
            requests=self._writes + bool(sent),
            as_crm=self._as_crm(order, sent, is_new=is_new),
        )

    def _as_crm(self, order: Row, sent: Row, *, is_new: bool) -> dict[str, Any]:
        """What RetailCRM keeps otherwise: codes, the names of its own offers, discounts rounded to a piece's cent, and
        who receives a new order where the warehouse does not say it."""
        code = sent.get("delivery", {}).get("code")
        seen: dict[str, Any] = {} if code is None else {"carrier": code}
        if type(order.get("id")) is not int:
            return seen
        batch = mapping.map_row(self._account.context, "orders", str(order["id"]), order)
        fields = self._change.fields
        if is_new or "recipient" in fields:
            seen["recipient"] = batch.orders[0].recipient_name
        if is_new or "phone" in fields:
            seen["phone"] = batch.orders[0].recipient_phone_e164
        if "items" in fields and (lines := _lines(batch, self._change.data["items"])) is not None:
            seen["items"] = lines
        return seen


def _lines(batch: Batch, sent: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """The lines as they are kept; None if they are not those that were sent: somebody added one meanwhile."""
    kept = [item for lines in batch.order_items for item in lines.items]
    told = Counter((line["quantity"], line["price"]) for line in sent)
    if Counter((item.quantity, item.price) for item in kept) != told:
        return None
    return [
        {
            "sku": item.sku,
            "name": item.name,
            "quantity": item.quantity,
            "price": item.price,
            "discount": item.total_discount or Decimal("0.00"),
        }
        for item in kept
    ]


def _fingerprint(order: Row, sent: Row) -> bytes | None:
    """Of the status that was entered just now; else a trigger that tells of another change would be taken for ours."""
    if "status" not in sent or order.get("status") != sent["status"]:
        return None
    return status_fingerprint(str(order.get("id")), str(order["status"]), str(order.get("statusUpdatedAt") or ""))
