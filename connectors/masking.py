"""Hides personal data in JSON and text that people or logs will see. Never raises."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_NAME_KEYS = re.compile(
    r"^(?:full_?name|(?:first|last|third|sur|user)_?name|patronymic|display_name|login|doctor"
    r"|(?:recipient|customer|client|buyer|patient|contact|manager|doctor)(?:_full)?_name)$"
)
_PHONE_KEYS = re.compile(r"phone|mobile|^tel$|telephone|whatsapp|viber|telegram")
_EMAIL_KEYS = re.compile(r"e_?mail")
_ADDRESS_KEYS = re.compile(
    r"address|street|building|^flat$|^house|apartment|secondary_line|receive_point|_city$|^city$|_zip$|^zip$|postcode|postal"
)
_ADDRESSES = re.compile(r"address(?:es)?$")
"""Objects whose every text is a part of where somebody lives."""
_BIRTH_KEYS = re.compile(r"birth|^dob$")
_SECRET_KEYS = re.compile(r"token|secret|password|api_?key|authorization|signature")
_PEOPLE = re.compile(
    r"^(?:buyer|client|customer|manager|user|staff|contact|recipient|patient|master|responsible|sender)s?$"
)

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
# A phone is 9 to 15 digits, maybe grouped; dates, times, decimals and identifiers with letters are not.
_PHONE = re.compile(r"(?<![\w.:+-])\+?\(?\d(?:[ \u00a0().-]{0,2}\d){8,14}(?![\w:]|\.\d)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{2}\.\d{2}\.\d{4}")
_DEPTH = 200


def mask_text(text: str) -> str:
    """The text with e-mails and phones masked wherever they stand."""
    if "@" in text:
        text = _EMAIL.sub("***@***", text)
    return _PHONE.sub(_mask_phone_match, text)


def mask_json(value: Any) -> Any:
    """A copy of a JSON value with names, phones, e-mails, addresses, birthdays and secrets masked."""
    return _mask(value, "", "", 0)


def mask_payload(body: str) -> str:
    """The same for JSON text; text that is not JSON is masked by pattern alone."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return mask_text(body)
    return msgspec.json.encode(mask_json(value)).decode()


def _mask(value: Any, key: str, owner: str, depth: int) -> Any:
    if depth > _DEPTH:
        return "***"
    if isinstance(value, dict):
        return {name: _mask(item, _plain(name), key, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_mask(item, key, owner, depth + 1) for item in value]
    if isinstance(value, bool) or value is None or value == "":
        return value
    if isinstance(value, str):
        return _mask_string(value, key, owner)
    if _PHONE_KEYS.search(key) or _SECRET_KEYS.search(key):
        return "***"
    return value


def _mask_string(value: str, key: str, owner: str) -> str:
    if _SECRET_KEYS.search(key) or _BIRTH_KEYS.search(key):
        return "***"
    if _EMAIL_KEYS.search(key):
        return "***@***"
    if _PHONE_KEYS.search(key):
        return _mask_phone(value)
    if _NAME_KEYS.search(key) or (key == "name" and _PEOPLE.search(owner)) or _PEOPLE.search(key):
        return value[0] + "***"
    if _ADDRESS_KEYS.search(key) or _ADDRESSES.search(owner):
        return value[0] + "***"
    return mask_text(value)


def _plain(key: object) -> str:
    """`fullName`, `Full-Name` and `full_name` are one key."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(key)).replace("-", "_").lower()


def _mask_phone(value: str) -> str:
    digits = [character for character in value if character.isdigit()]
    return "***" + "".join(digits[-2:]) if len(digits) >= 7 else "***"


def _mask_phone_match(match: re.Match[str]) -> str:
    found = match[0]
    return found if _DATE.match(found) else _mask_phone(found)
