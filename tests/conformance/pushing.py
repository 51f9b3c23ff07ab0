"""What every connector that writes must do: one suite, which each inherits with an adapter to its simulator.

class TestKeyCrmPushing(PushingConformance):
    @pytest.fixture
    def crm(self) -> Iterator[PushedCrm]: ...
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any, Literal

import pytest

from connectors.errors import ConfigError, ConnectorError, PermanentError, RetryError
from connectors.protocol import Account, Change, PushingConnector, PushResult, WebhookRequest
from connectors.records import Reread
from tests.conformance.suite import SECRET, Fault, session

Entity = Literal["order", "customer", "article", "payment"]

ENTITIES: tuple[Entity, ...] = ("order", "customer", "article", "payment")
VMS_STATUSES = {"PENDING", "CONFIRMED", "PROCESSING", "SHIPPED", "DELIVERED", "CANCELLED", "REFUNDED"}
PAYMENT_STATUSES = {"pending", "paid", "cancelled", "refunded"}
ORDER_FIELDS = frozenset(
    {"customer", "status", "discount", "shipping_price", "comment", "items"}
    | {"carrier", "tracking_number", "recipient", "phone", "address"}
)
CUSTOMER_FIELDS = frozenset({"full_name", "phone", "email", "segment", "note"})
ARTICLE_FIELDS = frozenset({"sku", "name", "description", "price", "purchased_price", "stock", "barcode", "is_active"})
PAYMENT_FIELDS = frozenset({"amount", "method", "status", "paid_at"})

LOST: tuple[tuple[Fault, bool], ...] = (
    ("timeout", True),
    ("drop", True),
    ("cut", True),
    ("truncated", True),
    ("server_error", True),
    ("bad_gateway", True),
    ("timeout", False),
    ("server_error", False),
    ("too_many", False),
)
"""Ways in which a write is not answered as it should be, and whether the CRM did it all the same."""

_numbers = count(1)


@dataclass(frozen=True)
class SeenLine:
    sku: str | None
    name: str
    quantity: Decimal
    price: Decimal
    discount: Decimal
    """Of the whole line."""


@dataclass(frozen=True)
class SeenOrder:
    """An order as the CRM's users see it."""

    status: str
    comment: str | None
    discount: Decimal
    """Of the whole order, without the lines' own."""
    shipping_price: Decimal
    lines: frozenset[SeenLine]
    customer_id: str | None
    tracking_number: str | None
    recipient: str | None
    payments: tuple[tuple[Decimal, str], ...]
    """(amount, status in the words of vms)"""


@dataclass(frozen=True)
class SeenCustomer:
    full_name: str
    phone: str | None
    email: str | None


@dataclass(frozen=True)
class SeenArticle:
    sku: str
    name: str
    price: Decimal
    stock: Decimal


class PushedCrm(ABC):
    """One account in a running simulator, and how to look into it past its API."""

    connector: PushingConnector
    creates_articles = True
    has_tracking_once = False
    """Whether a tracking number that is set stays as it is."""

    @abstractmethod
    def account(self, **changes: Any) -> Account:
        """The account with SECRET as its key and all options that writing needs, with fields replaced by `changes`."""

    @abstractmethod
    def status(self, word: str) -> str:
        """The CRM's id of a status that means this word of vms; PENDING: the one that new orders have."""

    @abstractmethod
    def orders(self) -> Sequence[str]:
        """Ids of all there are; likewise customers and articles."""

    @abstractmethod
    def order(self, crm_id: str) -> SeenOrder: ...

    @abstractmethod
    def customers(self) -> Sequence[str]: ...

    @abstractmethod
    def customer(self, crm_id: str) -> SeenCustomer: ...

    @abstractmethod
    def articles(self) -> Sequence[str]: ...

    @abstractmethod
    def article(self, crm_id: str) -> SeenArticle: ...

    @abstractmethod
    def add_article(self, sku: str, name: str, price: Decimal, stock: Decimal) -> str:
        """As a user of the CRM adds it; its id."""

    @abstractmethod
    def change_status(self, order_id: str, status: str) -> None:
        """As a user of the CRM does it."""

    @abstractmethod
    def writes(self) -> int:
        """Requests that were to change something, whatever became of them."""

    @abstractmethod
    def requests(self) -> int: ...

    @abstractmethod
    def fail(self, entity: Entity, fault: Fault, *, is_applied: bool = False, skip: int = 0) -> None:
        """Let one of the next writes that concern such an object fail, after `skip` of them; and forget what was to
        fail before."""

    @abstractmethod
    def mend(self) -> None:
        """Nothing fails any more."""

    @abstractmethod
    def webhooks(self) -> Sequence[WebhookRequest]:
        """What the CRM has sent since the last call, without authentication."""


