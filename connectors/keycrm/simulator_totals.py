"""What an order comes to: lines, discounts, payments."""

from __future__ import annotations

from connectors.keycrm.simulator_records import Order
from connectors.keycrm.simulator_values import JSON, number


def total_order(order: Order) -> None:
    """Set the order's sums and its payment status from its lines, payments and expenses."""
    fields = order.fields
    listed = sum(line["price"] * line["quantity"] for line in order.lines)
    sold = sum(line["price_sold"] * line["quantity"] for line in order.lines)
    bought = sum(line["purchased_price"] * line["quantity"] for line in order.lines)
    discount = fields["discount_amount"] + sold * fields["discount_percent"] / 100
    extra = fields["shipping_price"] + fields["wrap_price"] + fields["taxes"]
    paid = sum(payment["amount"] for payment in order.payments if payment["status"] == "paid")
    expenses = sum(expense["amount"] for expense in order.expenses)
    fields["products_total"] = number(sold)
    fields["grand_total"] = total = number(max(sold - discount, 0) + extra)
    fields["total_discount"] = number(listed - sold + discount)
    fields["payments_total"] = paid = number(paid)
    fields["expenses_sum"] = number(expenses)
    fields["margin_sum"] = number(total - bought - expenses)
    if paid == 0:
        fields["payment_status"] = "not_paid"
    elif paid < total:
        fields["payment_status"] = "part_paid"
    else:
        fields["payment_status"] = "paid" if paid == total else "overpaid"


def price_line(line: JSON) -> None:
    """What a line costs after its discounts."""
    line["price"] = number(line["price"])
    line["purchased_price"] = number(line["purchased_price"])
    line["quantity"] = number(line["quantity"])
    discount = line["discount_amount"] + line["price"] * line["discount_percent"] / 100
    line["price_sold"] = number(max(line["price"] - discount, 0))
    line["total_discount"] = number((line["price"] - line["price_sold"]) * line["quantity"])
