"""What a transaction changed in core and vms is to hear of, and which hints of the CRM only repeat our own writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.records import Batch
from database.connection import Connection
from database.repositories import crm_objects, inbound_queue, ledger, requests
from database.repositories.core import OrderState
from database.repositories.inbound_queue import Entity, News, Ref
from database.repositories.stream_events import NewEvent
from sync.folding import Mapped
from sync.projects import Project
from sync.two_way.flags import flags_of

ORDERS = "orders"
_ENTITIES = {
    ORDERS: "order", "customers": "customer", "offers": "article", "products": "article", "stocks": "article",
}  # fmt: skip
"""Stream -> kind of object."""


@dataclass(slots=True)
class Touched:
    orders: set[str] = field(default_factory=set)
    customers: set[str] = field(default_factory=set)
    offers: set[str] = field(default_factory=set)
    products: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    """Orders that were told with all they have."""

    def add(self, batch: Batch) -> None:
        self.orders.update(order.order_id for order in batch.orders)
        self.orders.update(items.order_id for items in batch.order_items)
        self.whole.update(items.order_id for items in batch.order_items)
        self.orders.update(payments.order_id for payments in batch.order_payments)
        # The empty fields of a webhook about a customer tell nothing: the whole record is being read.
        hinted = {reread.crm_id for reread in batch.rereads if reread.stream == "customers"}
        self.customers.update(
            customer.customer_id
            for customer in batch.customers
            if customer.is_complete or customer.customer_id not in hinted
        )
        self.offers.update(offer.offer_id for offer in batch.offers)
        self.offers.update(stock.offer_id for stock in batch.stocks)
        self.products.update(product.product_id for product in batch.products)

    async def enqueue(self, connection: Connection, project: Project, news: Sequence[NewEvent]) -> Sequence[NewEvent]:
        """Have all that was touched looked at, if the project wants it in vms. What is `news` of these objects is told
        by whoever looks at them; the rest of it is given back."""
        if not (self.orders or self.customers or self.offers or self.products) or not flags_of(project.row).inbound:
            return news
        project_id = project.row.project_id
        offers = set(self.offers)
        if self.products:
            offers.update(await crm_objects.offers_of_products(connection, project_id, self.products))
        ids: dict[Entity, set[str]] = {"customer": self.customers, "article": offers, "order": self.orders}
        later: dict[Ref, list[News]] = {}
        rest = []
        for event in news:
            ref = _ref(event)
            if ref.crm_id not in ids[ref.entity]:
                rest.append(event)
                continue
            later.setdefault(ref, []).append(
                {"kind": event.kind, "entity_id": event.entity_id, "payload": event.payload, "vms_id": event.vms_id}
            )
        await inbound_queue.enqueue(connection, project_id, ids, later)
        return rest


def _ref(event: NewEvent) -> Ref:
    """The object that is looked at for it: payments come with their orders."""
    match event.kind:
        case "payment":
            return Ref("order", event.payload["order_id"])
        case "order":
            return Ref("order", event.entity_id)
        case "buyer":
            return Ref("customer", event.entity_id)
        case "stock":
            return Ref("article", event.entity_id)


async def without_echoes(
    connection: Connection,
    project_id: str,
    records: Sequence[Mapped],
    rereads: Sequence[tuple[str, str]],
    states: Mapping[str, OrderState],
    touched: Touched,
) -> list[tuple[str, str]]:
    """Those of `rereads` (stream, id) that are more than echoes: one hint with something new is enough.

    `states`: orders as core had them before these records; `touched`: all of the transaction so far.
    """
    hints = {
        (reread.stream, reread.crm_id, reread.fingerprint)
        for record in records
        for reread in record.batch.rereads
        if reread.fingerprint is not None and reread.stream in _ENTITIES
    }
    if not hints or not rereads:
        return list(rereads)
    ours = await ledger.echoes(
        connection, project_id, {(_ENTITIES[stream], crm_id, mark) for stream, crm_id, mark in hints}
    )
    new = {
        (reread.stream, reread.crm_id)
        for record in records
        for reread in record.batch.rereads
        if reread.fingerprint is None
        or (_ENTITIES.get(reread.stream, ""), reread.crm_id, reread.fingerprint) not in ours
    }
    echoes = [reread for reread in rereads if reread not in new]
    if echoes:
        new |= await _hiding(connection, project_id, echoes, states, touched)
    return [reread for reread in rereads if reread in new]


async def _hiding(
    connection: Connection,
    project_id: str,
    echoes: Sequence[tuple[str, str]],
    states: Mapping[str, OrderState],
    touched: Touched,
) -> set[tuple[str, str]]:
    """Echoes that hide what somebody else changed before our write, so that the object has to be read all the same.

    An echo is newer than a reading that is on its way, which is dropped for it. And of an order that has been told of
    in part since its last whole record, the rest is not known (`crm_state`): what that record brought must be in vms.
    """
    orders = [crm_id for stream, crm_id in echoes if stream == ORDERS]
    whole = [crm_id for crm_id in orders if crm_id in states and states[crm_id].is_whole]
    waiting = await inbound_queue.waiting_orders(connection, project_id, whole) | touched.whole.intersection(orders)
    return await requests.being_read(connection, project_id, echoes) | {(ORDERS, crm_id) for crm_id in waiting}
