"""What became of a push, written down in one transaction: the mapping, the outbox, the ledger, letters and events."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
import structlog

from connectors.errors import ConfigError, ConnectorError, ErrorWord, PermanentError, RetryError
from connectors.protocol import PushResult
from database.connection import Connection
from database.repositories import alerts, dead_letters, ledger, logs, mappings, outbox, stream_events
from database.repositories.dead_letters import Letter
from database.repositories.ledger import Written
from database.repositories.mappings import MappingRow
from database.repositories.stream_events import NewEvent
from sync.pull import disable
from sync.two_way import outbound_change
from sync.two_way.objects import Entity
from sync.two_way.outbound_change import Outgoing
from sync.two_way.outbound_context import DISABLED_ALERT, Context

SOURCE = "outbox"
"""Of dead letters; their stream is the kind of object, their raw_id its id in vms."""
FAILED_ALERT = "outbox_failed"
BACKOFF_SECONDS = (1.0, 60.0)
"""First and longest wait before another attempt; it doubles each time."""

Fate = Literal["sent", "skipped", "later", "failed"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    out: Outgoing
    result: PushResult | ConnectorError
    began_at: datetime
    is_away: bool
    """The CRM answers nobody just now, so that what was tried does not count."""


async def settle(connection: Connection, context: Context, outcomes: Sequence[Outcome]) -> list[Fate]:
    """Write down what became of each; in the caller's transaction, of which it is all."""
    project_id = context.project_id
    by_entity: dict[Entity, list[int]] = {}
    for outcome in outcomes:
        by_entity.setdefault(outcome.out.entity, []).append(outcome.out.object.vms_id)
    current: dict[tuple[str, int], MappingRow] = {}
    for entity, ids in by_entity.items():
        found = await mappings.by_vms_id(connection, project_id, entity, ids, for_update=True)
        current |= {(entity, vms_id): row for vms_id, row in found.items()}
    owners = await _owners(connection, project_id, outcomes)
    fates: list[Fate] = []
    written: list[Written] = []
    events: list[NewEvent] = []
    config: ConfigError | None = None
    async with connection.pipeline():
        for outcome in outcomes:
            fates.append(await _write_down(connection, context, outcome, current, owners, written, events))
            if isinstance(outcome.result, ConfigError):
                config = outcome.result
        taken = [
            number
            for outcome, fate in zip(outcomes, fates, strict=True)
            if fate == "sent"
            for number in outcome.out.ids
        ]
        await outbox.finish(connection, project_id, taken, "sent")
        await ledger.add(connection, project_id, written)
        if config is not None:
            await stop_project(connection, project_id, config)
    await stream_events.publish(connection, events)
    return fates


async def _write_down(
    connection: Connection,
    context: Context,
    outcome: Outcome,
    current: Mapping[tuple[str, int], MappingRow],
    owners: dict[tuple[str, str], int],
    written: list[Written],
    events: list[NewEvent],
) -> Fate:
    out, result = outcome.out, outcome.result
    vms_id = out.object.vms_id
    if isinstance(result, ConnectorError):
        return await _not_sent(connection, context, out, result, outcome.is_away)
    if result.crm_id is None:
        await _not_to_be_had(connection, context, out, current[out.entity, vms_id], result)
        return "skipped"
    owner = owners.setdefault((out.entity, result.crm_id), vms_id)
    if owner != vms_id:
        double = PermanentError(
            f"{out.entity} {result.crm_id} of the CRM is linked with {out.entity} {owner} of vms already: one of the "
            "two is a double, merge them."
        )
        return await _not_sent(connection, context, out, double, outcome.is_away)
    await _sent(connection, context, out, current[out.entity, vms_id], result, outcome.began_at)
    written.append(
        Written(
            "crm", out.entity, result.crm_id, "create" if out.change.is_new else "update",
            {name: out.object.fields[name] for name in out.names}, result.fingerprint, out.ids,
        )
    )  # fmt: skip
    written += [Written("crm", *echo[:2], "update", {}, echo[2], out.ids) for echo in result.echoes]
    events.append(_event(context, out, result.crm_id))
    return "sent"


