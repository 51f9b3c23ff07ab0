"""Orders of the simulated account: what iiko computes from the items of an order, and how it shows the order."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

JSON = dict[str, Any]

DELIVERY_STATUSES = (
    "Unconfirmed",
    "WaitCooking",
    "ReadyForCooking",
    "CookingStarted",
    "CookingCompleted",
    "Waiting",
    "OnWay",
    "Delivered",
    "Closed",
    "Cancelled",
)
TABLE_STATUSES = ("New", "Bill", "Closed", "Deleted")
LABELS = {
    "Unconfirmed": "Не подтверждена",
    "WaitCooking": "Новая",
    "ReadyForCooking": "Новая",
    "CookingStarted": "Готовится",
    "CookingCompleted": "Готово",
    "Waiting": "Готово",
    "OnWay": "В пути",
    "Delivered": "Доставлена",
    "Closed": "Закрыта",
    "Cancelled": "Отменена",
    "New": "Новый",
    "Bill": "Счет",
    "Deleted": "Удален",
}
"""How the dialect `spec` shows statuses; a table's closed order is `Закрыт`."""
_CENT = Decimal("0.01")
_CAUSE = {"id": "ca000000-0000-4000-8000-000000000001", "name": "Отказ гостя"}
_DELETION = {
    "id": "de000000-0000-4000-8000-000000000001",
    "comment": None,
    "removalType": {"id": "de000000-0000-4000-8000-000000000002", "name": "Без списания"},
}


@dataclass(slots=True)
class SimulatedOrder:
    order_id: str
    organization_id: str
    terminal_id: str
    zone: str
    number: int
    is_table: bool
    status: str
    created_at: datetime
    deliver_at: datetime
    changed_at: datetime
    revision: int
    body: JSON
    """The rest of the order, as the API shows it."""
    phone: str | None = None
    card: str | None = None
    """Of a loyalty programme; the cloud shows none."""
    closed_at: datetime | None = None
    cancelled_at: datetime | None = None
    is_deleted: bool = False
    creation_status: str = "Success"
    is_in_cloud: bool = True

    def shown(self) -> JSON:
        """The `order` of an answer."""
        order: JSON = {
            **self.body,
            "phone": self.phone,
            "status": self.status,
            "number": self.number,
            "whenCreated": self.local(self.created_at),
            "whenClosed": self.local(self.closed_at),
            "terminalGroupId": self.terminal_id,
        }
        if self.is_table:
            order["tableIds"] = [str(uuid.uuid5(uuid.NAMESPACE_OID, self.terminal_id))]
        else:
            order["phone"] = self.phone or ""  # never null for a delivery
            order["cookingStartTime"] = self.local(self.created_at)
            order["completeBefore"] = self.local(self.deliver_at)
            order["whenDelivered"] = self.local(self.closed_at)
            order["isDeleted"] = self.is_deleted
            order["cancelInfo"] = (
                None
                if self.cancelled_at is None
                else {"whenCancelled": self.local(self.cancelled_at), "cause": _CAUSE, "comment": None}
            )
        return order

    def info(self) -> JSON:
        """The order with its version, as iikoCloud lists it."""
        return {
            "id": self.order_id,
            "posId": str(uuid.uuid5(uuid.NAMESPACE_OID, self.order_id)),
            "externalNumber": None,
            "organizationId": self.organization_id,
            "timestamp": self.timestamp,
            "creationStatus": self.creation_status,
            "errorInfo": None
            if self.creation_status != "Error"
            else {"code": "Common", "message": "The order was not created", "description": None},
            "order": self.shown() if self.creation_status == "Success" else None,
        }

    def flat(self) -> JSON:
        """The order as the dialect `spec` lists it."""
        label = "Закрыт" if self.is_table and self.status == "Closed" else LABELS[self.status]
        row = {
            "id": self.order_id,
            "organizationId": self.organization_id,
            "timestamp": self.timestamp,
            **self.shown(),
            "status": label,
        }
        return {**row, "loyaltyCard": {"number": self.card}} if self.card is not None else row

    @property
    def timestamp(self) -> int:
        return int(self.changed_at.timestamp() * 1000)

    def local(self, at: datetime | None) -> str | None:
        """`yyyy-MM-dd HH:mm:ss.fff` on the terminal's wall clock, without an offset."""
        return None if at is None else local_text(at, self.zone)


