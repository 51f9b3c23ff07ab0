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
    runs,
    stream_events,
    vms_writing,
)
from database.repositories.dead_letters import Letter
from database.repositories.inbound_queue import Hold, Ref, Taken
from database.repositories.stream_events import NewEvent
from sync import projects
from sync.failed_records import VMS_SOURCE, open_letters
from sync.projects import Lookup, Project
from sync.record_errors import describe, is_of_a_record
from sync.two_way import crm_state, validate
from sync.two_way.flags import Flags, flags_of
from sync.two_way.inbound_events import events, key_of, of_core
from sync.two_way.inbound_objects import NOT_WHOLE, Bringer, Outcome, Task
from sync.two_way.objects import CrmObject, Entity, Value

PORTION = 200
"""Objects per transaction."""
PAUSE_SECONDS = 0.2
"""Until an object is looked at again that somebody is sending or writing just now."""
MISCONFIGURED_SECONDS = 60.0
HOLD_SECONDS = (20.0, 320.0)
"""First and longest wait of what is held back, unless what it waits for comes before; it doubles each time."""
PULLED_SECONDS = 10.0
"""So long after a pull has ended more may come of it: the next stream, and what it has landed is on its way."""
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
    held: int = 0
    """They wait for what they need."""
    busy: list[str] = field(default_factory=list)
    """Projects that somebody else is applying just now."""

    def add(self, other: Applied) -> None:
        self.objects += other.objects
        self.made += other.made
        self.changed += other.changed
        self.failed += other.failed
        self.put_back += other.put_back
        self.held += other.held
        self.busy += other.busy

    def as_row(self) -> dict[str, int]:
        return {
            "objects": self.objects, "made": self.made, "changed": self.changed, "failed": self.failed,
            "put_back": self.put_back, "held": self.held,
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
        taken = await inbound_queue.take(connection, project_id, PORTION)
        if not taken.refs:
            return Applied()
        try:
            project = await projects.load(connection, project_id, lookup)
        except ConfigError as error:
            await logs.write(connection, project_id, "error", error.message, error_word="config")
            await inbound_queue.put_back(connection, project_id, taken, taken.refs, MISCONFIGURED_SECONDS)
            return Applied(objects=len(taken.refs), put_back=len(taken.refs))
        flags = flags_of(project.row)
        if not flags.inbound:
            await stream_events.publish(connection, _told(project_id, taken, set()))
            return Applied(objects=len(taken.refs))
        await vms_writing.as_sync(connection, project.row.crm)
        outcome = await _isolated(connection, project, flags, taken, list(taken.refs))
        held = _held(taken, outcome)
        failed = outcome.failed.keys() - outcome.put_back
        await _finish(connection, project_id, taken, outcome, held)
    if failed:
        _log.warning("inbound_refused", project_id=project_id, failed=len(failed), objects=len(taken.refs))
    return Applied(len(taken.refs), outcome.made, outcome.changed, len(failed), len(outcome.put_back), held=len(held))


def _held(taken: Taken, outcome: Outcome) -> dict[Ref, Hold]:
    """What is to wait. A record that was told of in part is waited for once, and only if there is something to tell of
    it then; it comes into the queue again by itself."""
    return {
        ref: hold
        for ref, hold in outcome.held.items()
        if ref not in outcome.put_back
        and ref not in outcome.failed
        and (hold is not NOT_WHOLE or (ref in taken.news and ref not in taken.holds))
    }


async def _finish(
    connection: Connection, project_id: str, taken: Taken, outcome: Outcome, held: Mapping[Ref, Hold]
) -> None:
    known = {key: news for of_ref in taken.news.values() for key, news in of_ref.items()}
    told = await events(connection, project_id, outcome.changes, known)
    in_vms = {key_of(change) for change in outcome.changes}
    for of_ref in taken.news.values():
        for key in in_vms & of_ref.keys():
            del of_ref[key]  # told with what vms made of it
    waiting = outcome.put_back | held.keys()
    told += _told(project_id, taken, waiting)
    await inbound_queue.put_back(connection, project_id, taken, sorted(outcome.put_back), PAUSE_SECONDS)
    seconds = {ref: min(HOLD_SECONDS[0] * 2.0 ** taken.holds.get(ref, 0), HOLD_SECONDS[1]) for ref in held}
    await inbound_queue.hold(connection, project_id, taken, held, seconds)
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
    done = [ref for ref in taken.refs if ref not in outcome.failed and ref not in waiting]
    await dead_letters.resolve_inbound(connection, project_id, VMS_SOURCE, [(ref.entity, ref.crm_id) for ref in done])
    await _wake(connection, project_id, outcome)
    await stream_events.publish(connection, told)


def _told(project_id: str, taken: Taken, waiting: Collection[Ref]) -> list[NewEvent]:
    """What changed in core alone, of objects that do not wait."""
    return [
        of_core(project_id, news)
        for ref, of_ref in taken.news.items()
        if ref not in waiting
        for news in of_ref.values()
    ]


async def _wake(connection: Connection, project_id: str, outcome: Outcome) -> None:
    """Orders that wait for an article or a customer that is there now, or were refused for want of it, are due."""
    keys, phrases = [], []
    for change in outcome.changes:
        match change.now.entity:
            case "article" if "sku" in change.fields:
                keys.append(validate.article_key(change.now.fields["sku"]))
                phrases.append(validate.unknown_article(change.now.fields["sku"]))
            case "customer":
                keys.append(validate.customer_key(change.crm_id))
                phrases.append(validate.unknown_customer(change.crm_id))
            case _:
                continue
    if keys:
        await inbound_queue.release(connection, project_id, keys)
        refused = await dead_letters.refused_for(connection, project_id, VMS_SOURCE, "order", phrases)
        await inbound_queue.enqueue(connection, project_id, {"order": refused})


async def _isolated(
    connection: Connection, project: Project, flags: Flags, taken: Taken, refs: Sequence[Ref]
) -> Outcome:
    """Apply all in one savepoint; if the content of one object does not fit, halve until it stands alone."""
    outcome, before = Outcome(), set(taken.refs)
    try:
        async with connection.transaction():
            await _apply(connection, project, flags, taken, refs, outcome)
    except Exception as error:
        if not is_of_a_record(error):
            raise
        taken.keep(before)
        if len(refs) == 1:
            alone = Outcome()
            alone.fail(refs[0], [f"It does not fit into vms: {describe(error)}"])
            return alone
        middle = len(refs) // 2
        outcome = await _isolated(connection, project, flags, taken, refs[:middle])
        outcome.add(await _isolated(connection, project, flags, taken, refs[middle:]))
    return outcome


async def _apply(
    connection: Connection, project: Project, flags: Flags, taken: Taken, refs: Sequence[Ref], outcome: Outcome
) -> None:
    ids: dict[Entity, dict[str, None]] = {"customer": {}, "article": {}, "order": {}}
    for ref in refs:
        ids[ref.entity][ref.crm_id] = None
    orders = await crm_state.load(connection, project, "order", list(ids["order"]))
    skus = {line["sku"] for item in orders.values() for line in item.fields.get("items", ()) if line["sku"] is not None}
    await _add_needed(connection, project.row.project_id, orders, skus, ids)
    also = [Ref("customer", crm_id) for crm_id in ids["customer"]]
    also += [Ref("article", crm_id) for crm_id in ids["article"]]
    await inbound_queue.take_too(
        connection, project.row.project_id, taken, [ref for ref in also if ref not in taken.refs]
    )
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
    skus: set[str],
) -> None:
    project_id = project.row.project_id
    items = await crm_state.load(connection, project, "order", ids)  # anew: their customers are linked now
    articles = (await vms_writing.articles_by_sku(connection, project_id, skus)).keys() if skus else set()
    waiting = {ref.crm_id for ref in outcome.put_back if ref.entity == "customer"}
    articles_wait = any(ref.entity == "article" for ref in outcome.put_back)
    lacks_something = skus - articles or any("customer" not in item.as_vms for item in items.values())
    more_comes = lacks_something and await runs.is_pulling(connection, project_id, PULLED_SECONDS)

    def ref(item: CrmObject) -> Ref:
        return Ref("order", item.crm_id)

    def check(item: CrmObject, values: Mapping[str, Value], is_new: bool) -> list[str] | Hold | None:
        has_customer = values.get("customer") is not None if is_new else values.get("customer", 0) is not None
        if not has_customer and item.details["customer_id"] in waiting:
            return None
        missing = validate.missing(item, values, articles, has_customer=has_customer)
        if articles_wait and any(key.startswith(validate.article_key("")) for key in missing):
            return None
        reasons = validate.order(item, values, is_new=is_new, has_customer=has_customer)
        if missing and more_comes and not reasons:
            return Hold(validate.joined(list(missing.values())), tuple(missing))
        return [*missing.values(), *reasons]

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
