"""Webhooks that the simulated company sends. Queue, thread and log are those of KeyCRM's simulator.

Of YCLIENTS' own retries each source says something else; here there are three attempts.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.keycrm.simulator_webhooks import Webhooks, WebhookTarget

RESOURCES = {"master": "staff", "salon": "company"}
"""Settings whose webhooks name another resource."""


class HookSender(Webhooks):
    """Sends each resource's changes to the addresses of the company's settings."""

    def register(self, urls: Sequence[str], flags: Sequence[str]) -> None:
        """These addresses replace all that were there; `flags` are the settings that are on."""
        resources = tuple(RESOURCES.get(flag, flag) for flag in flags)
        self.targets[:] = [WebhookTarget(url, resources) for url in urls]
