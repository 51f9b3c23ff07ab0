"""What of an object of vms is to be sent, and how it is told to a connector. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.masking import mask_json
from connectors.protocol import Change, PushResult
from database.repositories.mappings import MappingRow
from database.repositories.outbox import OutboxRow
from sync.two_way.merge import Agreed, Plan, Policy, merge, overwrite
from sync.two_way.objects import (
    ITEM_FIELDS,
    CrmObject,
    Entity,
    Value,
    VmsObject,
    moment,
    money,
    quantity,
    sorted_lines,
    text,
)
from sync.two_way.statuses import StatusWords

_FREE_TEXT = frozenset(("comment", "note", "description", "recipient"))
"""Anything may stand there, names of people too."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One object with the rows of the outbox that made us look at it."""

    rows: Sequence[OutboxRow]
    mapping: MappingRow
    object: VmsObject
    plan: Plan
    agreed: Agreed
    """What is agreed on already, whatever becomes of the sending."""
    names: frozenset[str]
    """Fields that the CRM is to get; none: it has everything."""
    own: Mapping[str, Value]
    """Those fields' values in the CRM's own words, as far as they are known before its answer."""
    refused: Mapping[str, str]
    """Fields that cannot be told to this CRM, and why."""
    seen: Mapping[str, Value]
    """The CRM's values as core knows them."""
    change: Change

    @property
    def entity(self) -> Entity:
        return self.object.entity

    @property
    def ids(self) -> list[int]:
        return [row.outbox_id for row in self.rows]

    @property
    def lane(self) -> str:
        return self.rows[0].lane

    @property
    def attempts(self) -> int:
        """With the one under way."""
        return max(row.attempts for row in self.rows)

    @property
    def subject(self) -> str:
        return f"{self.entity} {self.object.vms_id}"

    @property
    def has_something(self) -> bool:
        return bool(self.names)

    def of_order(self, crm_id: str) -> Outgoing:
        """A payment whose order has just come to the CRM."""
        order = {**self.change.data["order"], "crm_id": crm_id}
        return replace(self, change=replace(self.change, data={**self.change.data, "order": order}))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an object's change needs of others."""

    words: StatusWords
    customers: Mapping[int, MappingRow] = field(default_factory=dict)
    articles: Mapping[int, MappingRow] = field(default_factory=dict)
    orders: Mapping[int, MappingRow] = field(default_factory=dict)


def plan(
    rows: Sequence[OutboxRow],
    mapping: MappingRow,
    vms: VmsObject,
    crm: CrmObject | None,
    around: Surroundings,
    policy: Policy,
    skew: timedelta,
) -> Outgoing:
    """The object as it is now against what both sides agreed on. `crm` None: core does not know it."""
    crm = crm or CrmObject(vms.entity, mapping.crm_entity_id or "", {}, {})
    merged = merge(Agreed.of(mapping), vms, crm, policy, skew)
    names = set(merged.to_crm)
    if names and mapping.crm_entity_id is None:  # it is created whole, whatever was agreed on before
        names |= {name for name, value in vms.fields.items() if value not in (None, [])}
    own = {name: vms.fields[name] for name in names}
    refused: dict[str, str] = {}
    status: str | None = None
    if vms.entity == "order":
        current = crm.fields.get("status", mapping.agreed_crm.get("status"))
        status = around.words.to_crm(vms.fields["status"], current)
        if "status" in names and status is None:
            names.discard("status")
            refused["status"] = (
                f"No status of the CRM means {vms.fields['status']}: name one in status_map, then change the order "
                "again."
            )
        elif "status" in names:
            own["status"] = status
        if "customer" in names:
            own["customer"] = _crm_id(around.customers.get(vms.fields["customer"]))
    change = Change(
        entity=vms.entity,
        vms_id=vms.vms_id,
        key=str(mapping.idempotency_key),
        crm_id=mapping.crm_entity_id,
        data=data_of(vms, around, status if "status" in names else None),
        fields=frozenset(names),
        known=mapping.agreed_crm,
        may_have_been_sent=mapping.sync_status == "error" or any(row.may_have_been_sent for row in rows),
    )
    return Outgoing(
        rows, mapping, vms, merged, _agreed(merged, mapping), frozenset(names), own, refused, crm.fields, change
    )


