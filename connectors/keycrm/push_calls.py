"""Calls that pushing needs: writes, which are never repeated here and are counted, and look-ups that go before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.errors import ConfigError, ConnectorError, NotFoundError, PermanentError, RetryError
from connectors.http import HttpSession, decode_json
from connectors.keycrm.client import BASE_URL, headers
from connectors.keycrm.paging import MOST_PER_PAGE
from connectors.keycrm.push_words import is_id, order_source
from connectors.protocol import Account

Row = Mapping[str, Any]
MOST_PAGES = 20
"""Of one look-up."""
ORDER_INCLUDE = "buyer,products.offer,payments,shipping"


@dataclass(slots=True)
class Calls:
    """The calls of one push. Raises ConnectorError as `HttpSession.request` does."""

    http: HttpSession
    account: Account
    writes: int = field(default=0, init=False)
    """Requests so far that were to change something."""

    @property
    def options(self) -> Mapping[str, Any]:
        return self.account.options

    async def write(self, method: str, path: str, body: Row) -> Any:
        """The decoded answer. What is not there raises NotFoundError."""
        self.writes += 1
        return await self._ask(method, path, json=body, idempotent=False)

    async def row(self, path: str, crm_id: str, include: str = "") -> Row:
        """One object. Raises NotFoundError."""
        answer = await self._ask("GET", f"{path}/{crm_id}", params={"include": include} if include else {})
        return answered(answer, f"GET {path}", crm_id)

    async def rows(self, path: str, filters: Row, include: str = "", *, most_pages: int = MOST_PAGES) -> list[Row]:
        """All rows of a list with these filters; an unknown filter is ignored by KeyCRM, so compare what comes."""
        params: dict[str, object] = {f"filter[{name}]": value for name, value in filters.items()}
        params |= {"limit": MOST_PER_PAGE} | ({"include": include} if include else {})
        found: list[Row] = []
        for page in range(1, most_pages + 1):
            answer = await self._ask("GET", path, params={**params, "page": page})
            rows = answer.get("data") if isinstance(answer, dict) else None
            if not isinstance(rows, list):
                raise RetryError(f"GET {path}: KeyCRM answers with something that is no list")
            found += [row for row in rows if isinstance(row, dict)]
            if len(rows) < MOST_PER_PAGE or len(found) == answer.get("total"):
                break
        return found

    async def order_with_key(self, key: str) -> Row | None:
        """The order of the project's source that was created with this key; of several the first. Raises
        PermanentError where KeyCRM does not tell."""
        source_id = order_source(self.options)
        rows = await self.rows("/order", {"source_uuid": key, "source_id": source_id}, ORDER_INCLUDE, most_pages=1)
        if any(row.get("source_uuid") != key for row in rows):
            raise PermanentError(
                "KeyCRM does not look orders up by source_uuid, so that nobody can tell whether this one is there "
                "already: look for it in KeyCRM before it is sent again"
            )
        found = [row for row in rows if str(row.get("source_id")) == str(source_id) and isinstance(row.get("id"), int)]
        return min(found, key=lambda row: int(row["id"]), default=None)

    async def _ask(self, method: str, path: str, **asked: Any) -> Any:
        answer = await self.http.request(
            method,
            path,
            headers=headers(self.account),
            decode=decode_json,
            inspect=_no_api,
            is_write=method != "GET",
            **asked,
        )
        return answer.value


def answered(answer: Any, asked: str, crm_id: str | None = None) -> Row:
    """The object of an answer: that of `crm_id`, or a new one. Raises RetryError."""
    if not isinstance(answer, dict) or not isinstance(answer.get("id"), int):
        raise RetryError(f"{asked}: KeyCRM's answer does not tell the object")
    if crm_id is not None and str(answer["id"]) != crm_id:
        raise RetryError(f"{asked}: KeyCRM answers for {crm_id} with something else")
    return answer


def needed_id(value: str, kind: str) -> str:
    """An id that may stand in a path. Raises NotFoundError: there is no object with another one."""
    if not is_id(value):
        raise NotFoundError(
            f"An id of KeyCRM is a whole number, and this {kind}'s is not: check what it is linked with"
        )
    return value


def _no_api(status: int, _: Mapping[str, str], body: Any) -> ConnectorError | None:
    """A 404 that is a page of the web server, and no word of KeyCRM about an object, means a wrong address."""
    if status != 404 or isinstance(body, dict):
        return None
    return ConfigError(f"There is no KeyCRM API at this base_url; it should be {BASE_URL}")
