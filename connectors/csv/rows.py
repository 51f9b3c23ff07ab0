"""One row of a file: whether it is a sale, what identifies it, what is stored of it and what that becomes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec
import phonenumbers

from connectors.errors import SkipRowError
from connectors.protocol import MappingContext, RawRecord
from connectors.records import Batch, Problem, Reversal, Transaction
from connectors.values.money import parse_money
from connectors.values.phones import parse_phone
from connectors.values.times import parse_time, zone

STREAM = "rows"
LONGEST_DESCRIPTION = 2000
YEARS = range(1970, 2100)

_ELSEWHERE = timezone(timedelta(hours=1))
_TIME_SHAPE = re.compile(
    r"(?:(?P<iso>\d{4}-\d\d-\d\d)|(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4}))"
    r"(?:(?:[ T]|, )\s*(?P<hour>\d{1,2})(?P<rest>:\d\d(?::\d\d(?:\.\d{1,6})?)?)\s*(?P<offset>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_ROUNDED_PHONE = re.compile(r"\d+(?:[.,]\d+)?E\+?\d+", re.IGNORECASE)
_FLOAT_PHONE = re.compile(r"(\d{9,15})[.,]0+")


@dataclass(frozen=True, slots=True)
class Cells:
    """A row's text as it is in the file, without spaces around it. An empty text: the cell is empty or not there."""

    date: str
    customer_phone: str
    amount: str
    description: str = ""

    @property
    def is_blank(self) -> bool:
        return not (self.date or self.customer_phone or self.amount or self.description)


@dataclass(frozen=True, slots=True)
class Sale:
    occurred_at: datetime
    date: str
    """As it identifies the sale: YYYY-MM-DD, with THH:MM:SS where there is a time of day."""
    phone: str
    amount: Decimal
    description: str | None


class InvalidRowError(ValueError):
    """The message says everything that is wrong with the row, without repeating what it holds."""


def read_row(context: MappingContext, cells: Cells) -> Sale:
    """The sale that a row tells of. Raises InvalidRowError."""
    problems: list[str] = []
    moment: tuple[datetime, str] | None = None
    phone: str | None = None
    amount: Decimal | None = None
    try:
        moment = _read_date(cells.date, zone(context.timezone_of()))
    except ValueError as error:
        problems.append(str(error))
    try:
        phone = _read_phone(cells.customer_phone, region_of(context))
    except ValueError as error:
        problems.append(str(error))
    try:
        amount = _read_amount(cells.amount)
    except ValueError as error:
        problems.append(str(error))
    if len(cells.description) > LONGEST_DESCRIPTION:
        problems.append(f"invalid description, expected at most {LONGEST_DESCRIPTION} characters")
    if problems or moment is None or phone is None or amount is None:
        raise InvalidRowError("; ".join(problems))
    return Sale(moment[0], moment[1], phone, amount, _unquoted(cells.description) or None)


def external_id(project_id: str, sale: Sale) -> str:
    """SHA256(date + phone + amount + project) in hexadecimal: of `2026-01-15+790012345671500.00shop`."""
    return hashlib.sha256(f"{sale.date}{sale.phone}{sale.amount:.2f}{project_id}".encode()).hexdigest()


def record_of(project_id: str, cells: Cells, sale: Sale) -> RawRecord:
    """The row as it is stored. The same sale written in another way is the same content."""
    content = msgspec.json.encode([sale.date, sale.phone, f"{sale.amount:.2f}", sale.description])
    body = msgspec.json.encode(asdict(cells)).decode()
    return RawRecord(STREAM, external_id(project_id, sale), body, hashlib.sha256(content).digest())


def map_record(context: MappingContext, crm_id: str, body: str) -> Batch:
    """The sale of a stored row. Raises SkipRowError if it is no row."""
    try:
        stored = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        raise SkipRowError("The stored row is no JSON object.")
    try:
        sale = read_row(context, Cells(*(_text(stored, name) for name in Cells.__dataclass_fields__)))
    except InvalidRowError as error:
        return Batch(problems=[Problem(f"The row is no sale any more: {error}", STREAM, crm_id)])
    transaction = Transaction(
        external_id=crm_id,
        occurred_at=sale.occurred_at,
        amount=sale.amount,
        currency=context.options.get("currency") or context.currency_of(),
        phone_e164=sale.phone,
        description=sale.description,
    )
    return Batch(transactions=[transaction])


