"""A seeded account, and what its shop consists of before the first order: dictionaries, goods, stocks, buyers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors.keycrm.simulator import SimulatorState
from connectors.keycrm.simulator_bodies import order_context
from connectors.keycrm.simulator_defaults import add_user
from connectors.keycrm.simulator_records import Buyer, Order, Record
from connectors.keycrm.simulator_values import JSON, number
from demo.seed_profiles import Profile

LONG_DAYS = 220
"""How far back the few orders go that lay waiting for months: every such span holds a change of the clocks."""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """A webhook that the account sent before the demo began."""

    order_id: int
    at: datetime
    event: str
    _order: Order = field(repr=False)
    _then: JSON = field(repr=False)

    @property
    def payload(self) -> JSON:
        """As KeyCRM sent it: the flat row as it was at that time."""
        return {"event": self.event, "context": order_context(self._order, **self._then)}


@dataclass(frozen=True, slots=True)
class StatusChange:
    """An order entered a status."""

    at: datetime
    status_id: int


@dataclass(slots=True)
class SeededAccount:
    name: str
    profile: Profile
    now: datetime
    state: SimulatorState
    random: random.Random = field(repr=False)
    buyers: list[Buyer] = field(default_factory=list, repr=False)
    history: list[PastEvent] = field(default_factory=list, repr=False)
    """All webhooks of the past, in order of time."""
    changes: dict[int, list[StatusChange]] = field(default_factory=dict, repr=False)
    """Of each order: the statuses it went through, the first one included, in order of time."""


def fill_shop(account: SeededAccount, orders: int) -> None:
    """Everything that so many orders need."""
    _fill_dictionaries(account)
    _fill_catalog(account)
    for position in range(1, max(2, round(orders * 0.6)) + 1):
        account.buyers.append(_add_buyer(account, position, account.now - timedelta(days=LONG_DAYS)))


def _fill_dictionaries(account: SeededAccount) -> None:
    state, shop = account.state, account.profile
    for line in shop.statuses:
        state.add_status(
            line.id,
            line.name,
            line.group_id,
            alias=line.alias,
            is_closing=line.is_closing,
            is_reserved=line.group_id in (2, 3, 4),
        )
    for name, driver in shop.sources:
        state.add_source(name, driver=driver, currency_code=shop.currency)
    for name in shop.payment_methods:
        state.add_entry("payment_methods", {"name": name, "alias": name.lower()})
    for name, alias in shop.delivery_services:
        state.add_entry("delivery_services", {"name": name, "alias": alias, "source_name": alias})
    for name in shop.tags:
        state.add_tag(name)
    for name in ("to_order", "packed"):
        state.add_entry("product_statuses", {"name": name, "alias": name})
    state.add_entry("expense_types", {"name": "delivery", "alias": "delivery"})
    for position, name in enumerate(shop.managers, 1):
        add_user(state, name, f"manager{position}@example.com")
    title, options = shop.custom_field
    field_ = {"id": 1, "uuid": "OR_1001", "model": "order", "name": title, "type": "select", "position": 1}
    listed = [{"id": position, "value": option} for position, option in enumerate(options, 1)]
    state.custom_fields.add(Record(field_ | {"required": False, "options": listed}))


def _fill_catalog(account: SeededAccount) -> None:
    catalog, shop, chance = account.state.catalog, account.profile, account.random
    catalog.warehouses.clear()
    for name in shop.warehouses:
        catalog.add_warehouse(name)
    category = catalog.add_category(shop.site.removeprefix("https://").partition(".")[0])
    at = account.now - timedelta(days=LONG_DAYS + 30)
    for position, good in enumerate(shop.goods):
        basic = {"price": number(good.price), "purchased_price": number(good.purchased_price)}
        variants = [
            basic
            | {"id": good.offer_id + offset, "sku": good.sku + variant, "barcode": _barcode(good.offer_id + offset)}
            | {"properties": [{"name": "variant", "value": variant.strip("-")}]}
            for offset, variant in enumerate(good.variants)
        ]
        catalog.add_product(
            good.name,
            sku=good.sku,
            offers=variants,
            offer_id=good.offer_id,
            at=at + timedelta(hours=position),
            currency_code=shop.currency,
            category_id=category.id,
            barcode=_barcode(good.offer_id),
            **basic,
        )
    for warehouse_id in catalog.warehouses:
        stocks = [(offer.id, chance.randint(0, 60 * most_pieces(shop, offer.id)), None) for offer in catalog.offers]
        catalog.set_stocks(stocks, warehouse_id=warehouse_id, announce=False)


def _barcode(offer_id: int) -> str:
    """Of the block 200..299, which shops may use as they like."""
    return f"2000000{offer_id:05d}"


def most_pieces(shop: Profile, offer_id: int) -> int:
    """How many of an offer a customer orders at most."""
    return next((good.most for good in reversed(shop.goods) if good.offer_id <= offer_id), 1)


def _add_buyer(account: SeededAccount, position: int, at: datetime) -> Buyer:
    shop, chance = account.profile, account.random
    phones = [chance.choice(shop.phone_forms).format(position)]
    if chance.random() < 0.06:
        phones = []
    elif chance.random() < 0.08:
        phones.append(shop.phone_forms[0].format(500_000 + position))
    has_email = not phones or chance.random() < 0.7
    return account.state.add_buyer(
        f"{chance.choice(shop.first_names)} {chance.choice(shop.last_names)}",
        phones=phones,
        emails=[f"buyer{position}@example.com"] if has_email else [],
        at=at + timedelta(minutes=position),
        currency=shop.currency,
        manager_id=chance.choice([None, *account.state.users.rows]),
        note=None if chance.random() < 0.9 else "☎️ 10:00-12:00",
    )
