"""Custom fields of leads and contacts: which of them a project maps to which canonical field.

The option `fields` names a lead's or contact's custom field by its id, code or name for each canonical field:
`{manager_comment: 501, promocode: "Promo code", utm_source: UTM_SOURCE}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from connectors.values.fields import Fields, kind
from connectors.values.times import parse_date, parse_epoch

UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "fbclid", "gclid")
ORDER_TEXTS = (
    "source_id",
    "manager_comment",
    "customer_comment",
    "promocode",
    "tracking_code",
    "shipping_country",
    "shipping_region",
    "shipping_city",
    "shipping_address",
    "recipient_name",
)
LEAD_FIELDS = (*ORDER_TEXTS, *UTM, "recipient_phone", "shipping_date", "description", "phone", "email")
CONTACT_FIELDS = ("birthday", "note")
NAMES = (*LEAD_FIELDS, *CONTACT_FIELDS)
# amoCRM's own fields for advertising have these codes in every account.
_USUAL: Mapping[str, str] = {name: name.upper() for name in UTM}


def check_options(options: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What is wrong with the project's options, as `Capabilities.check_options` wants it."""
    found = []
    fields = options.get("fields", {})
    for name, value in fields.items():
        if name not in NAMES:
            found.append((f"fields.{name}", f"amoCRM's fields can be mapped to {', '.join(NAMES)}"))
        elif isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            found.append((f"fields.{name}", f"expected the custom field's id, code or name, got {kind(value)}"))
    for option in ("pipeline_ids", "paid_statuses"):
        for index, value in enumerate(options.get(option, ())):
            text = str(value)
            parts = text.split("/") if option == "paid_statuses" else [text]
            if (
                isinstance(value, bool)
                or len(parts) > 2
                or not all(part.isascii() and part.isdigit() for part in parts)
            ):
                expected = "an id" if option == "pipeline_ids" else 'a stage\'s id, or "PIPELINE/STAGE"'
                found.append((f"{option}.{index}", f"expected {expected}"))
    return found


class CustomFields:
    """The custom fields of one lead or contact, found by what a project's option `fields` says."""

    def __init__(self, row: Fields, mapping: Mapping[str, Any]) -> None:
        self._row = row
        self._mapping = mapping
        self._by_key: dict[str, list[Any]] = {}
        for field in row.children("custom_fields_values") or ():  # null where there are none
            values = field.data.get("values")
            if type(values) is not list:
                field.note("values", "a list", values)
                continue
            given = [item.get("value") if type(item) is dict else item for item in values]
            given = [value for value in given if value is not None and value != ""]
            for key in ("field_id", "field_code", "field_name"):
                name = field.data.get(key)
                if given and type(name) in (int, str):
                    self._by_key.setdefault(f"{key}={str(name).casefold()}", given)

    def values(self, name: str, usual: str | None = None) -> list[Any]:
        """Values of the canonical field; of the field with the code `usual` where the project maps none."""
        asked = self._mapping.get(name, usual or _USUAL.get(name))
        if asked is None:
            return []
        text = str(asked).strip().casefold()
        for key in ("field_id", "field_code", "field_name"):
            if (found := self._by_key.get(f"{key}={text}")) is not None:
                return found
        return []

    def texts(self, name: str, usual: str | None = None) -> tuple[str, ...]:
        return tuple(text for value in self.values(name, usual) if (text := _text(value)))

    def text(self, name: str) -> str | None:
        """Its values as one text."""
        return ", ".join(self.texts(name)) or None

    def date(self, name: str, zone: Any) -> date | None:
        """A date field has unix seconds of a midnight in the account's zone; a text field whatever was written."""
        value = next(iter(self.values(name)), None)
        if value is None:
            return None
        try:
            if type(value) is int or (type(value) is str and value.lstrip("-").isdigit()):
                return parse_epoch(value).astimezone(zone).date()
            return parse_date(value) if type(value) is str else None
        except ValueError:
            self._row.note(f"custom field {name}", "a date", value)
            return None


def _text(value: Any) -> str:
    if type(value) is bool:
        return "yes" if value else "no"
    if type(value) in (str, int) or hasattr(value, "as_tuple"):
        return str(value).replace("\x00", "").strip()
    return ""
