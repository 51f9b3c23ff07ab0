"""Requests of 1C's standard OData interface (version 3), and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from urllib.parse import quote, urlsplit

from connectors.errors import ConfigError, ConnectorError, NotFoundError, PermanentError, RetryError
from connectors.http import decode_json
from connectors.onec.access import Access
from connectors.onec.mapping import EMPTY_REFERENCE, ITEM_NAMES
from connectors.onec.settings import Settings

ROOT = "/odata/standard.odata"
KEYS_AT_ONCE = 20
"""Web servers of Windows take 2,048 characters of a query by default."""
_MOST_NAMES = 20_000
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def guid(value: str) -> str:
    return f"guid'{value}'"


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def is_guid(value: object) -> TypeGuard[str]:
    return type(value) is str and _GUID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Documents:
    """The configured kind of document."""

    access: Access
    settings: Settings
    _names: dict[str, str | None] = field(default_factory=dict)
    """Of items, by key, as far as they were asked for; None: the base has no such item."""

    async def rows(
        self, conditions: Iterable[str], *, skip: int = 0, top: int, select: str | None = None
    ) -> list[dict[str, Any]]:
        """Documents that satisfy all conditions, by date and key, as they come. Raises ConnectorError."""
        settings = self.settings
        options: dict[str, object] = {
            "$format": "json",
            "$filter": " and ".join(conditions),
            "$orderby": ",".join(dict.fromkeys((f"{settings.date} asc", f"{settings.id} asc"))),
            "$top": top,
            "$skip": skip or "",
            "$select": select or "",
            "$expand": "" if select else ",".join(settings.expanded),
        }
        return await self._collection(settings.document, options, "options.document")

    async def newest(self) -> list[dict[str, Any]]:
        """Any one document, asked for without naming a field. Raises ConnectorError."""
        return await self._collection(self.settings.document, {"$format": "json", "$top": 1}, "options.document")

    def identity(self, crm_id: str) -> str:
        """The condition that finds one document. Raises NotFoundError where no document can have that id."""
        name = self.settings.id
        if not name.endswith("_Key"):
            return f"{name} eq {text(crm_id)}"
        if not is_guid(crm_id):
            raise NotFoundError("transactions: an id of a 1C document is a GUID")
        return f"{name} eq {guid(crm_id)}"

    async def with_item_names(self, documents: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
        """The documents, each with the names of its items beside it, by a second query. Raises ConnectorError."""
        settings = self.settings
        if not settings.has_item_references:
            return documents
        of_document = [list(self._item_keys(document)) for document in documents]
        await self._learn({key: None for keys in of_document for key in keys if key not in self._names})
        named = []
        for document, keys in zip(documents, of_document, strict=True):
            names = {key: name for key in keys if (name := self._names.get(key)) is not None}
            named.append({**document, ITEM_NAMES: names} if names else document)
        return named

    def _item_keys(self, document: Mapping[str, Any]) -> Iterable[str]:
        lines = document.get(self.settings.items or "")
        for line in lines if type(lines) is list else ():
            key = line.get(self.settings.item) if type(line) is dict else None
            if is_guid(key) and key != EMPTY_REFERENCE:
                yield key

    async def _learn(self, keys: Mapping[str, None]) -> None:
        unknown = list(keys)
        if len(self._names) + len(unknown) > _MOST_NAMES:
            self._names.clear()
        for start in range(0, len(unknown), KEYS_AT_ONCE):
            part = unknown[start : start + KEYS_AT_ONCE]
            options = {
                "$format": "json",
                "$filter": " or ".join(f"Ref_Key eq {guid(key)}" for key in part),
                "$select": "Ref_Key,Description",
            }
            items = await self._collection(self.settings.catalog, options, "options.catalog")
            self._names.update(dict.fromkeys(part))
            for item in items:
                if type(item.get("Description")) is str:
                    self._names[str(item.get("Ref_Key"))] = item["Description"]

    async def _collection(self, entity: str, options: Mapping[str, object], setting: str) -> list[dict[str, Any]]:
        if self.settings.allowed_only:
            options = {**options, "allowedOnly": "true"}
        query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in options.items() if value != "")
        path = f"{_root(self.access.account.base_url)}/{entity}"
        try:
            answer = await self.access.get(f"{path}?{query}", decode=decode_json, inspect=_explain)
        except NotFoundError as error:
            raise _absent(entity, setting, error) from None
        found = answer.value.get("value") if isinstance(answer.value, dict) else None
        if not isinstance(found, list):
            raise RetryError(f"GET {path}: the answer is not OData's, it has no list `value`: check base_url")
        return [row if type(row) is dict else {} for row in found]


def _root(base_url: str) -> str:
    """What the address of the base lacks to be that of its OData."""
    return "" if urlsplit(base_url).path.rstrip("/").endswith(ROOT) else ROOT


def _explain(status: int, _: Mapping[str, str], value: Any) -> ConnectorError | None:
    """What 1C means, where the status alone does not say it. `code` is a text in JSON."""
    error = value.get("odata.error") if isinstance(value, dict) else None
    if not isinstance(error, dict) or status < 400:
        return None
    code, said = str(error.get("code")), _said(error)
    if code == "20" or (status == 403 and code != "8"):
        return ConfigError(
            f"the user may not read all of it ({said}); give it the right, or set options.allowed_only to do without "
            "the records it may not see"
        )
    if code == "8":
        return NotFoundError(f"there is no such OData object ({said})")
    if code == "-1":  # an error in the base's own code: people have to mend it
        return PermanentError(f"the base fails: {said}")
    if status in (400, 404, 501) and code in ("0", "1", "2", "4", "6", "10", "14"):
        return ConfigError(f"the base does not understand the question ({said}); check options.fields")
    return None


def _said(error: Mapping[str, Any]) -> str:
    message = error.get("message")
    said = message.get("value") if isinstance(message, dict) else message
    return " ".join(str(said).split())[:200] if said else f"code {error.get('code')}"


def _absent(entity: str, setting: str, error: NotFoundError) -> ConfigError:
    if "OData object" in error.message:
        return ConfigError(
            f"the base's OData has no {entity}; check {setting}, and let its administrator add it to the standard "
            "OData interface",
            status=error.status,
        )
    return ConfigError(
        f"there is no OData of a 1C base at this base_url, or it has no {entity}; check both", status=error.status
    )
