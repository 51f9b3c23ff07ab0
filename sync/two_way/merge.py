"""The three-way merge: what each side has now, against what both last agreed on. Pure.

For each field: if only one side has changed since, the other is to follow. If both have, and mean the same, they agree.
If they do not, it is a conflict, which the project's policy decides: `vms` or `crm` wins, `newest` lets the later
change win, `manual` leaves both sides alone until a person has decided. Of two objects that are linked for the first
time, what one has and the other lacks is no conflict: nothing is wiped because the other side never heard of it.
Echoes need no rule of their own: what we wrote is what was agreed on, so that hearing of it is no change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sync.two_way.objects import FIELDS, CrmObject, Side, Value, VmsObject

_NEVER: Any = object()
"""What a field was agreed on that never was: different from every value."""

Policy = str | Mapping[str, str]
"""newest, vms, crm or manual; or one for each field, `default` for those that are not named (else newest)."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides had when they were last in step."""

    vms: Mapping[str, Value] = field(default_factory=dict)
    crm: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dispute:
    """A field that both sides changed."""

    field: str
    vms: Value
    crm: Value
    """In the words of vms."""
    crm_own: Value
    """The same in the CRM's own words."""
    winner: Side | None
    """None: a person decides."""
    policy: str
    vms_changed_at: datetime | None
    crm_changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Plan:
    to_vms: Mapping[str, Value]
    """Field -> value to write in vms."""
    to_crm: frozenset[str]
    """Fields whose value in vms the CRM is to get."""
    agreed: Agreed
    """What is agreed on once `to_vms` is written; fields of `to_crm` join when they are sent."""
    disputes: tuple[Dispute, ...]
    """Of this merge, decided or not."""

    @property
    def undecided(self) -> tuple[Dispute, ...]:
        return tuple(dispute for dispute in self.disputes if dispute.winner is None)


def policy_of(policy: Policy, name: str) -> str:
    if isinstance(policy, str):
        return policy
    return policy.get(name) or policy.get("default") or "newest"


def merge(agreed: Agreed, vms: VmsObject, crm: CrmObject, policy: Policy, skew: timedelta) -> Plan:
    """What is to be done so that both sides have the same. `skew`: changes as close as that are as old as each other
    (clocks differ), and the CRM's wins, being what the customer was told."""
    to_vms: dict[str, Value] = {}
    to_crm: set[str] = set()
    now_vms, now_crm = dict(agreed.vms), dict(agreed.crm)
    disputes: list[Dispute] = []

    def settle(name: str, value: Value) -> None:
        now_vms[name], now_crm[name] = value, crm.fields[name]

    for name in FIELDS[vms.entity]:
        ours = vms.fields[name]
        vms_changed = agreed.vms.get(name, _NEVER) != ours
        if name not in crm.fields:
            if vms_changed:
                to_crm.add(name)
            continue
        crm_changed = agreed.crm.get(name, _NEVER) != crm.fields[name]
        if crm_changed and name not in crm.as_vms:
            # It means nothing in vms; what vms has goes on being what is to be.
            now_crm[name] = crm.fields[name]
            crm_changed = False
        if not crm_changed:
            if vms_changed:
                to_crm.add(name)
            continue
        theirs = crm.as_vms[name]
        is_first = name not in agreed.vms and name not in agreed.crm
        if theirs == ours:
            settle(name, ours)
        elif not vms_changed or (is_first and _is_empty(ours)):
            to_vms[name] = theirs
            settle(name, theirs)
        elif is_first and _is_empty(theirs):
            now_crm[name] = crm.fields[name]
            to_crm.add(name)
        else:
            dispute = _judge(name, vms, crm, policy_of(policy, name), skew)
            disputes.append(dispute)
            if dispute.winner == "crm":
                to_vms[name] = theirs
                settle(name, theirs)
            elif dispute.winner == "vms":
                now_crm[name] = crm.fields[name]  # seen, and overruled
                to_crm.add(name)
    return Plan(to_vms, frozenset(to_crm), Agreed(now_vms, now_crm), tuple(disputes))


def _is_empty(value: Value) -> bool:
    return value is None or value == []


def _judge(name: str, vms: VmsObject, crm: CrmObject, policy: str, skew: timedelta) -> Dispute:
    vms_at = vms.changed_at.get(name, vms.updated_at)
    crm_at = crm.field_changed_at.get(name, crm.changed_at)
    winner: Side | None
    if policy == "manual":
        winner = None
    elif policy in ("vms", "crm"):
        winner = "vms" if policy == "vms" else "crm"
    else:
        # Of a side that does not tell the time nothing is known to be newer.
        is_ours = vms_at is not None and (crm_at is None or vms_at > crm_at + skew)
        winner = "vms" if is_ours else "crm"
    return Dispute(name, vms.fields[name], crm.as_vms[name], crm.fields[name], winner, policy, vms_at, crm_at)