def local_text(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def read_local(text: str, zone: str) -> datetime:
    """Raises ValueError."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def guid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def money_fields(
    items: Sequence[Mapping[str, Any]], discounts: Sequence[Mapping[str, Any]], chance: random.Random
) -> JSON:
    """Items with their sums, discounts, and the order's sum after them.

    An item is `{name, price, amount, modifiers: [...], is_deleted}`, `{halves: [name, name], price, modifiers}` for a
    compound, or `{service, cost}`; a discount is `{name, percent}`.
    """
    percent = sum((Decimal(str(one["percent"])) for one in discounts), Decimal(0))
    total = Decimal(0)
    lines = []
    for item in items:
        line, cost = _line(item, percent, chance)
        lines.append(line)
        total += cost
    taken = [
        {
            "discountType": {"id": guid(chance), "name": one["name"]},
            "sum": _number(total * Decimal(str(one["percent"])) / 100),
            "selectivePositions": None,
        }
        for one in discounts
    ]
    return {
        "items": lines,
        "combos": [],
        "discounts": taken,
        "sum": _number(total * (100 - percent) / 100),
    }


def _line(item: Mapping[str, Any], percent: Decimal, chance: random.Random) -> tuple[JSON, Decimal]:
    amount = Decimal(str(item.get("amount", 1)))
    price = Decimal(str(item.get("price", item.get("cost", 0))))
    modifiers = [_modifier(one, chance) for one in item.get("modifiers", ())]
    cost = price * amount + sum((Decimal(str(one["resultSum"])) for one in modifiers), Decimal(0))
    line: JSON = {
        "status": "Served",
        "deleted": {"deletionMethod": _DELETION} if item.get("is_deleted") else None,
        "amount": float(amount),
        "comment": None,
        "size": None,
        "positionId": guid(chance),
    }
    sums = {"cost": _number(cost), "resultSum": _number(cost * (100 - percent) / 100)}
    if "halves" in item:
        first, second = (
            {
                "product": {"id": guid(chance), "name": name},
                "price": _number(price / 2),
                "cost": _number(price / 2),
                "resultSum": _number(price / 2),
                "pricePredefined": False,
                "modifiers": [],
            }
            for name in item["halves"]
        )
        line |= {
            "type": "Compound",
            "primaryComponent": first,
            "secondaryComponent": second,
            "commonModifiers": modifiers,
            **sums,
        }
    elif "service" in item:
        line |= {"type": "Service", "service": {"id": guid(chance), "name": item["service"]}, **sums}
    else:
        line |= {
            "type": "Product",
            "product": {"id": guid(chance), "name": item["name"]},
            "price": _number(price),
            "pricePredefined": False,
            "modifiers": modifiers,
            **sums,
        }
    return line, Decimal(0) if item.get("is_deleted") else cost


def _modifier(given: Mapping[str, Any], chance: random.Random) -> JSON:
    amount, price = Decimal(str(given.get("amount", 1))), Decimal(str(given.get("price", 0)))
    return {
        "product": {"id": guid(chance), "name": given["name"]},
        "productGroup": None,
        "amount": float(amount),
        "amountIndependentOfParentAmount": True,
        "price": _number(price),
        "pricePredefined": False,
        "resultSum": _number(price * amount),
        "deleted": None,
        "positionId": guid(chance),
    }


def _number(amount: Decimal) -> float:
    """Money are doubles in iiko's JSON."""
    return float(amount.quantize(_CENT, rounding=ROUND_HALF_UP))
