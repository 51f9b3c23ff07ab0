"""The gate that health data passes before anything stores, queues or logs it.

A row of the vendor goes in; an allow-list comes out: two salted hashes, the clinic's id, times, the status and one
amount. Each value is read by its own form, so that no free text gets through under a harmless name; what has another
form is dropped and noted by its field and kind, never by its value.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from connectors.errors import ConfigError
from connectors.http import encode_json
from connectors.protocol import RawRecord
from connectors.values.fields import kind
from connectors.values.money import parse_money, parse_quantity

SHORTEST_SALT = 32
"""Bytes."""
SALT_ADVICE = (
    f"needs at least {SHORTEST_SALT} random bytes, as patients' numbers are small and a short salt can be guessed: "
    "make one with `openssl rand -hex 32`, and never change it"
)
STATUSES = ("upcoming", "completed", "refused")
VISITS, PLACES = "visits", "places"

_TIME = re.compile(r"\d{2}\.\d{2}\.\d{4}(?: \d{2}:\d{2}(?::\d{2})?)?|\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2})?)?")
_NUMBER = re.compile(r"[0-9]{1,18}")
_ZONE = re.compile(r"[A-Za-z_]{1,32}(?:/[A-Za-z_+-]{1,32}){0,2}")
_ID_LENGTH = 100


def check_credentials(credentials: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """What is wrong with credentials that are given: (name, one sentence without the value)."""
    salt = credentials.get("salt")
    return () if salt is None or _is_long_enough(salt) else (("salt", SALT_ADVICE),)


class Hasher:
    """Turns the vendor's ids into the names by which they are known here. Raises ConfigError for a salt too short."""

    def __init__(self, salt: str | None) -> None:
        if not _is_long_enough(salt or ""):
            raise ConfigError(f"the credential salt {SALT_ADVICE}")
        self._salt = salt or ""

    def patient(self, patient_id: str) -> str:
        """sha256(patient_id + salt) in hex: the requirement's own formula."""
        return self._hash(patient_id)

    def visit(self, visit_id: str) -> str:
        """The external id of a visit. The word keeps visit 777 and patient 777 apart."""
        return self._hash(f"visit:{visit_id}")

    @property
    def fingerprint(self) -> str:
        """Tells one salt from another, and nothing else of it."""
        return self._hash("salt:")[:16]

    def _hash(self, text: str) -> str:
        return hashlib.sha256((text + self._salt).encode("utf-8")).hexdigest()


@dataclass(slots=True)
class Rows:
    """What passed the gate of one answer or webhook."""

    records: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Rows that are not even records, one sentence each."""


def clean_rows(data: Any, stream: str, hasher: Hasher) -> Rows:
    """The allow-listed rows of `data`: a list, one object, an object of objects, or nothing.

    Raises ValueError, with a fixed sentence, if it is none of these.
    """
    rows = Rows()
    seen: set[str] = set()
    for index, item in enumerate(_listed(data), start=1):
        cleaned = _clean_place(item) if stream == PLACES else _clean_visit(item, hasher)
        if cleaned is None:
            rows.problems.append(f"{stream}: row {index} of an answer has no id")
        elif cleaned["id"] not in seen:  # a row that is told twice is one record
            seen.add(cleaned["id"])
            rows.records.append(cleaned)
    return rows


def to_record(stream: str, cleaned: Mapping[str, Any]) -> RawRecord:
    """The record of an allow-listed row, whose text is all that is ever stored of it."""
    body = encode_json(dict(cleaned))
    return RawRecord(stream, cleaned["id"], body.decode(), hashlib.sha256(body).digest())


def hash_visit_ids(data: Any, hasher: Hasher) -> list[str]:
    """The hashed ids of a webhook's rows, in order, each once. Raises ValueError as `clean_rows` does."""
    found = (_id(item.get("id")) for item in _listed(data) if type(item) is dict)
    return list(dict.fromkeys(hasher.visit(visit_id) for visit_id in found if visit_id is not None))


def _clean_visit(row: Any, hasher: Hasher) -> dict[str, Any] | None:
    if type(row) is not dict or (visit_id := _id(row.get("id"))) is None:
        return None
    cleaner = _Cleaner(row)
    patient_id = cleaner.take("patient_id", "an id", _id)
    amount = cleaner.amount()
    cleaned = {
        "id": hasher.visit(visit_id),
        "patient": None if patient_id is None else hasher.patient(patient_id),
        "clinic_id": cleaner.take("clinic_id", "a number", _number),
        "time_start": cleaner.take("time_start", "a time", _time),
        "date_updated": cleaner.take("date_updated", "a time", _time),
        "status": cleaner.take("status", "upcoming, completed or refused", _status),
        "status_id": cleaner.take("status_id", "a number", _number),
        "amount": None if amount is None else str(amount),
        "faults": cleaner.faults,
    }
    return {name: value for name, value in cleaned.items() if value not in (None, [])}


