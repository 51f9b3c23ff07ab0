"""Types of the values in a settings file. Each takes the text of the file as well as a JSON value."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, PlainValidator

from database.repositories.settings import ALL_GROUPS, Window
from sync.settings import hours
from sync.settings.problems import refusal
from sync.settings.words import closest

T = TypeVar("T")

_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _text(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise refusal("expected text", value)
    if not value.strip():
        raise refusal("expected text, got nothing but blanks" if value else "expected text, got an empty one")
    return str(value)


def _identifier(value: Any) -> str:
    if isinstance(value, float):
        raise refusal("expected an id, as text or a whole number", value)
    text = _text(value).strip()
    if len(text) > 255:
        raise refusal("expected an id of at most 255 characters", text)
    return text


def _group(value: Any) -> str:
    text = _identifier(value)
    if text == ALL_GROUPS:
        raise refusal('"*" is no group; leave `group` out for all groups')
    return text


def _secret(value: Any) -> str:
    if isinstance(value, bool | dict | list) or value is None:
        raise refusal("expected text, or ${VAR} from the environment")
    text = str(value)
    if not text.strip():
        raise refusal("is empty")
    if text != text.strip():
        raise refusal("starts or ends with a blank or a line break")
    return text


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _FLAGS:
        return _FLAGS[value.lower()]
    raise refusal("expected true or false", value)


def whole(minimum: int, maximum: int) -> BeforeValidator:
    """Whole numbers from minimum to maximum."""

    def check(value: Any) -> int:
        digits = isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,18}", value.strip())
        number = int(value) if digits or (isinstance(value, int) and not isinstance(value, bool)) else None
        if number is None or not minimum <= number <= maximum:
            raise refusal(f"expected a whole number from {minimum:,} to {maximum:,}", value)
        return number

    return BeforeValidator(check)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _any_number(value: Any) -> float:
    number = _number(value)
    if number is None:
        raise refusal("expected a number", value)
    return float(number)


def _positive_seconds(value: Any) -> float:
    number = _number(value)
    if number is None or not Decimal("0.001") <= number <= 86_400:
        raise refusal("expected a number of seconds from 0.001 to 86,400", value)
    return float(number)


def _share(value: Any) -> Decimal:
    number = _number(value)
    if number is None or not 0 < number <= 1 or number != round(number, 4):
        raise refusal("expected a share above 0 up to 1, with at most four decimals, such as 0.8", value)
    return number.normalize()


def _one_of(known: tuple[str, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if isinstance(value, str) and value in known:
            return str(value)
        raise refusal(f"expected {', '.join(known[:-1])} or {known[-1]}", value)

    return check


def choice(*known: str) -> PlainValidator:
    """One of these words."""
    return PlainValidator(_one_of(known))


def _project_id(value: Any) -> str:
    text = _identifier(value)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", text):
        raise refusal("expected up to 63 lower-case letters, digits, - and _, not starting with - or _", text)
    return text


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - {"Factory", "localtime", "posixrules"}


def _timezone(value: Any) -> str:
    text = _text(value).strip()
    if text in _zones():
        return text
    meant = closest(text, sorted(_zones()))
    hint = f" (did you mean {meant}?)" if meant else ""
    raise refusal(f"expected an IANA time zone such as Europe/Kyiv{hint}", text)


def _region(value: Any) -> str:
    text = _text(value).strip().upper()
    if text not in phonenumbers.SUPPORTED_REGIONS:
        raise refusal("expected an ISO 3166 country of two letters such as UA", value)
    return text


def _currency(value: Any) -> str:
    text = _text(value).strip().upper()
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise refusal("expected an ISO 4217 currency of three letters such as UAH", value)
    return text


def _base_url(value: Any) -> str:
    text = _text(value).strip()
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or re.search(r"[\s\x00-\x1f]", text):
        raise refusal("expected an address such as https://openapi.keycrm.app/v1", value)
    if parts.username is not None or parts.password is not None:
        raise refusal("user and password do not belong into the address: set them under credentials")
    if parts.query or parts.fragment:
        raise refusal("expected an address without ? and #", value)
    return text.rstrip("/")


def _network(value: Any) -> str:
    text = _text(value).strip()
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        pass
    try:
        meant = str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise refusal('expected an IP address or CIDR range such as "10.0.0.0/8"', value) from None
    raise refusal(f'has bits beyond its prefix (did you mean "{meant}"?)', value)


def _header(value: Any) -> str:
    text = _text(value).strip()
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", text):
        raise refusal("expected the name of an HTTP header such as X-Signature", value)
    return text


def _day(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    text = str(value).strip() if isinstance(value, str) else ""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise refusal("expected a day that exists, as YYYY-MM-DD", value) from None
    raise refusal("expected a day as YYYY-MM-DD", value)


def _since(value: Any) -> str:
    text = value.isoformat() if isinstance(value, date) else str(value).strip()
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text).isoformat()
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z|[+-][0-9]{2}:?[0-9]{2})?", text):
            return datetime.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise refusal("expected a day or time such as 2025-01-01 or 2025-01-01T08:00:00+02:00", value)


def _parsed(value: Any, parse: Callable[[str], T]) -> T:
    try:
        return parse(value if isinstance(value, str) else "")
    except ValueError as error:
        raise refusal(str(error), value) from None


def _duration(value: Any) -> int:
    return _parsed(value, hours.parse_duration)


def _window(value: Any) -> Window:
    return value if isinstance(value, Window) else _parsed(value, hours.parse_window)


def _weekdays(value: Any) -> str:
    _parsed(value, hours.parse_weekdays)
    return str(value)


def _week(value: dict[str, list[Window]]) -> dict[str, list[Window]]:
    try:
        hours.week_of(value)
    except ValueError as error:
        raise refusal(str(error)) from None
    return value


def _ranges(value: Any) -> Any:
    if value is None:
        # In {mon,wed: [...]} YAML sees two keys, and the first has no value.
        raise refusal('expected a list of ranges, or [] for closed; inside of {} write "mon,wed" in quotes')
    if not isinstance(value, list | tuple):
        raise refusal('expected a list of ranges such as ["09:00-18:00"], or [] for closed', value)
    return list(value)


Text = Annotated[str, BeforeValidator(_text)]
Identifier = Annotated[str, BeforeValidator(_identifier)]
"""An id of the CRM: a number or text in the file, text from here on."""
GroupId = Annotated[str, BeforeValidator(_group)]
Secret = Annotated[str, BeforeValidator(_secret)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Number = Annotated[float, BeforeValidator(_any_number)]
Whole = Annotated[int, whole(-(10**18) + 1, 10**18 - 1)]
PositiveSeconds = Annotated[float, BeforeValidator(_positive_seconds)]
Share = Annotated[Decimal, BeforeValidator(_share)]
ProjectId = Annotated[str, BeforeValidator(_project_id)]
Timezone = Annotated[str, BeforeValidator(_timezone)]
Region = Annotated[str, BeforeValidator(_region)]
Currency = Annotated[str, BeforeValidator(_currency)]
BaseUrl = Annotated[str, BeforeValidator(_base_url)]
Network = Annotated[str, BeforeValidator(_network)]
Header = Annotated[str, BeforeValidator(_header)]
Day = Annotated[date, PlainValidator(_day)]
Since = Annotated[str, BeforeValidator(_since)]
"""A day (its start in the project's zone) or a time (in the project's zone unless it has an offset), ISO 8601."""
Duration = Annotated[int, BeforeValidator(_duration)]
"""Seconds of working time, written hh:mm or hh:mm:ss."""
Ranges = Annotated[list[Annotated[Window, PlainValidator(_window)]], BeforeValidator(_ranges)]
Week = Annotated[dict[Annotated[str, BeforeValidator(_weekdays)], Ranges], AfterValidator(_week)]
"""Windows by weekdays as written, {mon-fri: ["09:00-18:00"]}; `hours.week_of` gives them by ISO weekday."""
