"""The options of a 1C project: which dialect its base speaks, and what the things of interest are called there.

Every base is configured by its owner's developers, so that names of documents, fields and tabular parts are settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from connectors.errors import ConfigError
from connectors.protocol import Account, MappingContext
from connectors.values.times import zone

Dialect = Literal["service", "odata"]
DIALECTS: tuple[Dialect, ...] = ("service", "odata")
OPTIONS: Mapping[str, type] = {
    "dialect": str,
    "document": str,
    "fields": dict,
    "catalog": str,
    "timezone": str,
    "look_back_days": int,
    "allowed_only": bool,
    "scope": str,
}
_ODATA_ONLY = ("document", "catalog", "allowed_only")
_DEFAULTS: Mapping[Dialect, Mapping[str, str]] = {
    "service": {
        "id": "id",
        "date": "date",
        "phone": "customer_phone",
        "amount": "amount",
        "items": "items",
        "item": "name",
    },
    "odata": {"id": "Ref_Key", "date": "Date", "item": "Номенклатура_Key"},
}
_FIELD_NAMES = ("id", "date", "phone", "amount", "items", "item", "customer")
_IDENTIFIER = re.compile(r"[^\W\d]\w{0,127}")
_LONGEST = 100
_MOST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Settings:
    """Options with their defaults. A field that is None is not read."""

    dialect: Dialect
    id: str
    date: str
    amount: str
    phone: str | None
    """OData: may lead through references, as `Контрагент.Телефон`."""
    items: str | None
    """The list of lines; in OData the tabular part."""
    item: str
    """Of a line: in OData the reference to its item, or a text; in the service its name."""
    customer: str | None
    document: str = ""
    catalog: str = "Catalog_Номенклатура"
    timezone: str | None = None
    look_back_days: int | None = None
    allowed_only: bool = False
    scope: str | None = None

    @property
    def expanded(self) -> tuple[str, ...]:
        """References whose objects come along with each document."""
        return () if self.phone is None or "." not in self.phone else (self.phone.partition(".")[0],)

    @property
    def has_item_references(self) -> bool:
        """Whether lines have keys instead of names."""
        return self.items is not None and self.item.endswith("_Key")


def read(options: Mapping[str, Any]) -> Settings:
    """Of options that `check` has nothing against."""
    dialect = dialect_of(options)
    fields = {**_DEFAULTS[dialect], **(options.get("fields") or {})}
    given = {name: options[name] for name in OPTIONS if name not in ("dialect", "fields") and name in options}
    return Settings(
        dialect=dialect,
        id=fields["id"],
        date=fields["date"],
        amount=fields.get("amount", ""),
        phone=fields.get("phone"),
        items=fields.get("items"),
        item=fields["item"],
        customer=fields.get("customer"),
        **given,
    )


def of_account(account: Account) -> Settings:
    """Raises ConfigError that names the first wrong option."""
    for path, message in check(account.options):
        raise ConfigError(f"options.{path}: {message}")
    return read(account.options)


def zone_name(settings: Settings, context: MappingContext) -> str:
    """The zone of the base's times: of the option, else of the project."""
    return settings.timezone or context.timezone_of()


def dialect_of(options: Mapping[str, Any]) -> Dialect:
    return "odata" if options.get("dialect") == "odata" else "service"


def check(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with options whose types are right: (path, one sentence)."""
    return list(_problems(options))


def _problems(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    dialect = options.get("dialect", "service")
    if dialect not in DIALECTS:
        yield "dialect", f"expected service or odata, got {str(dialect)[:40]!r}"
        return
    yield from _field_problems(dialect, options.get("fields") or {})
    if dialect == "odata":
        yield from _entity_problem(options, "document", "Document_", "Document_РеализацияТоваровУслуг")
        if "catalog" in options:
            yield from _entity_problem(options, "catalog", "Catalog_", "Catalog_Номенклатура")
    else:
        for name in _ODATA_ONLY:
            if name in options:
                yield name, "it is for dialect odata: set dialect to odata, or take it away"
    if "timezone" in options:
        try:
            zone(options["timezone"])
        except ValueError:
            yield "timezone", "expected an IANA time zone such as Europe/Moscow"
    days = options.get("look_back_days", 1)
    if not 1 <= days <= _MOST_DAYS:
        yield "look_back_days", f"expected 1 to {_MOST_DAYS}, got {days}"


def _entity_problem(options: Mapping[str, Any], name: str, prefix: str, example: str) -> Iterator[tuple[str, str]]:
    entity = options.get(name)
    if entity is None:
        yield name, f"dialect odata needs it: the document that is a sale, such as {example}"
    elif not entity.startswith(prefix) or not _IDENTIFIER.fullmatch(entity):
        yield name, f"expected a name such as {example}, as the base's list of OData objects has it"


def _field_problems(dialect: Dialect, fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if dialect == "odata" and "amount" not in fields:
        yield "fields.amount", "dialect odata needs it: the document's field with the sum, such as СуммаДокумента"
    for name, value in fields.items():
        path = f"fields.{name}"
        if name not in _FIELD_NAMES:
            yield path, f"there is no such field; expected one of {', '.join(_FIELD_NAMES)}"
        elif not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
            yield path, f"expected the name of a field of up to {_LONGEST} characters"
        elif dialect == "odata":
            parts = value.split(".")
            if not all(_IDENTIFIER.fullmatch(part) for part in parts):
                yield path, "expected a name as the base's OData has it: letters, digits and _"
            elif len(parts) > 1 and name != "phone":
                yield path, "only phone may lead through a reference, as Контрагент.Телефон"
