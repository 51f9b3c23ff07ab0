"""A CRM in memory with its connector, for tests of the flows: every trouble can be ordered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors import webhook_auth
from connectors.errors import ConnectorError, NotFoundError, SkipRowError
from connectors.http import HttpSession
from connectors.protocol import (
    Account,
    Capabilities,
    Change,
    Cursor,
    Health,
    MappingContext,
    Page,
    PushResult,
    RawRecord,
    Stream,
    Vocabulary,
    WebhookAuth,
    WebhookRequest,
    Window,
)
from connectors.records import (
    Batch,
    Customer,
    Offer,
    Order,
    OrderItem,
    OrderItems,
    OrderMarketing,
    OrderPayments,
    Payment,
    Problem,
    Product,
    Reread,
    Reversal,
    Source,
    Status,
    StatusEvent,
    StatusGroup,
    Stock,
    Transaction,
    deletion,
)
from tests.support.toy_books import ToyBooks

STREAMS = (
    Stream("statuses", is_dictionary=True),
    Stream("sources", is_dictionary=True),
    Stream("orders", is_incremental=True, has_windows=True, can_read_one=True, can_list_ids=True),
    Stream("customers", is_incremental=True, can_read_one=True),
    Stream("stocks", can_list_ids=True),
)


@dataclass
class ToyCrm:
    """`records[stream][id]` is what the API would tell; the rest is what went on."""

    crm: str = "toy"
    records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    before_page: Callable[[str, int], Any] | None = None
    """Called with stream and page number before a page is given; may raise, or return an awaitable."""
    before_read: Callable[[str, str], Any] | None = None
    pages: list[tuple[str, Cursor | None]] = field(default_factory=list)
    reads: list[tuple[str, str]] = field(default_factory=list)
    since: list[datetime | None] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unlisted: set[str] = field(default_factory=set)
    """Ids that a list of all leaves out, as one that was cut short."""
    books: ToyBooks = field(default_factory=ToyBooks)
    """What it was sent."""
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    most: dict[str, int] = field(default_factory=lambda: {"order": 1, "customer": 1, "article": 50, "payment": 1})
    before_push: Callable[[Sequence[Change]], Any] | None = None
    """Called before changes are taken; may raise, or return an awaitable."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(streams=STREAMS, credentials=("key",), rate_limit=(1000, 1.0))

    def put(self, stream: str, crm_id: str, /, **values: Any) -> None:
        self.records.setdefault(stream, {})[crm_id] = {"id": crm_id, **values}

    async def pull(
        self, http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None = None
    ) -> AsyncIterator[Page]:
        self.since.append(account.since)
        rows = sorted(
            self.records.get(stream, {}).values(), key=lambda row: (row.get("updated_at", ""), str(row["id"]))
        )
        if window is not None:
            start, end = window.start.isoformat(), window.end.isoformat()
            rows = [row for row in rows if start <= row["updated_at"] < end]
        if cursor is not None:
            rows = [row for row in rows if [row["updated_at"], str(row["id"])] > list(cursor["after"])]
        size = account.batch_size
        for number, start_at in enumerate(range(0, max(len(rows), 1), size)):
            self.pages.append((stream, cursor))
            if self.before_page is not None and (waiting := self.before_page(stream, number)) is not None:
                await waiting
            part = rows[start_at : start_at + size]
            after = None
            if stream in ("orders", "customers") and part:
                after = {"after": [part[-1]["updated_at"], str(part[-1]["id"])]}
            yield Page([record(stream, row) for row in part], None if window else after, len(rows), self.problems)

    async def list_ids(self, http: HttpSession, account: Account, stream: str) -> AsyncIterator[list[str]]:
        yield [crm_id for crm_id in self.records.get(stream, {}) if crm_id not in self.unlisted]

    async def read(self, http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
        self.reads.append((stream, crm_id))
        if self.before_read is not None and (waiting := self.before_read(stream, crm_id)) is not None:
            await waiting
        if crm_id not in self.records.get(stream, {}):
            raise NotFoundError(f"{stream} {crm_id} does not exist.", status=404)
        return record(stream, self.records[stream][crm_id])

    def map_record(self, context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
        row = load(body)
        match stream:
            case "orders":
                return map_order(context, row)
            case "customers":
                return Batch(
                    customers=[
                        Customer(
                            customer_id=str(row["id"]),
                            full_name=row.get("name"),
                            phones=tuple(row.get("phones", ())),
                            source_updated_at=time_of(row.get("updated_at")),
                        )
                    ]
                )
            case "statuses":
                group = str(row["group"])
                return Batch(
                    status_groups=[StatusGroup(group, f"Group {group}")],
                    statuses=[Status(str(row["id"]), row["name"], status_group_id=group)],
                )
            case "sources":
                return Batch(sources=[Source(str(row["id"]), row["name"], currency=row.get("currency"))])
            case "stocks":
                return Batch(
                    offers=[Offer(str(row["id"]), sku=row.get("sku"), price=Decimal(1))],
                    stocks=[Stock(str(row["id"]), Decimal(row["quantity"]), Decimal(0), sku=row.get("sku"))],
                    products=[Product(str(row["id"]), "A thing", source_updated_at=time_of(row.get("updated_at")))],
                )
        raise SkipRowError(f"unknown stream {stream}")

    def map_webhook(self, context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
        row = load(body)
        order = Order(
            order_id=str(row["id"]),
            status_id=text_of(row.get("status")),
            status_group_id=text_of(row.get("group")),
            source_id=text_of(row.get("source")),
            grand_total=decimal_of(row.get("total")),
            manager_comment=row.get("comment"),
            source_updated_at=time_of(row.get("updated_at")),
            is_deleted=row.get("deleted", False),
            is_complete=False,
        )
        batch = Batch(orders=[order], rereads=[] if row.get("quiet") else [Reread("orders", order.order_id)])
        if row.get("utm"):
            batch.order_marketing.append(OrderMarketing(order.order_id, utm_source=row["utm"], source="comment"))
        add_event(batch, order, row, payload=row)
        return batch

    def verify_webhook(self, auth: WebhookAuth, request: WebhookRequest) -> None:
        webhook_auth.verify(auth, request)

    def map_deletion(self, context: MappingContext, stream: str, crm_id: str) -> Batch:
        batch = deletion(stream, crm_id)
        if stream == "orders":
            batch.reversals.append(Reversal(f"TOY-{crm_id}"))
        return batch

    def check_webhook(self, request: WebhookRequest, context: MappingContext) -> str:
        return request.body.decode()

    async def check_health(self, http: HttpSession, account: Account) -> Health:
        self.books.health_checks += 1
        if self.books.trouble == "away":
            return Health(False, "The toy CRM cannot be reached.")
        return Health(True, "The toy CRM answers.")

    def most_pushed(self, entity: str, account: Account) -> int:
        return self.most[entity]

    async def push(
        self, http: HttpSession, account: Account, changes: Sequence[Change]
    ) -> Sequence[PushResult | ConnectorError]:
        if self.before_push is not None and (waiting := self.before_push(changes)) is not None:
            await waiting
        return self.books.push(changes)

    async def register_webhook(self, http: HttpSession, account: Account, url: str) -> str:
        return f"Registered {url}."

    def mask_payload(self, body: str) -> str:
        return body


def record(stream: str, row: dict[str, Any]) -> RawRecord:
    body = json.dumps(row, ensure_ascii=False, sort_keys=True)
    return RawRecord(stream, str(row["id"]), body, hashlib.sha256(body.encode()).digest())


def load(body: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(body)
    if row.get("trouble") == "skip":
        raise SkipRowError("The record is unreadable.")
    if row.get("trouble") == "bug":
        raise KeyError("a bug of the connector")
    return row


def map_order(context: MappingContext, row: dict[str, Any]) -> Batch:
    order_id = str(row["id"])
    updated_at = time_of(row.get("updated_at"))
    order = Order(
        order_id=order_id,
        status_id=text_of(row.get("status")),
        status_group_id=text_of(row.get("group")),
        source_id=text_of(row.get("source")),
        customer_id=text_of(row.get("customer")),
        grand_total=decimal_of(row.get("total")),
        currency=row.get("currency"),
        manager_comment=row.get("comment"),
        tracking_code=row.get("tracking"),
        order_created_at=time_of(row.get("created_at")),
        source_updated_at=updated_at,
    )
    batch = Batch(orders=[order])
    if row.get("customer"):
        batch.customers.append(Customer(str(row["customer"]), full_name=row.get("customer_name"), is_complete=False))
    if "items" in row:
        quantity = Decimal(row.get("quantity", "1"))
        lines = tuple(OrderItem(quantity, sku=sku, name=sku) for sku in row["items"])
        batch.order_items.append(OrderItems(order_id, lines, updated_at))
    if "payments" in row:
        payments = tuple(Payment(p, order_id, Decimal("10.00"), "paid") for p in row["payments"])
        batch.order_payments.append(OrderPayments(order_id, payments, updated_at))
    if row.get("utm"):
        batch.order_marketing.append(OrderMarketing(order_id, utm_source=row["utm"]))
    if "paid_at" in row:
        name = f"TOY-{order_id}"
        if row["paid_at"] is None:
            batch.reversals.append(Reversal(name, updated_at))
        else:
            phone, medical = row.get("phone"), row.get("medical", False)
            amount = Decimal(str(row["total"]))
            batch.transactions.append(
                Transaction(
                    name,
                    datetime.fromisoformat(row["paid_at"]),
                    amount,
                    row.get("currency"),
                    phone_e164=phone,
                    order_id=order_id,
                    is_medical=medical,
                    source_updated_at=updated_at,
                )
            )
    if row.get("problem"):
        batch.problems.append(Problem(row["problem"], "orders", order_id))
    add_event(batch, order, row)
    return batch


def add_event(batch: Batch, order: Order, row: dict[str, Any], payload: Any = None) -> None:
    changed_at, status = time_of(row.get("changed_at")), order.status_id
    if status is None:
        return
    if changed_at is not None:
        batch.status_events.append(
            StatusEvent(order.order_id, status, changed_at, order.status_group_id, payload=payload)
        )
    elif order.source_updated_at is not None and row.get("guess", True):
        batch.status_events.append(
            StatusEvent(order.order_id, status, order.source_updated_at, order.status_group_id, is_approximate=True)
        )


def minute(number: float) -> str:
    """A time so many minutes after a fixed one."""
    return (datetime.fromisoformat("2026-03-01T08:00:00+00:00") + timedelta(minutes=number)).isoformat()


def time_of(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def text_of(value: Any) -> str | None:
    return None if value is None else str(value)


def decimal_of(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))
