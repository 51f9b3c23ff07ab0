"""CRM -> vms: brings what changed in core into the warehouse's tables, within the second.

A project has one writer at a time. A transaction takes objects out of the queue, with the customers and articles that
orders among them need, and merges each with its counterpart in vms. What cannot be written becomes a dead letter with
the reason and is tried again; the rest goes on. Nothing is asked of the CRM here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from connectors import registry
from connectors.errors import ConfigError
from database.connection import Connection, Pool
from database.repositories import (
    crm_objects,
    dead_letters,
    inbound_queue,
    locks,
    logs,
    mappings,
    stream_events,
    vms_writing,
)
from database.repositories.dead_letters import Letter
from database.repositories.inbound_queue import Ref
from sync import projects
from sync.failed_records import VMS_SOURCE, open_letters
from sync.projects import Lookup, Project
from sync.record_errors import describe, is_of_a_record
from sync.two_way import crm_state, validate
from sync.two_way.flags import Flags, flags_of
from sync.two_way.inbound_events import events
from sync.two_way.inbound_objects import Bringer, Outcome, Task
from sync.two_way.objects import CrmObject, Entity, Value

PORTION = 200
"""Objects per transaction."""
PAUSE_SECONDS = 0.2
"""Until an object is looked at again that somebody is sending or writing just now."""
MISCONFIGURED_SECONDS = 60.0
LOGGED_FAILURES = 20
"""Of a portion, one by one; all are among the dead letters."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Applied:
    objects: int = 0
    """Taken from the queue; those that were put back are taken again, and counted again."""
    made: int = 0
    changed: int = 0
    """In vms."""
    failed: int = 0
    """Dead letters."""
    put_back: int = 0
    busy: list[str] = field(default_factory=list)
    """Projects that somebody else is applying just now."""

    def add(self, other: Applied) -> None:
        self.objects += other.objects
        self.made += other.made
        self.changed += other.changed
        self.failed += other.failed
        self.put_back += other.put_back
        self.busy += other.busy

    def as_row(self) -> dict[str, int]:
        return {
            "objects": self.objects, "made": self.made, "changed": self.changed, "failed": self.failed,
            "put_back": self.put_back,
        }  # fmt: skip


async def apply_due(
    pool: Pool,
    *,
    stop: Callable[[], bool] = lambda: False,
    lookup: Lookup = registry.get,
    project_id: str | None = None,
    wait: bool = False,
) -> Applied:
    """Apply what is due of one project or of all until nothing is.

    A project that somebody else applies is left to them (`busy`), or waited for with `wait`. `stop` is asked between
    transactions. Raises psycopg.Error if the database is away; what was committed stays.
    """
    result = Applied()
    if project_id is None:
        async with pool.connection() as connection:
            names = await inbound_queue.due_projects(connection)
    else:
        names = [project_id]
    for name in names:
        while not stop():
            done = await _apply_portion(pool, name, wait=wait, lookup=lookup)
            result.add(done)
            if done.busy or not done.objects:
                break
    return result


async def _apply_portion(pool: Pool, project_id: str, *, wait: bool, lookup: Lookup) -> Applied:
    async with pool.connection() as connection, connection.transaction():
        if wait:
            await locks.wait_transaction(connection, inbound_queue.lock_name(project_id))
        elif not await locks.try_transaction(connection, inbound_queue.lock_name(project_id)):
            return Applied(busy=[project_id])
        refs = await inbound_queue.take(connection, project_id, PORTION)
        if not refs:
            return Applied()
        try:
            project = await projects.load(connection, project_id, lookup)
        except ConfigError as error:
            await logs.write(connection, project_id, "error", error.message, error_word="config")
            await inbound_queue.put_back(connection, project_id, refs, MISCONFIGURED_SECONDS)
            return Applied(objects=len(refs), put_back=len(refs))
        flags = flags_of(project.row)
        if not flags.inbound:
            return Applied(objects=len(refs))
        await vms_writing.as_sync(connection, project.row.crm)
        outcome = await _isolated(connection, project, flags, refs)
        await _finish(connection, project_id, refs, outcome)
    failed = outcome.failed.keys() - outcome.put_back
    if failed:
        _log.warning("inbound_refused", project_id=project_id, failed=len(failed), objects=len(refs))
    return Applied(len(refs), outcome.made, outcome.changed, len(failed), len(outcome.put_back))


async def _finish(connection: Connection, project_id: str, refs: Sequence[Ref], outcome: Outcome) -> None:
    await inbound_queue.put_back(connection, project_id, sorted(outcome.put_back), PAUSE_SECONDS)
    letters = [
        Letter(VMS_SOURCE, "skip_row", validate.joined(reasons), stream=ref.entity, crm_id=ref.crm_id)
        for ref, reasons in sorted(outcome.failed.items())
        if ref not in outcome.put_back
    ]
    if letters:
        await open_letters(connection, project_id, letters)
        await logs.write_many(
            connection, project_id, "error",
            [
                (f"{letter.stream} {letter.crm_id} did not come into vms: {letter.reason}", letter.error_word, {})
                for letter in letters[:LOGGED_FAILURES]
            ],
        )  # fmt: skip
    done = [ref for ref in refs if ref not in outcome.failed and ref not in outcome.put_back]
    await dead_letters.resolve_inbound(connection, project_id, VMS_SOURCE, [(ref.entity, ref.crm_id) for ref in done])
    await _wake_refused(connection, project_id, outcome)
    await stream_events.publish(connection, await events(connection, project_id, outcome.changes))


