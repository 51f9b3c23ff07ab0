"""Brings articles to KeyCRM: products are made one by one, prices and stocks of all go in one request each.

An article is an offer of KeyCRM, a product's variant; one that we make is the only variant of its product. It is known
again by its sku.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.errors import ConfigError, ConnectorError, NotFoundError, PermanentError, RetryError
from connectors.keycrm.push_article_bodies import (
    ARCHIVED_BY_HAND,
    COMMA_IN_SKU,
    NO_WAREHOUSE,
    SHARED,
    Row,
    Work,
    changed_price,
    changed_product,
    changed_stock,
    filled_in,
    is_archived_wrongly,
    new_product,
    only_warehouse,
    read_stocks,
    refused_rows,
)
from connectors.keycrm.push_calls import Calls, answered, needed_id
from connectors.protocol import Change, PushResult

MOST = 50
"""Articles in one push."""


async def push_articles(calls: Calls, changes: Sequence[Change]) -> list[PushResult | ConnectorError]:
    """Each article's result, or its own error. Raises ConfigError."""
    works = [Work(change) for change in changes]
    for step in (_identify, _make, _read_offers, _change_products, _change_prices, _change_stocks):
        await step(calls, [work for work in works if work.goes_on])
    return [work.error or _result(work) for work in works]


def _result(work: Work) -> PushResult:
    return PushResult(
        str(work.offer_id),
        ignored=work.ignored,
        was_there=work.was_there,
        as_crm=filled_in(work),
        requests=work.writes,
    )


async def _identify(calls: Calls, works: Sequence[Work]) -> None:
    """The offer of each: as it is linked, else by its sku."""
    new: dict[str, Work] = {}
    for work in works:
        if work.change.crm_id is not None:
            try:
                work.offer_id = int(needed_id(work.change.crm_id, "article"))
            except NotFoundError as error:
                work.error = error
        elif "," in work.change.data["sku"]:
            work.error = PermanentError(COMMA_IN_SKU)
        else:
            new[work.change.data["sku"]] = work
    if not new:
        return
    try:
        rows = await calls.rows("/offers", {"sku": ",".join(new)}, "product")
    except ConnectorError as error:
        _fail(new.values(), error)
        return
    for row in sorted(rows, key=lambda row: (bool(row.get("is_archived")), row.get("id") or 0)):
        found = new.get(str(row.get("sku")))
        if found is not None and found.offer is None and isinstance(row.get("id"), int):
            found.offer_id, found.offer, found.was_there = row["id"], row, True


async def _make(calls: Calls, works: Sequence[Work]) -> None:
    """Products for what is not there; then their offers' ids, which no answer tells."""
    made: dict[int, Work] = {}
    new = [work for work in works if work.offer_id is None]
    for number, work in enumerate(new):
        try:
            work.writes += 1
            product = answered(await calls.write("POST", "/products", new_product(work.change)), "POST /products")
            made[product["id"]] = work
        except RetryError as error:
            work.error = error
            if error.status is None or error.status == 429:
                _fail(new[number + 1 :], error)  # the others would fare no better
                break
        except PermanentError as error:
            work.error = error
    if not made:
        return
    try:
        rows = await calls.rows("/offers", {"product_id": ",".join(map(str, made))}, "product")
    except ConnectorError as error:
        _fail(made.values(), error)
        return
    for row in rows:
        found = made.get(row["product_id"]) if isinstance(row.get("product_id"), int) else None
        if found is not None and isinstance(row.get("id"), int):
            found.offer_id, found.offer, found.is_made = row["id"], row, True
    _fail(
        [work for work in made.values() if work.offer_id is None],
        RetryError("KeyCRM has made the product and does not show its offer yet"),
    )


async def _read_offers(calls: Calls, works: Sequence[Work]) -> None:
    """As KeyCRM has them now, where what is to be written depends on it."""
    needed = {work.offer_id: work for work in works if work.offer is None and work.needs_offer}
    if not needed:
        return
    try:
        rows = await calls.rows("/offers", {"id": ",".join(map(str, needed))}, "product")
    except ConnectorError as error:
        _fail(needed.values(), error)
        return
    by_id = {row.get("id"): row for row in rows}
    for offer_id, work in needed.items():
        work.offer = by_id.get(offer_id)
        if work.offer is None:
            work.error = NotFoundError(f"offers: KeyCRM has no {offer_id}", status=404)