def data_of(vms: VmsObject, around: Surroundings, status: str | None) -> dict[str, Any]:
    """`Change.data`: the object as it is now. `status` of an order in the CRM's words; None leaves it."""
    data = {**vms.fields, **vms.details}
    if vms.entity == "order":
        customer_id = vms.fields["customer"]
        data["status"] = status
        data["items"] = [
            {**{name: line[name] for name in ITEM_FIELDS}, "crm_id": _crm_id(around.articles.get(line["article_id"]))}
            for line in vms.details["items"]
        ]
        if customer_id is not None and (mapping := around.customers.get(customer_id)) is not None:
            data["customer"] = {
                **vms.details["customer"], "crm_id": mapping.crm_entity_id, "key": str(mapping.idempotency_key)
            }  # fmt: skip
        else:
            data["customer"] = None
    if vms.entity == "payment":
        order = around.orders[data.pop("order_id")]
        data["order"] = {"crm_id": order.crm_entity_id, "key": str(order.idempotency_key)}
    return data


def synced(out: Outgoing, current: MappingRow, result: PushResult, at: datetime) -> tuple[Agreed, dict[str, str]]:
    """What is agreed on once the CRM has taken the change, and all that it does not take of the object. `current`: the
    mapping as it is by now; `at`: when the sending began."""
    own = dict(out.own)
    if "customer" in own and result.customer_id is not None:
        own["customer"] = result.customer_id
    done = out.names | out.refused.keys()
    written = out.names - result.ignored.keys()
    agreed_vms = {**current.agreed_vms, **_news(out.agreed.vms, out.mapping.agreed_vms)}
    agreed_crm = {**current.agreed_crm, **_news(out.agreed.crm, out.mapping.agreed_crm)}
    overwritten = overwrite(
        out.agreed.overwritten, agreed_crm, out.seen, [name for name in written if own[name] != agreed_crm.get(name)],
        at.isoformat(),
    )  # fmt: skip
    agreed_vms |= {name: out.object.fields[name] for name in done}
    agreed_crm |= {name: own[name] for name in written}
    agreed_crm |= {name: canonical(name, value) for name, value in result.as_crm.items()}
    ignored = {name: why for name, why in current.ignored.items() if name not in done}
    return Agreed(agreed_vms, agreed_crm, overwritten), {**ignored, **out.refused, **result.ignored}


def canonical(name: str, value: Any) -> Value:
    """A value as `Change.data` has it, in the words of `objects`."""
    if name == "items" and value is not None:
        return sorted_lines({key: canonical(key, line[key]) for key in ITEM_FIELDS} for line in value)
    if isinstance(value, Decimal):
        return quantity(value) if name in ("stock", "quantity") else money(value)
    if isinstance(value, datetime):
        return moment(value)
    return text(value) if isinstance(value, str) else value


def shown(out: Outgoing) -> dict[str, Any]:
    """What would be sent, for a log that people read: no personal data."""
    values = {name: out.own[name] for name in sorted(out.names)}
    hidden = {name: "***" for name in values if name in _FREE_TEXT and values[name] is not None}
    masked: dict[str, Any] = mask_json({**values, **hidden})
    return masked


def plain(value: Any) -> Any:
    """`Change.data` as JSON."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def _agreed(merged: Plan, mapping: MappingRow) -> Agreed:
    """What the merge agrees on but for what vms is to get: that is written, and agreed on, by the inbound flow."""
    agreed_vms, agreed_crm = dict(merged.agreed.vms), dict(merged.agreed.crm)
    for name in merged.to_vms:
        for agreed, before in ((agreed_vms, mapping.agreed_vms), (agreed_crm, mapping.agreed_crm)):
            if name in before:
                agreed[name] = before[name]
            else:
                agreed.pop(name, None)
    return Agreed(agreed_vms, agreed_crm, merged.agreed.overwritten)


def _news(after: Mapping[str, Value], before: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in after.items() if name not in before or before[name] != value}


def _crm_id(mapping: MappingRow | None) -> str | None:
    return None if mapping is None else mapping.crm_entity_id
