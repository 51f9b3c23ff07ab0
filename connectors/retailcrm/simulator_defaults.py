"""What a new RetailCRM account has: groups, statuses, dictionaries."""

from __future__ import annotations

from connectors.retailcrm.simulator_values import JSON

GROUPS = (
    ("new", "Новый", True),
    ("approval", "Согласование", True),
    ("assembling", "Комплектация", True),
    ("delivery", "Доставка", True),
    ("complete", "Выполнен", False),
    ("cancel", "Отменен", False),
)
"""(code, name, whether its orders are being worked on)"""

STATUSES = (
    ("new", "Новый", "new"),
    ("availability-confirmed", "Наличие подтверждено", "approval"),
    ("client-confirmed", "Согласовано с клиентом", "approval"),
    ("prepayed", "Поступила предоплата", "approval"),
    ("assembling", "Комплектуется", "assembling"),
    ("assembling-complete", "Укомплектован", "assembling"),
    ("send-to-delivery", "Передан в доставку", "delivery"),
    ("delivering", "Доставляется", "delivery"),
    ("complete", "Выполнен", "complete"),
    ("no-call", "Недозвон", "cancel"),
    ("no-product", "Нет в наличии", "cancel"),
    ("cancel-other", "Отменен", "cancel"),
)

PAYMENT_STATUSES = (
    ("not-paid", "Не оплачен", False),
    ("invoice", "Выставлен счет", False),
    ("paid", "Оплачен", True),
    ("returned", "Возвращен", False),
    ("canceled", "Отменен", False),
)
PAYMENT_TYPES = (("cash", "Наличные"), ("bank-card", "Банковская карта"), ("bank-transfer", "Банковский перевод"))
DELIVERY_TYPES = (("courier", "Курьер"), ("self-delivery", "Самовывоз"))
ORDER_TYPES = (("eshop-individual", "Физическое лицо"), ("eshop-legal", "Юридическое лицо"))
ORDER_METHODS = (("shopping-cart", "Через корзину"), ("phone", "По телефону"), ("one-click", "В один клик"))
SCOPES = (
    "order_read",
    "order_write",
    "customer_read",
    "customer_write",
    "reference_read",
    "reference_write",
    "store_read",
    "store_write",
)

EMPTY_ORDER: JSON = {
    "orderType": "eshop-individual",
    "orderMethod": "shopping-cart",
    "privilegeType": "none",
    "countryIso": "RU",
    "discountManualAmount": 0,
    "discountManualPercent": 0,
    "call": False,
    "expired": False,
    "fromApi": False,
    "mark": 0,
    "shipmentStore": "main",
    "shipped": False,
    "customFields": [],
}

EMPTY_CUSTOMER: JSON = {
    "type": "customer",
    "isContact": False,
    "vip": False,
    "bad": False,
    "contragent": {"contragentType": "individual"},
    "tags": [],
    "customFields": [],
    "personalDiscount": 0,
    "segments": [],
}


def coded(rows: tuple[tuple[str, str], ...]) -> dict[str, JSON]:
    """A dictionary as the API has it: an object keyed by code."""
    return {
        code: {"name": name, "code": code, "active": True, "ordering": index * 10}
        for index, (code, name) in enumerate(rows, start=1)
    }