def map_deletion(crm_id: str) -> Batch:
    return Batch(reversals=[Reversal(crm_id)])


def region_of(context: MappingContext) -> str | None:
    """Of phones without a country code: the option, else the project's region."""
    return context.options.get("phone_region") or context.region


@lru_cache(maxsize=64)
def expected_phone(region: str | None) -> str:
    """What phones of a region look like: `+7XXXXXXXXXX`."""
    example = None
    if region is not None:
        example = phonenumbers.example_number_for_type(region.upper(), phonenumbers.PhoneNumberType.MOBILE)
    if example is None:
        return "+ and the country code"
    return f"+{example.country_code}{'X' * len(str(example.national_number))}"


@lru_cache(maxsize=4096)
def _read_date(text: str, naive_zone: tzinfo) -> tuple[datetime, str]:
    """The moment in UTC, and the date as it identifies the sale: a time with an offset in UTC, others as written."""
    expected = "expected YYYY-MM-DD or DD.MM.YYYY, with or without a time"
    text = _unquoted(text)
    if not text:
        raise ValueError(f"missing date, {expected}")
    shape = _TIME_SHAPE.fullmatch(text)
    if shape is None:
        raise ValueError(f"invalid date, {expected}")
    written = shape["iso"] or f"{shape['year']}-{shape['month']:0>2}-{shape['day']:0>2}"
    if shape["hour"]:
        written += f"T{shape['hour']:0>2}{shape['rest']}{shape['offset'] or ''}".upper()
    try:
        moment, as_utc = parse_time(written, naive_zone), parse_time(written, UTC)
    except ValueError:
        raise ValueError(f"invalid date, {expected}") from None
    if as_utc.year not in YEARS:
        raise ValueError(f"invalid date, expected a year from {YEARS[0]} to {YEARS[-1]}")
    local = as_utc.replace(tzinfo=None)
    key = local.date().isoformat() if local.time() == datetime.min.time() else local.isoformat()
    has_offset = parse_time(written, _ELSEWHERE) == as_utc
    return moment, f"{local.isoformat()}Z" if has_offset else key


def _read_phone(text: str, region: str | None) -> str:
    expected = expected_phone(region)
    text = _unquoted(text)
    if not text:
        raise ValueError(f"missing phone, expected {expected}")
    if _ROUNDED_PHONE.fullmatch(text):
        raise ValueError(
            f"invalid phone, expected {expected}: a spreadsheet has rounded it, make the column text there"
        )
    if as_float := _FLOAT_PHONE.fullmatch(text):
        text = as_float[1]
    phone = parse_phone(text, region)
    if phone is None:
        raise ValueError(f"invalid phone, expected {expected}")
    return phone


@lru_cache(maxsize=4096)
def _read_amount(text: str) -> Decimal:
    text = _unquoted(text)
    if not text:
        raise ValueError("missing amount, expected a number such as 1500.50")
    try:
        amount = parse_money(text)
    except ValueError as error:
        if str(error).startswith("ambiguous"):
            raise ValueError("ambiguous amount, may be thousands or a fraction: write it with two decimals") from None
        raise ValueError("invalid amount, expected a number such as 1500.50") from None
    if amount <= 0:
        raise ValueError("invalid amount, expected more than 0")
    return amount


def _unquoted(text: str) -> str:
    """Without what keeps a spreadsheet from reading a cell as a number or a formula: `'+7900...`, `="+7900..."`."""
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        return text[2:-1].strip()
    return text[1:].strip() if text.startswith("'") else text


def _text(stored: dict[Any, Any], name: str) -> str:
    value = stored.get(name)
    return value.replace("\x00", "") if isinstance(value, str) else ""