async def _not_to_be_had(
    connection: Connection, context: Context, out: Outgoing, current: MappingRow, result: PushResult
) -> None:
    """This CRM cannot have the object. A later change of it is tried whole again."""
    why = " ".join(dict.fromkeys(result.ignored.values())) or "The CRM cannot have it."
    await outbox.finish(connection, context.project_id, out.ids, "skipped", message=why)
    if current.error_message != why:
        await mappings.save_status(connection, context.project_id, current.mapping_id, "pending", why)
        await logs.write(connection, context.project_id, "warning", f"{out.subject}: {why}")


async def resolve_failure(connection: Connection, project_id: str, entity: Entity, vms_id: int) -> None:
    """An object that had failed is at the CRM now."""
    await dead_letters.resolve_outbox(connection, project_id, entity, vms_id)
    await alerts.resolve(connection, project_id, FAILED_ALERT, f"{entity} {vms_id}")


async def fail(
    connection: Connection,
    project_id: str,
    entity: Entity,
    vms_id: int,
    ids: Sequence[int],
    error: ConnectorError,
    *,
    crm_id: str | None = None,
    request: str | None = None,
) -> None:
    """Nothing more is tried by itself: a dead letter, and the owner is told once."""
    word: ErrorWord = error.word
    await outbox.finish(
        connection, project_id, ids, "failed", word=word, message=error.message,
        may_have_been_sent=isinstance(error, RetryError),
    )  # fmt: skip
    found = await mappings.by_vms_id(connection, project_id, entity, [vms_id])
    if (mapping := found.get(vms_id)) is not None:
        await mappings.save_status(connection, project_id, mapping.mapping_id, "error", error.message)
    letter = Letter(
        SOURCE, word, error.message, raw_id=vms_id, stream=entity, crm_id=crm_id,
        request=error.request or request, answer=error.answer,
    )  # fmt: skip
    await dead_letters.open_outbound(connection, project_id, letter)
    subject = f"{entity} {vms_id}"
    message = (
        f"{subject} could not be sent, by itself no more is tried: {error.message} (see `crm-elt dead-letters list`)"
    )
    if await alerts.raise_once(connection, project_id, FAILED_ALERT, [(subject, message)]):
        await logs.write(connection, project_id, "error", message, error_word=word)
    _log.error("outbound_failed", project_id=project_id, object=subject, error_word=word, error=error.message)


async def stop_project(connection: Connection, project_id: str, error: ConfigError) -> None:
    """Its settings are wrong: it stops, as it does when pulling finds that, and its owner is told once."""
    await disable(connection, project_id, error)
    message = f"The project was disabled: {error.message}"
    await alerts.raise_once(connection, project_id, DISABLED_ALERT, [(project_id, message)])


async def _owners(connection: Connection, project_id: str, outcomes: Sequence[Outcome]) -> dict[tuple[str, str], int]:
    """(kind, CRM id) -> the object of vms that is linked with it, of those ids that answers have."""
    crm_ids: dict[Entity, list[str]] = {}
    for outcome in outcomes:
        result = outcome.result
        if not isinstance(result, PushResult) or result.crm_id is None:
            continue
        if result.crm_id != outcome.out.mapping.crm_entity_id:
            crm_ids.setdefault(outcome.out.entity, []).append(result.crm_id)
    owners: dict[tuple[str, str], int] = {}
    for entity, ids in crm_ids.items():
        for crm_id, row in (await mappings.by_crm_id(connection, project_id, entity, ids)).items():
            owners[entity, crm_id] = row.vms_entity_id
    return owners


async def _sent(
    connection: Connection, context: Context, out: Outgoing, current: MappingRow, result: PushResult, began_at: datetime
) -> None:
    project_id, vms_id = context.project_id, out.object.vms_id
    agreed, ignored = outbound_change.synced(out, current, result, began_at)
    await mappings.save_synced(
        connection, current, crm_id=result.crm_id, agreed_vms=agreed.vms, agreed_crm=agreed.crm,
        direction="outbound", ignored=ignored, overwritten=agreed.overwritten,
    )  # fmt: skip
    if out.plan.undecided:
        await mappings.save_status(connection, project_id, current.mapping_id, "pending")
    for name, why in ignored.items():
        if current.ignored.get(name) != why:
            await logs.write(connection, project_id, "warning", f"{out.subject}, {name}: {why}")
    if current.sync_status == "error":
        await resolve_failure(connection, project_id, out.entity, vms_id)
    if current.crm_entity_id is None and out.entity == "order":
        await outbox.wake_lanes(connection, project_id, [out.lane])
    if current.crm_entity_id is None and out.entity == "customer":
        await _earlier_orders(connection, context, vms_id)
    customer_id = out.object.fields["customer"] if out.entity == "order" else None
    if customer_id is not None and result.customer_id is not None:
        await _link_customer(connection, context, customer_id, result.customer_id)


