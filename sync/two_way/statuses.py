"""An order's status in the words of the CRM and in those of vms: many to one on the way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.protocol import Vocabulary


@dataclass(frozen=True, slots=True)
class KnownStatus:
    """A row of core.statuses with the settings' overlay."""

    status_id: str
    alias: str | None = None
    name: str | None = None
    group_id: str | None = None
    is_active: bool = True


class StatusWords:
    """Translates; what the project's `status_map` says goes before the CRM's usual meaning."""

    def __init__(
        self, statuses: Sequence[KnownStatus], status_map: Mapping[str, str], vocabulary: Vocabulary | None
    ) -> None:
        """`statuses` in the CRM's order; `status_map` is keyed by id, alias or name, in the settings' order."""
        self._statuses = {status.status_id: status for status in statuses}
        self._own = status_map
        self._usual = vocabulary or Vocabulary()

    def to_vms(self, status_id: str | None, group_id: str | None = None) -> str | None:
        """The word of vms; None if nothing tells."""
        if status_id is None:
            return None
        known = self._statuses.get(status_id, KnownStatus(status_id))
        keys = _keys(known)
        group = known.group_id or group_id
        own_groups = self._own if self._usual.names_groups else {}
        for words, groups in ((self._own, own_groups), (self._usual.statuses, {}), ({}, self._usual.status_groups)):
            for key in keys:
                if key in words:
                    return words[key]
            if group is not None and group in groups:
                return groups[group]
        return None

    def to_crm(self, word: str, current: str | None = None) -> str | None:
        """The CRM's status for a word of vms: the current one if it means that already, else the first of the settings
        that does, else the one that usually does, else the CRM's first active one. None: this CRM has none."""
        if current is not None and self.to_vms(current) == word:
            return current
        # What is sent has to be read as the same word when it comes back.
        fitting = [status for status in self._statuses.values() if self.to_vms(status.status_id) == word]
        fitting.sort(key=lambda status: not status.is_active)
        for key, meaning in self._own.items():
            named = [status for status in fitting if meaning == word and key in _keys(status)]
            if named:
                return named[0].status_id
        for key, meaning in self._usual.statuses.items():
            named = [status for status in fitting if meaning == word and status.is_active and key in _keys(status)]
            if named:
                return named[0].status_id
        return fitting[0].status_id if fitting else None


def _keys(status: KnownStatus) -> list[str]:
    """What settings may call it, the surest first."""
    return [key for key in (status.status_id, status.alias, status.name) if key]