async def _wake_refused(connection: Connection, project_id: str, outcome: Outcome) -> None:
    """Orders that were refused for want of an article or a customer that is there now need not wait for their retry:
    in an account's first pull they come before their articles."""
    phrases = []
    for change in outcome.changes:
        match change.now.entity:
            case "article" if "sku" in change.fields:
                phrases.append(validate.unknown_article(change.now.fields["sku"]))
            case "customer":
                phrases.append(validate.unknown_customer(change.crm_id))
            case _:
                continue
    if phrases:
        refused = await dead_letters.refused_for(connection, project_id, VMS_SOURCE, "order", phrases)
        await inbound_queue.enqueue(connection, project_id, {"order": refused})


async def _isolated(connection: Connection, project: Project, flags: Flags, refs: Sequence[Ref]) -> Outcome:
    """Apply all in one savepoint; if the content of one object does not fit, halve until it stands alone."""
    outcome = Outcome()
    try:
        async with connection.transaction():
            await _apply(connection, project, flags, refs, outcome)
    except Exception as error:
        if not is_of_a_record(error):
            raise
        if len(refs) == 1:
            alone = Outcome()
            alone.fail(refs[0], [f"It does not fit into vms: {describe(error)}"])
            return alone
        middle = len(refs) // 2
        outcome = await _isolated(connection, project, flags, refs[:middle])
        outcome.add(await _isolated(connection, project, flags, refs[middle:]))
    return outcome


async def _apply(connection: Connection, project: Project, flags: Flags, refs: Sequence[Ref], outcome: Outcome) -> None:
    ids: dict[Entity, dict[str, None]] = {"customer": {}, "article": {}, "order": {}}
    for ref in refs:
        ids[ref.entity][ref.crm_id] = None
    orders = await crm_state.load(connection, project, "order", list(ids["order"]))
    skus = {line["sku"] for item in orders.values() for line in item.fields.get("items", ()) if line["sku"] is not None}
    await _add_needed(connection, project.row.project_id, orders, skus, ids)
    bringer = Bringer(connection, project, flags, outcome)
    customers = await crm_state.load(connection, project, "customer", list(ids["customer"]))
    await bringer.bring(Task("customer", customers, _check_customer, lambda item: Ref("customer", item.crm_id)))
    await _bring_articles(connection, project, bringer, list(ids["article"]))
    if orders:
        await _bring_orders(connection, project, bringer, outcome, list(orders), skus)


async def _add_needed(
    connection: Connection,
    project_id: str,
    orders: dict[str, CrmObject],
    skus: Collection[str],
    ids: dict[Entity, dict[str, None]],
) -> None:
    """Add what orders need and vms does not have yet: their customers, and the articles of their lines."""
    for item in orders.values():
        if "customer" in item.fields and "customer" not in item.as_vms:
            ids["customer"][item.fields["customer"]] = None
    missing = skus - (await vms_writing.articles_by_sku(connection, project_id, skus)).keys() if skus else set()
    if missing:
        ids["article"] |= dict.fromkeys(await crm_objects.offers_of_skus(connection, project_id, missing))


def _check_customer(item: CrmObject, values: Mapping[str, Value], is_new: bool) -> list[str]:
    return []


async def _bring_articles(connection: Connection, project: Project, bringer: Bringer, ids: Sequence[str]) -> None:
    items = await crm_state.load(connection, project, "article", ids)
    if not items:
        return
    project_id = project.row.project_id
    skus = {item.as_vms["sku"] for item in items.values() if "sku" in item.as_vms}
    owners = await vms_writing.articles_by_sku(connection, project_id, skus)
    linked = await mappings.by_crm_id(connection, project_id, "article", ids)
    seen: set[str] = set()

    def check(item: CrmObject, values: Mapping[str, Value], is_new: bool) -> list[str]:
        sku = values.get("sku")
        mapping = linked.get(item.crm_id)
        is_taken = sku is not None and (
            sku in seen or (sku in owners and (mapping is None or owners[sku] != mapping.vms_entity_id))
        )
        reasons = validate.article(values, is_new=is_new, is_taken=is_taken)
        if sku is not None and not reasons:
            seen.add(sku)
        return reasons

    await bringer.bring(Task("article", items, check, lambda item: Ref("article", item.crm_id)))


async def _bring_orders(
    connection: Connection,
    project: Project,
    bringer: Bringer,
    outcome: Outcome,
    ids: Sequence[str],
    skus: Collection[str],
) -> None:
    project_id = project.row.project_id
    items = await crm_state.load(connection, project, "order", ids)  # anew: their customers are linked now
    articles = (await vms_writing.articles_by_sku(connection, project_id, skus)).keys() if skus else set()
    waiting = {ref.crm_id for ref in outcome.put_back if ref.entity == "customer"}
    articles_wait = any(ref.entity == "article" for ref in outcome.put_back)

    def ref(item: CrmObject) -> Ref:
        return Ref("order", item.crm_id)

    def check(item: CrmObject, values: Mapping[str, Value], is_new: bool) -> list[str] | None:
        has_customer = values.get("customer") is not None if is_new else values.get("customer", 0) is not None
        if not has_customer and item.details["customer_id"] in waiting:
            return None
        reasons = validate.order(item, values, articles, is_new=is_new, has_customer=has_customer)
        lines_wait = any(line["sku"] is not None and line["sku"] not in articles for line in values.get("items", ()))
        return None if lines_wait and articles_wait else reasons

    in_step = await bringer.bring(Task("order", items, check, ref))
    paid = await crm_objects.payment_ids(connection, project_id, in_step)
    payments = await crm_state.load(
        connection, project, "payment", [one for of_order in paid.values() for one in of_order]
    )

    def check_payment(item: CrmObject, values: Mapping[str, Value], is_new: bool) -> list[str]:
        return validate.payment(item, values)

    await bringer.bring(
        Task("payment", payments, check_payment, lambda item: Ref("order", item.details["order_id"]), in_step)
    )