def _clean_place(row: Any) -> dict[str, Any] | None:
    """A clinic's title may be its doctor's name: it is left out as well."""
    if type(row) is not dict or (clinic_id := _number(row.get("id"))) is None:
        return None
    cleaner = _Cleaner(row)
    cleaned = {
        "id": clinic_id,
        "timezone": cleaner.take("timezone", "a time zone", _zone),
        "faults": cleaner.faults,
    }
    return {name: value for name, value in cleaned.items() if value not in (None, [])}


class _Cleaner:
    def __init__(self, row: dict[str, Any]) -> None:
        self._row = row
        self.faults: list[str] = []

    def take(self, name: str, expected: str, read: Any) -> str | None:
        value = self._row.get(name)
        if value is None or value == "":
            return None
        found: str | None = read(value)
        if found is None:
            self._fault(name, expected, value)
        return found

    def amount(self) -> Decimal | None:
        """sum_value, else the sum of the services; None if there is neither, or what there is cannot be read."""
        value = self._row.get("sum_value")
        if value is not None and value != "":
            found = _money(value)
            if found is None:
                self._fault("sum_value", "an amount", value)
            return found
        services = self._row.get("services")
        if services is None or services in ("", [], {}):
            return None
        try:
            listed = _listed(services)
        except ValueError:
            self._fault("services", "a list", services)
            return None
        sums = [self._service(index, service) for index, service in enumerate(listed)]
        # Half a sum is none.
        return (
            None if any(found is None for found in sums) else sum((found for found in sums if found), Decimal("0.00"))
        )

    def _service(self, index: int, service: Any) -> Decimal | None:
        at = f"services[{index}]"
        if type(service) is not dict:
            self._fault(at, "an object", service)
            return None
        name = "price" if service.get("value") in (None, "") else "value"
        found = _money(service.get(name))
        if found is None:
            self._fault(f"{at}.{name}", "an amount", service.get(name))
            return None
        if name == "value":
            return found
        count = service.get("count")
        try:
            return parse_money(found * (Decimal(1) if count in (None, "") else parse_quantity(count)))
        except ValueError:
            self._fault(f"{at}.count", "a number", count)
            return None

    def _fault(self, name: str, expected: str, value: object) -> None:
        self.faults.append(f"{name}: expected {expected}, got {kind(value)}")


def _listed(data: Any) -> list[Any]:
    if data is None or data == "":
        return []
    if type(data) is list:
        return data
    if type(data) is dict:
        if "id" in data:  # one match comes without its list
            return [data]
        if all(type(item) is dict for item in data.values()):  # PHP writes a list that was filtered as an object
            return list(data.values())
    raise ValueError("the data are no list")


def _id(value: Any) -> str | None:
    """Whole numbers and text alike: one answer has 777, another "777"."""
    if type(value) is int:
        return str(value) if value.bit_length() < 200 else None
    if type(value) is str:
        cleaned = value.strip()
        return cleaned if 0 < len(cleaned) <= _ID_LENGTH and cleaned.isprintable() else None
    return None


def _number(value: Any) -> str | None:
    found = _id(value)
    return found if found is not None and _NUMBER.fullmatch(found) else None


def _time(value: Any) -> str | None:
    cleaned = value.strip() if type(value) is str else ""
    return cleaned if _TIME.fullmatch(cleaned) else None


def _status(value: Any) -> Literal["upcoming", "completed", "refused"] | None:
    return value if type(value) is str and value in STATUSES else None  # type: ignore[return-value]


def _zone(value: Any) -> str | None:
    return value if type(value) is str and _ZONE.fullmatch(value) else None


def _money(value: Any) -> Decimal | None:
    """A single dot or comma is the decimal mark, as in `2500,5`."""
    mark: Literal[".", ","] | None = None
    if type(value) is str and ("," in value) != ("." in value):
        mark = "," if "," in value else "."
    try:
        return parse_money(value, mark)
    except ValueError:
        return None


def _is_long_enough(salt: str) -> bool:
    return len(salt.encode("utf-8", "surrogatepass")) >= SHORTEST_SALT
