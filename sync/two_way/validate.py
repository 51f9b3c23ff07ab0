"""What of the CRM may be written in vms. Pure: each function gives the reasons against it, one sentence each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from sync.two_way.objects import CrmObject, Value

_SUMS = {"discount": "its discount", "shipping_price": "its shipping price"}
_ARTICLE_NUMBERS = {"price": "its price", "purchased_price": "its purchase price", "stock": "its stock"}


def missing(
    item: CrmObject, values: Mapping[str, Value], articles: Collection[str], *, has_customer: bool
) -> dict[str, str]:
    """What an order needs that vms does not have: reasons by `customer_key` and `article_key`. `articles` are the skus
    that vms has; `has_customer`: vms has the order's customer, or the order goes on having the one that it has."""
    reasons = {}
    customer = item.details.get("customer_id")
    if not has_customer and customer is not None:
        reasons[customer_key(customer)] = (
            f"{unknown_customer(customer)}: read it from the CRM, or see its own dead letter."
        )
    for line in values.get("items", ()):
        if line["sku"] is not None and line["sku"] not in articles:
            reasons[article_key(line["sku"])] = (
                f"{unknown_article(line['sku'])}: add it to vms, or have the CRM's articles read."
            )
    return reasons


def customer_key(crm_id: str) -> str:
    return f"customer:{crm_id}"


def article_key(sku: str) -> str:
    return f"article:{sku}"


def order(item: CrmObject, values: Mapping[str, Value], *, is_new: bool, has_customer: bool) -> list[str]:
    """Of an order, apart from what is `missing`; `values` are to be written."""
    reasons = []
    if not has_customer and item.details.get("customer_id") is None:
        reasons.append("The order names no customer: name one at the CRM.")
    if is_new and "status" not in values:
        status = item.details.get("status_id")
        reasons.append(
            "The order has no status."
            if status is None
            else f"The status {status} has no counterpart in vms: name it in the project's `status_map`."
        )
    total = item.details.get("total")
    if total is not None and total < 0:
        reasons.append(f"The order's sum is negative: {total}.")
    reasons += [f"The order has a negative sum: {told} is {values[name]}." for name, told in _SUMS.items()
                if _is_negative(values.get(name))]  # fmt: skip
    for number, line in enumerate(values.get("items", ()), start=1):
        reasons += _line(line, number)
    return reasons


def _line(line: Mapping[str, Value], number: int) -> list[str]:
    what = f"line {number} ({line['sku'] or line['name'] or 'without a name'})"
    reasons = []
    if _number(line["quantity"]) <= 0:
        reasons.append(f"The quantity of {what} is {line['quantity']}: it has to be above 0.")
    reasons += [f"The {name} of {what} is negative: {line[name]}." for name in ("price", "discount")
                if _is_negative(line[name])]  # fmt: skip
    return reasons


def article(values: Mapping[str, Value], *, is_new: bool, is_taken: bool) -> list[str]:
    """`is_taken`: another article of vms has the sku."""
    reasons = []
    if values.get("sku") is None and (is_new or "sku" in values):
        reasons.append("The article has no sku: give it one at the CRM.")
    if is_taken:
        reasons.append(f"The sku {values['sku']} is that of another article: a sku may be given once.")
    reasons += [f"The article has a negative number: {told} is {values[name]}."
                for name, told in _ARTICLE_NUMBERS.items() if _is_negative(values.get(name))]  # fmt: skip
    return reasons


def payment(item: CrmObject, values: Mapping[str, Value]) -> list[str]:
    reasons = []
    if "amount" in values and _number(values["amount"]) <= 0:
        reasons.append(f"The amount of payment {item.crm_id} is {values['amount']}: it has to be above 0.")
    if "status" in item.fields and "status" not in item.as_vms:
        reasons.append(f"The status {item.details.get('status')} of payment {item.crm_id} is unknown.")
    return reasons


def joined(reasons: Sequence[str]) -> str:
    """Several reasons as one text, each once."""
    return " ".join(dict.fromkeys(reasons))


def _is_negative(value: Value) -> bool:
    return value is not None and _number(value) < 0


def _number(value: Value) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return Decimal(-1)


def unknown_article(sku: str) -> str:
    """How a reason begins that goes once there is an article of that sku."""
    return f"The article {sku} is unknown"


def unknown_customer(crm_id: str) -> str:
    """How a reason begins that goes once there is that customer."""
    return f"The customer {crm_id} of the order is not known"