async def _change_products(calls: Calls, works: Sequence[Work]) -> None:
    """Names, descriptions, skus and barcodes: of products that are no more than this one article."""
    for work in works:
        if is_archived_wrongly(work):
            work.ignored["is_active"] = ARCHIVED_BY_HAND
    concerned = [(work, body) for work in works if not work.is_made and (body := changed_product(work))]
    if not concerned:
        return
    products = sorted({_product_id(work) for work, _ in concerned})
    variants: dict[Any, int] = {}
    try:
        for row in await calls.rows("/offers", {"product_id": ",".join(map(str, products))}):
            variants[row.get("product_id")] = variants.get(row.get("product_id"), 0) + 1
    except ConnectorError as error:
        _fail([work for work, _ in concerned], error)
        return
    for work, body in concerned:
        product_id = _product_id(work)
        if variants.get(product_id, 1) > 1:
            work.ignored |= {name: SHARED for name in body if name in work.change.fields}
            continue
        try:
            work.writes += 1
            await calls.write("PUT", f"/products/{product_id}", body)
        except (RetryError, PermanentError) as error:
            work.error = error


async def _change_prices(calls: Calls, works: Sequence[Work]) -> None:
    rows = [(work, row) for work in works if not work.is_made and (row := changed_price(work))]
    await _put(calls, "/offers", "offers", {}, rows)


async def _change_stocks(calls: Calls, works: Sequence[Work]) -> None:
    concerned = [
        work for work in works if "stock" in work.change.fields and not (work.is_made and not work.change.data["stock"])
    ]
    if not concerned:
        return
    ids = ",".join(str(work.offer_id) for work in concerned)
    try:
        known = read_stocks(await calls.rows("/offers/stocks", {"offers_id": ids, "details": True}))
        for work in concerned:
            if work.offer_id not in known:
                work.error = NotFoundError(f"stocks: KeyCRM has no {work.offer_id}", status=404)
        differing = [work for work in concerned if work.goes_on and known[_id(work)].total != work.change.data["stock"]]
        warehouse_id = calls.options.get("warehouse_id")
        if differing and warehouse_id is None:
            # One page is enough to see that there are several; the stocks that are written are among what counts.
            page = await calls.rows("/offers/stocks", {"details": True}, most_pages=1)
            warehouse_id = only_warehouse([*read_stocks(page).values(), *(known[_id(work)] for work in differing)])
    except ConnectorError as error:
        _fail(concerned, error)
        return
    if warehouse_id is None:
        for work in differing:
            work.ignored["stock"] = NO_WAREHOUSE
        return
    rows = [(work, row) for work in differing if (row := changed_stock(work, known[_id(work)], warehouse_id))]
    await _put(calls, "/offers/stocks", "stocks", {"warehouse_id": warehouse_id}, rows)


async def _put(calls: Calls, path: str, name: str, rest: Row, rows: Sequence[tuple[Work, Row]]) -> None:
    """All rows at once. KeyCRM takes all or none: those that it names as wrong fail, and the others go again. Where
    something else is wrong all fail; where it does not say what, each goes alone."""
    if not rows:
        return
    for work, _ in rows:
        work.writes += 1
    try:
        await calls.write("PUT", path, {**rest, name: [row for _, row in rows]})
    except RetryError as error:
        _fail([work for work, _ in rows], error)
    except PermanentError as error:
        wrong = refused_rows(error, name, len(rows))
        if wrong is None and len(rows) > 1:
            for row in rows:
                await _put(calls, path, name, rest, [row])
            return
        failed = wrong or range(len(rows))
        _fail([rows[number][0] for number in failed], error)
        await _put(calls, path, name, rest, [row for number, row in enumerate(rows) if number not in failed])


def _fail(works: Any, error: ConnectorError) -> None:
    if isinstance(error, ConfigError):
        raise error
    for work in works:
        work.error = error


def _product_id(work: Work) -> int:
    found = (work.offer or {}).get("product_id")
    return found if isinstance(found, int) else 0


def _id(work: Work) -> int:
    assert work.offer_id is not None
    return work.offer_id
