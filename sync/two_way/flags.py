"""Which parts of the two-way sync a project has switched on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from database.repositories.settings import ProjectRow
from sync.settings.rows import VMS_DEFAULTS
from sync.two_way.objects import Entity


@dataclass(frozen=True, slots=True)
class Flags:
    outbound_orders: bool
    outbound_customers: bool
    stock: bool
    inbound: bool
    dry_run: bool
    earlier_orders: bool
    skew: timedelta

    @property
    def writes(self) -> bool:
        """Whether anything at all is written to the CRM."""
        return not self.dry_run and (self.outbound_orders or self.outbound_customers or self.stock)

    def sends(self, entity: Entity) -> bool:
        """Whether changes of such objects go to the CRM."""
        return {
            "order": self.outbound_orders,
            "payment": self.outbound_orders,
            "customer": self.outbound_customers,
            "article": self.stock,
        }[entity]


def flags_of(row: ProjectRow) -> Flags:
    """Without settings for it, changes in vms are sent (nobody writes there who does not mean it), and the CRM's come
    in only where somebody has said what its statuses mean: who only measures orders wants no second copy of them."""
    given = {**VMS_DEFAULTS, "inbound": bool(row.status_map), **row.vms}
    skew = timedelta(seconds=given.pop("clock_skew_seconds"))
    return Flags(skew=skew, **{name: bool(given[name]) for name in VMS_DEFAULTS if name != "clock_skew_seconds"})