async def _link_customer(connection: Connection, context: Context, customer_id: int, crm_id: str) -> None:
    """The CRM has told who an order's customer is there."""
    project_id = context.project_id
    known = (await mappings.by_vms_id(connection, project_id, "customer", [customer_id])).get(customer_id)
    if known is not None and known.crm_entity_id is not None:
        return
    if await mappings.link(connection, project_id, "customer", customer_id, crm_id) is None:
        message = (
            f"customer {customer_id} could not be linked: the CRM has its order under customer {crm_id}, which is "
            "linked with another one of vms."
        )
        await logs.write(connection, project_id, "warning", message)
        return
    await _earlier_orders(connection, context, customer_id)


async def _earlier_orders(connection: Connection, context: Context, customer_id: int) -> None:
    if context.flags.earlier_orders:
        await outbox.enqueue_earlier_orders(connection, context.project_id, [customer_id])


async def _not_sent(
    connection: Connection, context: Context, out: Outgoing, error: ConnectorError, is_away: bool
) -> Fate:
    project_id = context.project_id
    if isinstance(error, RetryError | ConfigError):
        # What the CRM itself puts off is no failure of this object.
        counts = isinstance(error, RetryError) and not is_away and error.status != 429
        if not counts or out.attempts <= context.retries:
            await outbox.give_back(
                connection, project_id, out.ids, counts=counts, seconds=_pause(error, out.attempts, counts),
                may_have_been_sent=True, word=error.word, message=error.message,
            )  # fmt: skip
            return "later"
    request = None
    if error.request is None:
        what = {"fields": sorted(out.names), "data": outbound_change.plain(out.change.data)}
        request = f"{'create' if out.change.is_new else 'change'} {out.subject} {msgspec.json.encode(what).decode()}"
    await fail(
        connection, project_id, out.entity, out.object.vms_id, out.ids, error,
        crm_id=out.mapping.crm_entity_id, request=request,
    )  # fmt: skip
    return "failed"


def _pause(error: ConnectorError, attempts: int, counts: bool) -> float:
    first, longest = BACKOFF_SECONDS
    asked = error.retry_after or (first if error.status == 429 else 0.0)
    if not counts:
        return asked
    return max(asked, min(longest, first * 2.0 ** (attempts - 1)) * random.uniform(0.8, 1.2))  # noqa: S311 - jitter


def _event(context: Context, out: Outgoing, crm_id: str) -> NewEvent:
    """Ids, statuses, sums and times: no personal data."""
    fields, details = out.object.fields, out.object.details
    changed = sorted(out.names)
    match out.entity:
        case "order":
            payload = {
                "order_id": crm_id,
                "number": details["number"],
                "status": fields["status"],
                "status_id": out.own.get("status", out.mapping.agreed_crm.get("status")),
                "total": str(details["total"]),
                "currency": details["currency"],
            }
            return NewEvent(
                context.project_id, "order", crm_id, "vms", {**payload, "changed": changed}, out.object.vms_id
            )
        case "payment":
            payload = {
                "payment_id": crm_id,
                "order_id": out.change.data["order"]["crm_id"],
                "amount": fields["amount"],
                "currency": details["currency"],
                "status": fields["status"],
                "paid_at": fields["paid_at"],
            }
            return NewEvent(
                context.project_id, "payment", crm_id, "vms", {**payload, "changed": changed}, out.object.vms_id
            )
        case "customer":
            return NewEvent(
                context.project_id, "buyer", crm_id, "vms", {"buyer_id": crm_id, "changed": changed}, out.object.vms_id
            )
    payload = {"offer_id": crm_id, **{name: fields[name] for name in ("sku", "stock", "price")}}
    payload["currency"] = details["currency"]
    return NewEvent(context.project_id, "stock", crm_id, "vms", {**payload, "changed": changed}, out.object.vms_id)
