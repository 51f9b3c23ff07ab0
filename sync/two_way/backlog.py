"""What waits between vms and the CRMs, worked off now, beside the relays that do so all the time."""

from __future__ import annotations

from dataclasses import dataclass

from connectors import registry
from database.connection import Pool
from database.encryption import Keyring
from sync.projects import Lookup
from sync.two_way.inbound import Applied, apply_due
from sync.two_way.outbound import send_due
from sync.two_way.outbound_project import Sent


@dataclass(frozen=True, slots=True)
class WorkedOff:
    applied: Applied
    sent: Sent

    def counts(self) -> dict[str, int]:
        sent, applied = self.sent, self.applied
        return {
            "sent": sent.sent, "skipped": sent.skipped, "failed_to_send": sent.failed, "sent_later": sent.later,
            "applied": applied.objects, "made_in_vms": applied.made, "changed_in_vms": applied.changed,
            "failed_to_apply": applied.failed, "applied_later": applied.put_back + applied.held,
        }  # fmt: skip


async def work_off(
    pool: Pool, keyring: Keyring, *, instance: str, wait: bool = False, lookup: Lookup = registry.get
) -> WorkedOff:
    """Bring what is due of all projects into vms, then send what is due to the CRMs, once: what may succeed later waits
    with its own time. `wait`: for whoever applies a project just now. Raises psycopg.Error."""
    applied = await apply_due(pool, wait=wait, lookup=lookup)
    return WorkedOff(applied, await send_due(pool, keyring, instance=instance, lookup=lookup))
