"""The three-way merge: what each side has now, against what both last agreed on. Pure.

For each field: if only one side has changed since, the other is to follow. If both have, and mean the same, they agree.
If they do not, it is a conflict, which the project's policy decides: `vms` or `crm` wins, `newest` lets the later
change win, `manual` leaves both sides alone until a person has decided. Echoes need no rule of their own: what we wrote
is what was agreed on, so that hearing of it is no change. Until it is heard of, what core knows of the CRM is older
than what we wrote: `Agreed.overwritten` tells such a value from a change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from database.repositories.mappings import MappingRow
from sync.two_way.objects import FIELDS, CrmObject, Side, Value, VmsObject

_MOST_OVERWRITTEN = 10
_NOTHING: tuple[Value, ...] = (None, [])

Policy = str | Mapping[str, str]
"""newest, vms, crm or manual; or one for each field, `default` for those that are not named (else newest)."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides had when they were last in step."""

    vms: Mapping[str, Value] = field(default_factory=dict)
    crm: Mapping[str, Value] = field(default_factory=dict)
    overwritten: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Field -> {was: the CRM's values before our writes, at: when we wrote last, ISO 8601}."""
    disputed: frozenset[str] = frozenset()
    """Fields that a person is to decide: while the CRM's value is not told, they are left alone."""

    @classmethod
    def of(cls, mapping: MappingRow) -> Agreed:
        return cls(mapping.agreed_vms, mapping.agreed_crm, mapping.overwritten, frozenset(mapping.disputed))


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
    untold: frozenset[str] = frozenset()
    """Fields of which core does not know now what the CRM has."""

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
    now_vms, now_crm, overwritten = dict(agreed.vms), dict(agreed.crm), dict(agreed.overwritten)
    disputes: list[Dispute] = []

    def settle(name: str, value: Value) -> None:
        now_vms[name], now_crm[name] = value, crm.fields[name]

    for name in FIELDS[vms.entity]:
        ours = vms.fields[name]
        if name not in crm.fields:
            if name not in agreed.disputed and _differs(agreed.vms, name, ours, (None,)):
                to_crm.add(name)
            continue
        vms_changed = _differs(agreed.vms, name, ours)
        crm_changed = _differs(agreed.crm, name, crm.fields[name])
        if crm_changed and _is_old(agreed.overwritten.get(name), crm, name, skew):
            crm_changed = False
        else:
            overwritten.pop(name, None)  # it has been heard of, or somebody changed it since
        if crm_changed and name not in crm.as_vms:
            # It means nothing in vms; what vms has goes on being what is to be.
            now_crm[name] = crm.fields[name]
            crm_changed = False
        if not crm_changed:
            if vms_changed:
                to_crm.add(name)
            continue
        theirs = crm.as_vms[name]
        if theirs == ours:
            settle(name, ours)
        elif not vms_changed:
            to_vms[name] = theirs
            settle(name, theirs)
        else:
            dispute = _judge(name, vms, crm, policy_of(policy, name), skew)
            disputes.append(dispute)
            if dispute.winner == "crm":
                to_vms[name] = theirs
                settle(name, theirs)
            elif dispute.winner == "vms":
                now_crm[name] = crm.fields[name]  # seen, and overruled
                to_crm.add(name)
    after = Agreed(now_vms, now_crm, overwritten, agreed.disputed)
    untold = frozenset(FIELDS[vms.entity]) - crm.fields.keys()
    return Plan(to_vms, frozenset(to_crm), after, tuple(disputes), untold)


def overwrite(
    before: Mapping[str, Any], agreed_crm: Mapping[str, Value], seen: Mapping[str, Value], names: Iterable[str], at: str
) -> dict[str, Any]:
    """`Agreed.overwritten` once these fields are written at the CRM. `agreed_crm`, `seen`: its values before that, as
    they were agreed on and as core has them; `at`: when the writing began, ISO 8601."""
    after = dict(before)
    for name in names:
        was = list(before.get(name, {}).get("was", ()))
        for known in (agreed_crm, seen):
            if name in known and known[name] not in was:
                was.append(known[name])
        if was:
            after[name] = {"was": was[-_MOST_OVERWRITTEN:], "at": at}
    return after


def _differs(agreed: Mapping[str, Value], name: str, value: Value, nothing: Collection[Value] = _NOTHING) -> bool:
    """What was never agreed on has changed if there is anything: of two objects that are linked for the first time,
    nothing is wiped because the other side never heard of it."""
    return agreed[name] != value if name in agreed else value not in nothing


def _is_old(entry: Mapping[str, Any] | None, crm: CrmObject, name: str, skew: timedelta) -> bool:
    """Whether the CRM's value, as core knows it, is from before our last write."""
    if entry is None or crm.fields[name] not in entry["was"]:
        return False
    changed_at = crm.field_changed_at.get(name, crm.changed_at)
    return changed_at is None or changed_at <= datetime.fromisoformat(entry["at"]) + skew


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