def key() -> str:
    return str(uuid.uuid4())


def new_customer(**data: Any) -> Change:
    number = next(_numbers)
    values = {
        "full_name": f"Марія Коваль {number}",
        "phone": f"+38067{number:07d}",
        "email": f"maria{number}@example.com",
        "segment": None,
        "note": "любить чай",
    }
    return Change("customer", number, key(), None, {**values, **data}, CUSTOMER_FIELDS)


def new_article(**data: Any) -> Change:
    number = next(_numbers)
    values = {
        "sku": f"cup-{number}",
        "name": f"Чашка {number}",
        "description": "Синя",
        "price": Decimal("200.50"),
        "purchased_price": Decimal("90.00"),
        "currency": None,
        "stock": Decimal("7.000"),
        "barcode": None,
        "is_active": True,
    }
    return Change("article", number, key(), None, {**values, **data}, ARTICLE_FIELDS)


def new_order(crm: PushedCrm, customer: Change, customer_id: str, sku: str, article_id: str, **data: Any) -> Change:
    """Two cups and an engraving."""
    number = next(_numbers)
    values = {
        "number": f"A-{number}",
        "status": crm.status("PROCESSING"),
        "currency": None,
        "total": Decimal("476.00"),
        "discount": Decimal("10.00"),
        "shipping_price": Decimal("40.00"),
        "comment": "Подзвонити до обіду",
        "ordered_at": datetime(2026, 3, 2, 8, 30, tzinfo=UTC),
        "items": [
            {
                "sku": sku,
                "name": "Чашка",
                "quantity": Decimal("2.000"),
                "price": Decimal("200.50"),
                "discount": Decimal("5.00"),
                "crm_id": article_id,
            },
            {
                "sku": None,
                "name": "Гравіювання",
                "quantity": Decimal("1.000"),
                "price": Decimal("50.00"),
                "discount": Decimal("0.00"),
                "crm_id": None,
            },
        ],
        "customer": {
            "crm_id": customer_id,
            "key": customer.key,
            **{name: customer.data[name] for name in ("full_name", "phone", "email")},
        },
        "carrier": None,
        "tracking_number": None,
        "recipient": "Олена Шевченко",
        "phone": "+380501234567",
        "address": None,
    }
    return Change("order", number, key(), None, {**values, **data}, ORDER_FIELDS)


def new_payment(order: Change, order_id: str, **data: Any) -> Change:
    values = {
        "order": {"crm_id": order_id, "key": order.key},
        "amount": Decimal("100.10"),
        "currency": None,
        "method": None,
        "status": "paid",
        "paid_at": datetime(2026, 3, 2, 9, 15, tzinfo=UTC),
    }
    return Change("payment", next(_numbers), key(), None, {**values, **data}, PAYMENT_FIELDS)


def changed(change: Change, crm_id: str, **data: Any) -> Change:
    """A later change of the same object."""
    known = {name: value for name, value in change.data.items() if name in change.fields}
    return replace(change, crm_id=crm_id, data={**change.data, **data}, fields=frozenset(data), known=known)


def again(change: Change) -> Change:
    """The next attempt at what was not answered."""
    return replace(change, may_have_been_sent=True)


async def push_all(crm: PushedCrm, changes: Sequence[Change], **account: Any) -> list[PushResult | ConnectorError]:
    """Results and errors; what was raised stands for all."""
    used = crm.account(**account)
    async with session(used, retry_attempts=0) as line:
        try:
            return list(await crm.connector.push(line.http, used, changes))
        except ConnectorError as error:
            return [error for _ in changes]


async def push(crm: PushedCrm, change: Change, **account: Any) -> PushResult | ConnectorError:
    [result] = await push_all(crm, [change], **account)
    return result


