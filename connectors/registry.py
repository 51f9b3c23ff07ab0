"""Which CRMs there are. A new one is a package and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from connectors.protocol import Connector

_PACKAGES = {
    "amocrm": "connectors.amocrm",
    "csv": "connectors.csv",
    "custom": "connectors.custom",
    "iiko": "connectors.iiko",
    "keycrm": "connectors.keycrm",
    "onec": "connectors.onec",
    "renovatio": "connectors.renovatio",
    "retailcrm": "connectors.retailcrm",
    "yclients": "connectors.yclients",
}


def names() -> tuple[str, ...]:
    return tuple(sorted(_PACKAGES))


def get(crm: str) -> Connector:
    """The connector of a CRM. Raises KeyError."""
    return cast(Connector, import_module(_PACKAGES[crm]).connector)
