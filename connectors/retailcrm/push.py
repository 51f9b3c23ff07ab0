"""Changes of the warehouse -> RetailCRM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.errors import ConnectorError, NotFoundError, PermanentError
from connectors.http import HttpSession
from connectors.protocol import Account, Change, PushResult
from connectors.retailcrm.push_articles import MOST_UPLOADED, push_articles
from connectors.retailcrm.push_customers import push_customer
from connectors.retailcrm.push_orders import push_order
from connectors.retailcrm.push_payments import push_payment

OPTIONS: Mapping[str, type] = {
    "store": str,
    "price_type": str,
    "payment_types": dict,
    "delivery_types": dict,
    "segment_field": str,
}
_ONE = {"order": push_order, "customer": push_customer, "payment": push_payment}


def problems_of_options(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the options of writing: (path, one sentence)."""
    for name in ("store", "price_type", "segment_field"):
        if name in options and not options[name].strip():
            yield name, "expected a code of the account; leave the option out instead of leaving it empty"
    for name, example in (("payment_types", "{card: bank-card, cash: cash}"), ("delivery_types", "{DHL: courier}")):
        given = options.get(name, {})
        if not all(isinstance(key, str) and isinstance(code, str) and key and code for key, code in given.items()):
            yield name, f"expected the warehouse's words with codes of the account, such as {example}"


def most_pushed(entity: str) -> int:
    """Stocks and prices are uploaded together, the rest is written one by one."""
    return MOST_UPLOADED if entity == "article" else 1 if entity in _ONE else 0


async def push(http: HttpSession, account: Account, changes: Sequence[Change]) -> Sequence[PushResult | ConnectorError]:
    """As `PushingConnector.push` says."""
    if changes and changes[0].entity == "article":
        return await push_articles(http, account, changes)
    results: list[PushResult | ConnectorError] = []
    for change in changes:
        try:
            results.append(await _ONE[change.entity](http, account, change))
        except NotFoundError as error:
            gone = NotFoundError(
                f"RetailCRM has no {change.entity} {change.crm_id or ''} any more ({error.message})",
                status=error.status,
            )
            gone.request, gone.answer = error.request, error.answer
            results.append(gone)
        except PermanentError as error:
            results.append(error)
    return results
