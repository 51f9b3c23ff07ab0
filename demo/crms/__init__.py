"""The demo's accounts at the CRMs other than KeyCRM: one module for each, and beside it the settings of its project.

A module `demo.crms.NAME` has `demo_account(now, seed)`, which gives a seeded account; `NAME.yaml` is an entry of
`projects` in which ${URL}, ${HOOK} and the account's own variables stand for what is known at run time only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastapi import FastAPI


@dataclass(frozen=True)
class DemoCrm:
    """One simulated account."""

    app: FastAPI | None
    """Serves the vendor's API; None: there is none."""
    api_path: str = ""
    """What follows the server's address in `base_url`."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Answers to the fragment's ${...} besides URL and HOOK, such as keys."""
    connect: Callable[[str], None] | None = None
    """Lets the CRM send its webhooks to this address; None: it sends none."""
    settle: Callable[[], object] | None = None
    """Returns when all that was to be sent is sent; None: `change` sends before it returns."""
    change: Callable[[], object] | None = None
    """Something happens at the CRM, which tells its webhook's target; None: nothing does."""
