"""A company's zone and currency, as YCLIENTS and Altegio tell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.values.fields import Fields
from connectors.values.times import zone

# The API names a currency by the sign that people see. Signs that several currencies share ($, kr) are not among these.
_SIGNS = {
    "₽": "RUB",
    "руб": "RUB",
    "р": "RUB",
    "₴": "UAH",
    "грн": "UAH",
    "₸": "KZT",
    "тг": "KZT",
    "тенге": "KZT",
    "br": "BYN",
    "сум": "UZS",
    "сом": "KGS",
    "֏": "AMD",
    "₾": "GEL",
    "₼": "AZN",
    "₺": "TRY",
    "₪": "ILS",
    "€": "EUR",
    "£": "GBP",
    "zł": "PLN",
    "kč": "CZK",
    "ft": "HUF",
    "лв": "BGN",
}


def read_zone(row: Mapping[str, Any]) -> str | None:
    """The company's IANA zone. Altegio has a number of hours as `timezone`, and the name in `timezone_name`."""
    for name in ("timezone_name", "timezone"):
        value = row.get(name)
        if isinstance(value, str) and (found := value.strip()):
            try:
                zone(found)
            except ValueError:
                continue
            return found
    return None


def read_currency(row: Fields) -> str | None:
    """ISO 4217 code; None where the sign is that of several currencies: the project's own is taken then."""
    sign = row.text("currency_short_title")
    if sign is None:
        return None
    bare = sign.strip().rstrip(".")
    if len(bare) == 3 and bare.isascii() and bare.isalpha() and bare.isupper():
        return bare
    return _SIGNS.get(bare.lower())
