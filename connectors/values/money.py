"""Amounts and quantities -> `Decimal`, however a CRM or a person wrote them."""

from __future__ import annotations

import re
import unicodedata
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Literal

CENT = Decimal("0.01")
MILLI = Decimal("0.001")
_LIMIT = Decimal(10) ** 15  # numeric(18,2) and numeric(18,3) both hold what is below
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_UP)
_PLAIN = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_CURRENCY_WORD = re.compile(
    r"грн\.?|гривень|руб\.?|р\.|тг\.?|тенге|z[lł]\.?|uah|rub|rur|usd|eur|kzt|byn|pln|gbp|try|gel|uzs|azn|amd|kgs|mdl|czk",
    re.IGNORECASE,
)
_GROUPS = "'’ʼ`"


def parse_money(value: object, decimal_mark: Literal[".", ","] | None = None) -> Decimal:
    """An amount with two digits, rounded half up.

    Takes int, float, Decimal and text: `1 000,50`, `1.000,50`, `1,000.50`, no-break spaces, currency signs. Text such
    as `1.000`, which is one or a thousand, is refused unless `decimal_mark` tells. Raises ValueError, one sentence.
    """
    return _rounded(_decimal(value, decimal_mark, "an amount"), CENT, value)


def parse_quantity(value: object) -> Decimal:
    """A number with three digits, rounded half up. In text a single dot or comma is the decimal mark.

    Raises ValueError.
    """
    mark: Literal[".", ","] | None = None
    if isinstance(value, str):
        mark = "," if "," in value and "." not in value else "."
    return _rounded(_decimal(value, mark, "a number"), MILLI, value)


def _rounded(number: Decimal, digits: Decimal, value: object) -> Decimal:
    if not -_LIMIT < number < _LIMIT:
        raise ValueError(f"too large: {_shown(value)}")
    return number.quantize(digits, context=_CONTEXT) + 0  # + 0 makes -0.00 a 0.00


def _decimal(value: object, mark: str | None, what: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise ValueError(f"not {what}: {type(value).__name__}")  # noqa: TRY004 - bad data, not a bad call
    if isinstance(value, int):
        if value.bit_length() > 100:
            raise ValueError(f"not {what}: too large")
        return Decimal(value)
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"not {what}: {value}")
        return value
    if mark != "," and _PLAIN.fullmatch(value) and not (mark is None and _is_ambiguous(value, ".")):
        return Decimal(value)
    return _from_text(value, mark, what)


def _from_text(value: str, mark: str | None, what: str) -> Decimal:
    if len(value) > 100:
        raise ValueError(f"not {what}: {_shown(value)}")
    text = "".join(character for character in value if not _is_filler(character))
    text = _CURRENCY_WORD.sub("", text, count=1)
    sign = ""
    if text[:1] in ("-", "−", "+"):
        sign = "" if text[0] == "+" else "-"
        text = text[1:]
    if not re.fullmatch(r"[0-9]+(?:[.,][0-9]+)*", text):
        raise ValueError(f"not {what}: {_shown(value)}")
    has_group_spaces = bool(re.search(rf"[0-9][\s{_GROUPS}]+[0-9]", value))
    mark = mark or _mark_of(text, has_group_spaces, value)
    whole, found, fraction = text.rpartition(mark) if mark and text.count(mark) == 1 else (text, "", "")
    if not found:
        whole, fraction = text, ""
    for group_mark in ".,":
        if group_mark in fraction:
            raise ValueError(f"not {what}: {_shown(value)}")
        groups = whole.split(group_mark)
        if len(groups) > 1:
            if not 1 <= len(groups[0]) <= 3 or any(len(group) != 3 for group in groups[1:]):
                raise ValueError(f"not {what}: {_shown(value)}")
            whole = "".join(groups)
    return Decimal(f"{sign}{whole}.{fraction or '0'}")


def _mark_of(text: str, has_group_spaces: bool, value: str) -> str | None:
    """The decimal mark of digits with dots and commas; None if what is there only groups thousands."""
    dots, commas = text.count("."), text.count(",")
    if dots and commas:
        last = max(".", ",", key=text.rfind)
        if text.count(last) > 1:
            raise ValueError(f"not an amount: {_shown(value)}")
        return last
    if dots + commas == 1:
        mark = "." if dots else ","
        if not has_group_spaces and _is_ambiguous(text, mark):
            raise ValueError(f"ambiguous: {_shown(value)} may be thousands or a fraction; write it with two decimals")
        return mark
    return None


def _is_ambiguous(text: str, mark: str) -> bool:
    whole, found, fraction = text.lstrip("-").partition(mark)
    return bool(found) and len(fraction) == 3 and 1 <= len(whole) <= 3 and whole[0] != "0"


def _is_filler(character: str) -> bool:
    return character.isspace() or character in _GROUPS or unicodedata.category(character) in ("Sc", "Cf")


def _shown(value: object) -> str:
    return repr(str(value)[:40])
