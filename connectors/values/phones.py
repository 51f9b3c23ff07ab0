"""Phones -> E.164."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

# Prefix and length of numbers that need no parsing: they are in E.164 already, whatever the region.
_COMPLETE = re.compile(r"\+(?:380[1-9][0-9]{8}|7[3-79][0-9]{9}|375[1-9][0-9]{8})")
_SEPARATORS = re.compile(r"[,;|\n\r/]+|\s+(?:или|або|or)\s+")


@lru_cache(maxsize=65_536)
def parse_phone(text: str, region: str | None = None) -> str | None:
    """The first readable phone of the text in E.164, or None.

    `region` (ISO 3166 alpha-2) is for numbers without a country code. Readable is what has a possible length for its
    country: lists of operators' prefixes age too fast to refuse by.
    """
    if _COMPLETE.fullmatch(text):
        return text
    if len(text) > 250:
        return None
    for part in _SEPARATORS.split(text):
        if (found := _parse_one(part, region)) is not None:
            return found
    return None


def national_digits(e164: str) -> str | None:
    """The number as it is dialled within its country, without separators; None if it is no number in E.164."""
    try:
        number = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return None
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(character for character in national if character.isdigit())


def _parse_one(text: str, region: str | None) -> str | None:
    digits = sum(character.isdigit() for character in text)
    if not 5 <= digits <= 30:
        return None
    candidates = [(text, region)]
    if not text.lstrip().startswith("+"):
        # People leave out the plus; a number that is possible in the region goes first.
        candidates.append(("+" + text.lstrip(), None))
    for candidate, candidate_region in candidates:
        try:
            number = phonenumbers.parse(candidate, candidate_region.upper() if candidate_region else None)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE:
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return None
