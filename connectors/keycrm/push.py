"""Pushes changes of the warehouse system to KeyCRM. What is written, and how, is told in README.md."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from connectors.errors import ConfigError, ConnectorError
from connectors.http import HttpSession
from connectors.keycrm.push_articles import MOST, push_articles
from connectors.keycrm.push_buyers import push_buyer
from connectors.keycrm.push_calls import Calls
from connectors.keycrm.push_orders import push_order
from connectors.keycrm.push_payments import push_payment
from connectors.protocol import Account, Change, PushResult

_ONE_BY_ONE: Mapping[str, Callable[[Calls, Change], Awaitable[PushResult]]] = {
    "order": push_order,
    "customer": push_buyer,
    "payment": push_payment,
}


def most_pushed(entity: str) -> int:
    """Changes that one push takes."""
    if entity == "article":
        return MOST
    return 1 if entity in _ONE_BY_ONE else 0


async def push(http: HttpSession, account: Account, changes: Sequence[Change]) -> Sequence[PushResult | ConnectorError]:
    """As `PushingConnector.push` says."""
    results: list[PushResult | ConnectorError] = []
    if changes and changes[0].entity == "article":
        for start in range(0, len(changes), MOST):
            results += await push_articles(Calls(http, account), changes[start : start + MOST])
        return results
    for change in changes:
        try:
            results.append(await _ONE_BY_ONE[change.entity](Calls(http, account), change))
        except ConfigError:
            raise
        except ConnectorError as error:
            results.append(error)
    return results