@dataclass(frozen=True)
class Pushed(PushResult):
    """Of an object that the CRM has."""

    crm_id: str


async def pushed(crm: PushedCrm, change: Change, **account: Any) -> Pushed:
    result = await push(crm, change, **account)
    assert isinstance(result, PushResult), result
    assert result.crm_id is not None, result
    return Pushed(**{field.name: getattr(result, field.name) for field in fields(result)})


async def refused(crm: PushedCrm, change: Change, **account: Any) -> ConnectorError:
    result = await push(crm, change, **account)
    assert isinstance(result, ConnectorError), result
    return result


@dataclass(frozen=True)
class Shop:
    """What an order needs: a customer and an article that the CRM has."""

    customer: Change
    customer_id: str
    sku: str
    article_id: str

    def order(self, crm: PushedCrm, **data: Any) -> Change:
        return new_order(crm, self.customer, self.customer_id, self.sku, self.article_id, **data)


async def a_shop(crm: PushedCrm) -> Shop:
    customer = new_customer()
    sku = f"cup-{next(_numbers)}"
    article_id = crm.add_article(sku, "Чашка", Decimal("200.50"), Decimal(9))
    return Shop(customer, (await pushed(crm, customer)).crm_id, sku, article_id)


def fingerprints(crm: PushedCrm, order_id: str) -> list[bytes | None]:
    """Of the rereads of an order that the CRM's webhooks since the last call ask for."""
    found: list[Reread] = []
    for request in crm.webhooks():
        body = crm.connector.check_webhook(request, crm.account().context)
        batch = crm.connector.map_webhook(crm.account().context, None, body, datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
        found += [reread for reread in batch.rereads if reread.stream == "orders" and reread.crm_id == order_id]
    return [reread.fingerprint for reread in found]


class PushingConformance:
    pytestmark = pytest.mark.anyio

    # --------------------------------------------------------------------------------------------------- the words

    def test_it_is_a_connector_that_writes_all_kinds_of_objects(self, crm: PushedCrm) -> None:
        assert isinstance(crm.connector, PushingConnector)
        assert all(crm.connector.most_pushed(entity, crm.account()) >= 1 for entity in ENTITIES)
        assert crm.connector.most_pushed("article", crm.account()) >= 50

    def test_its_words_are_those_of_vms(self, crm: PushedCrm) -> None:
        words = crm.connector.vocabulary
        assert {*words.statuses.values(), *words.status_groups.values()} <= VMS_STATUSES
        assert {"PENDING", "CONFIRMED", "PROCESSING", "SHIPPED", "DELIVERED", "CANCELLED"} <= {
            *words.statuses.values(),
            *words.status_groups.values(),
        }
        assert {"pending", "paid"} <= set(words.payment_statuses.values()) <= PAYMENT_STATUSES

    # ----------------------------------------------------------------------------------------------------- orders

    async def test_a_new_order_arrives_whole(self, crm: PushedCrm) -> None:
        shop = await a_shop(crm)
        result = await pushed(crm, shop.order(crm, tracking_number="20450000000017"))
        assert list(crm.orders()) == [result.crm_id]
        assert not result.was_there
        assert result.customer_id in (None, shop.customer_id)
        assert crm.order(result.crm_id) == SeenOrder(
            status=crm.status("PROCESSING"),
            comment="Подзвонити до обіду",
            discount=Decimal("10.00"),
            shipping_price=Decimal("40.00"),
            lines=frozenset(
                {
                    SeenLine(shop.sku, "Чашка", Decimal(2), Decimal("200.50"), Decimal("5.00")),
                    SeenLine(None, "Гравіювання", Decimal(1), Decimal("50.00"), Decimal("0.00")),
                }
            ),
            customer_id=shop.customer_id,
            tracking_number="20450000000017",
            recipient="Олена Шевченко",
            payments=(),
        )

    async def test_a_status_is_changed_by_one_write_and_nothing_else_changes(self, crm: PushedCrm) -> None:
        order = (await a_shop(crm)).order(crm)
        crm_id = (await pushed(crm, order)).crm_id
        before, writes = crm.order(crm_id), crm.writes()
        result = await pushed(crm, changed(order, crm_id, status=crm.status("SHIPPED")))
        assert result.crm_id == crm_id
        assert crm.order(crm_id) == replace(before, status=crm.status("SHIPPED"))
        assert crm.writes() == writes + 1

    async def test_a_comment_a_discount_and_the_lines_that_are_there_can_be_changed(self, crm: PushedCrm) -> None:
        shop = await a_shop(crm)
        order = shop.order(crm)
        crm_id = (await pushed(crm, order)).crm_id
        cup, engraving = order.data["items"]
        lines = [{**cup, "quantity": Decimal("3.000"), "discount": Decimal("6.00")}, engraving]
        change = changed(order, crm_id, comment=None, discount=Decimal("0.00"), items=lines)
        before = crm.order(crm_id)
        result = await pushed(crm, change)
        assert not result.ignored
        assert crm.order(crm_id) == replace(
            before,
            comment=None,
            discount=Decimal("0.00"),
            lines=frozenset(
                {
                    SeenLine(shop.sku, "Чашка", Decimal(3), Decimal("200.50"), Decimal("6.00")),
                    SeenLine(None, "Гравіювання", Decimal(1), Decimal("50.00"), Decimal("0.00")),
                }
            ),
        )

    async def test_a_tracking_number_is_set(self, crm: PushedCrm) -> None:
        order = (await a_shop(crm)).order(crm)
        crm_id = (await pushed(crm, order)).crm_id
        result = await pushed(crm, changed(order, crm_id, tracking_number="20450000000017"))
        assert not result.ignored
        assert crm.order(crm_id).tracking_number == "20450000000017"

    async def test_another_tracking_number_replaces_the_first_or_is_refused_with_a_reason(self, crm: PushedCrm) -> None:
        order = (await a_shop(crm)).order(crm, tracking_number="1111")
        crm_id = (await pushed(crm, order)).crm_id
        writes = crm.writes()
        result = await pushed(crm, changed(order, crm_id, tracking_number="2222"))
        if crm.has_tracking_once:
            assert "tracking_number" in result.ignored
            assert crm.writes() == writes
            assert crm.order(crm_id).tracking_number == "1111"
        else:
            assert crm.order(crm_id).tracking_number == "2222"

    @pytest.mark.parametrize(("fault", "is_applied"), LOST)
    async def test_an_order_is_made_once_whichever_of_its_writes_is_not_answered(
        self, crm: PushedCrm, fault: Fault, is_applied: bool
    ) -> None:
        shop = await a_shop(crm)
        made = await despite_a_lost_answer(crm, "order", fault, is_applied, lambda: shop.order(crm))
        assert sorted(crm.orders()) == sorted(made)
        seen = {crm.order(crm_id) for crm_id in made}
        assert {order.status for order in seen} == {crm.status("PROCESSING")}
        assert {len(order.lines) for order in seen} == {2}

    @pytest.mark.parametrize(("fault", "is_applied"), LOST)
    async def test_a_change_of_an_order_that_was_not_answered_is_made_once(
        self, crm: PushedCrm, fault: Fault, is_applied: bool
    ) -> None:
        order = (await a_shop(crm)).order(crm)
        crm_id = (await pushed(crm, order)).crm_id
        status = crm.status("SHIPPED")
        change = changed(order, crm_id, status=status, tracking_number="2045", comment="Готово")
        crm.fail("order", fault, is_applied=is_applied)
        assert isinstance(await refused(crm, change), RetryError)
        result = await pushed(crm, again(change))
        assert not result.ignored
        seen = crm.order(crm_id)
        assert (seen.status, seen.tracking_number, seen.comment) == (status, "2045", "Готово")
        writes = crm.writes()
        assert (await pushed(crm, again(change))).requests == 0
        assert crm.writes() == writes

    async def test_an_order_that_the_crm_does_not_have_is_refused_for_good(self, crm: PushedCrm) -> None:
        order = (await a_shop(crm)).order(crm)
        error = await refused(crm, changed(order, "987654", status=crm.status("SHIPPED")))
        assert isinstance(error, PermanentError)
        assert not crm.orders()

    async def test_our_own_write_is_known_by_the_webhook_about_it(self, crm: PushedCrm) -> None:
        order = (await a_shop(crm)).order(crm)
        crm_id = (await pushed(crm, order)).crm_id
        crm.webhooks()
        result = await pushed(crm, changed(order, crm_id, status=crm.status("SHIPPED")))
        assert result.fingerprint is not None
        assert fingerprints(crm, crm_id) == [result.fingerprint]
        crm.change_status(crm_id, crm.status("DELIVERED"))
        [theirs] = fingerprints(crm, crm_id)
        assert theirs is not None
        assert theirs != result.fingerprint

    # --------------------------------------------------------------------------------------------------- payments

    async def test_a_payment_arrives(self, crm: PushedCrm) -> None:
        order = (await a_shop(crm)).order(crm)
        order_id = (await pushed(crm, order)).crm_id
        first = await pushed(crm, new_payment(order, order_id))
        second = await pushed(crm, new_payment(order, order_id, amount=Decimal("5.00"), status="pending", paid_at=None))
        assert first.crm_id != second.crm_id
        assert crm.order(order_id).payments == ((Decimal("100.10"), "paid"), (Decimal("5.00"), "pending"))

    async def test_a_payment_becomes_paid(self, crm: PushedCrm) -> None:
        order = (await a_shop(crm)).order(crm)
        order_id = (await pushed(crm, order)).crm_id
        payment = new_payment(order, order_id, status="pending", paid_at=None)
        crm_id = (await pushed(crm, payment)).crm_id
        result = await pushed(crm, changed(payment, crm_id, status="paid"))
        assert result.crm_id == crm_id
        assert crm.order(order_id).payments == ((Decimal("100.10"), "paid"),)

    @pytest.mark.parametrize(("fault", "is_applied"), LOST)
    async def test_a_payment_is_never_made_twice(self, crm: PushedCrm, fault: Fault, is_applied: bool) -> None:
        order = (await a_shop(crm)).order(crm)
        order_id = (await pushed(crm, order)).crm_id
        made = await despite_a_lost_answer(crm, "payment", fault, is_applied, lambda: new_payment(order, order_id))
        assert crm.order(order_id).payments == ((Decimal("100.10"), "paid"),) * len(made)

    # -------------------------------------------------------------------------------------------------- customers

    async def test_a_new_customer_arrives(self, crm: PushedCrm) -> None:
        result = await pushed(crm, new_customer(full_name="Олена Шевченко", phone="+380501234567", email="o@e.ua"))
        assert crm.customer(result.crm_id) == SeenCustomer("Олена Шевченко", "+380501234567", "o@e.ua")
        assert list(crm.customers()) == [result.crm_id]

    async def test_contact_data_of_a_customer_are_changed(self, crm: PushedCrm) -> None:
        customer = new_customer()
        crm_id = (await pushed(crm, customer)).crm_id
        result = await pushed(crm, changed(customer, crm_id, phone="+380990000001", email="new@example.com"))
        assert result.crm_id == crm_id
        assert crm.customer(crm_id) == SeenCustomer(customer.data["full_name"], "+380990000001", "new@example.com")

    @pytest.mark.parametrize(("fault", "is_applied"), LOST)
    async def test_a_customer_is_made_once_whatever_is_not_answered(
        self, crm: PushedCrm, fault: Fault, is_applied: bool
    ) -> None:
        made = await despite_a_lost_answer(crm, "customer", fault, is_applied, new_customer)
        assert sorted(crm.customers()) == sorted(made)

    # --------------------------------------------------------------------------------------------------- articles

    async def test_a_new_article_arrives_or_is_linked_by_its_sku(self, crm: PushedCrm) -> None:
        article = new_article(sku="cup-blue", name="Синя чашка")
        known = None if crm.creates_articles else crm.add_article("cup-blue", "Синя чашка", Decimal(1), Decimal(1))
        result = await pushed(crm, article)
        assert list(crm.articles()) == [result.crm_id]
        assert known in (None, result.crm_id)
        assert crm.article(result.crm_id) == SeenArticle("cup-blue", "Синя чашка", Decimal("200.50"), Decimal(7))

    async def test_price_and_stock_are_changed(self, crm: PushedCrm) -> None:
        crm_id = crm.add_article("cup", "Чашка", Decimal("200.50"), Decimal(9))
        article = new_article(sku="cup", name="Чашка")
        result = await pushed(crm, changed(article, crm_id, price=Decimal("210.00"), stock=Decimal("4.000")))
        assert not result.ignored
        assert crm.article(crm_id) == SeenArticle("cup", "Чашка", Decimal("210.00"), Decimal(4))

    async def test_many_articles_go_together_and_one_that_is_not_there_stops_no_other(self, crm: PushedCrm) -> None:
        ids = [crm.add_article(f"cup-{n}", "Чашка", Decimal("200.50"), Decimal(9)) for n in range(5)]
        many = [
            changed(new_article(sku=f"cup-{n}", name="Чашка"), crm_id, price=Decimal(100 + n), stock=Decimal(n))
            for n, crm_id in enumerate(ids)
        ]
        many.insert(2, changed(new_article(sku="cup-gone"), "987654", price=Decimal(1), stock=Decimal(1)))
        writes = crm.writes()
        results = await push_all(crm, many)
        assert [type(result) for result in results[:2] + results[3:]] == [PushResult] * 5
        assert isinstance(results[2], PermanentError)
        seen = [crm.article(crm_id) for crm_id in ids]
        assert [(article.price, article.stock) for article in seen] == [
            (Decimal(100 + n), Decimal(n)) for n in range(5)
        ]
        assert crm.writes() - writes <= 4

    @pytest.mark.parametrize(("fault", "is_applied"), LOST)
    async def test_an_article_is_made_once_whatever_is_not_answered(
        self, crm: PushedCrm, fault: Fault, is_applied: bool
    ) -> None:
        def article() -> Change:
            made = new_article()
            if not crm.creates_articles:
                crm.add_article(made.data["sku"], made.data["name"], Decimal(1), Decimal(1))
            return made

        made = await despite_a_lost_answer(crm, "article", fault, is_applied, article)
        assert sorted(crm.articles()) == sorted(made)
        seen = [crm.article(crm_id) for crm_id in made]
        assert {(article.price, article.stock) for article in seen} == {(Decimal("200.50"), Decimal(7))}

    # --------------------------------------------------------------------------------------------------- failures

    async def test_a_wrong_key_is_a_config_error(self, crm: PushedCrm) -> None:
        credentials = dict.fromkeys(crm.account().credentials, "not-the-key-at-all")
        for change in (new_customer(), new_article()):
            error = await refused(crm, change, credentials=credentials)
            assert isinstance(error, ConfigError)
            assert "not-the-key-at-all" not in error.message
        assert not crm.customers()

    async def test_an_address_where_nobody_answers_is_worth_another_try(self, crm: PushedCrm) -> None:
        for change in (new_customer(), new_article()):
            assert isinstance(await refused(crm, change, base_url="http://127.0.0.1:1/nothing"), RetryError)

    async def test_a_refusal_tells_what_was_asked_and_answered_without_the_key(self, crm: PushedCrm) -> None:
        order = (await a_shop(crm)).order(crm)
        error = await refused(crm, changed(order, "987654", status=crm.status("SHIPPED")))
        assert error.message
        assert error.request
        assert error.answer
        assert SECRET not in f"{error.message} {error.request} {error.answer}"


async def despite_a_lost_answer(
    crm: PushedCrm, entity: Entity, fault: Fault, is_applied: bool, make: Callable[[], Change]
) -> list[str]:
    """Push a new object for each write that it takes, whose answer is lost; then again, as after a crash; then once
    more, which must write nothing. The ids of the objects, one for each."""
    made = []
    for skip in range(10):
        change = make()
        crm.fail(entity, fault, is_applied=is_applied, skip=skip)
        first = await push(crm, change)
        crm.mend()
        if isinstance(first, PushResult):
            assert first.crm_id is not None
            made.append(first.crm_id)
            break  # it takes no more writes than that
        assert isinstance(first, RetryError), first
        made.append((await pushed(crm, again(change))).crm_id)
        writes = crm.writes()
        once_more = await pushed(crm, again(change))
        assert (once_more.crm_id, once_more.requests) == (made[-1], 0)
        assert crm.writes() == writes
    assert len(set(made)) == len(made) > 1
    return made
