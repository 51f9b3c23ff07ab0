"""Triggers of RetailCRM: an HTTP request whose parameters an administrator has typed. A hint only, never applied: the
object is read again.

The project's `webhook_template` is what was typed: name of a parameter -> Twig expression. It says which parameter
holds what, and is what the user is told to copy into the trigger.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.http import decode_json, encode_json
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Reread
from connectors.retailcrm.client import EXTERNAL
from connectors.values.fields import ID_LENGTH

DEFAULT_TEMPLATE: Mapping[str, str] = {
    "order_id": "{{ order.getId() }}",
    "external_id": "{{ order.getExternalId() }}",
    "status": "{{ order.getStatus().getCode() }}",
    "status_at": "{{ order.getStatusUpdatedAt()|date('Y-m-d H:i:s') }}",
    "status_changed": "{{ changeSet.hasChangedField('status') }}",
}
CUSTOMER_TEMPLATE: Mapping[str, str] = {"customer_id": "{{ customer.getId() }}"}
"""Understood besides, for a trigger on changes of customers."""

_IDENTITIES = {
    "order.id": ("orders", ""),
    "order.externalId": ("orders", EXTERNAL),
    "customer.id": ("customers", ""),
    "customer.externalId": ("customers", EXTERNAL),
}
"""Expression -> (stream, what its ids begin with)."""
_STATUS, _STATUS_AT = "order.status.code", "order.statusUpdatedAt"
_STATUS_CHANGED = "changeSet.hasChangedField('status')"
_GETTER = re.compile(r"get([A-Z])(\w*)\(\)")
_NOT_PAYLOAD = frozenset({"token", "project"})
_MOST_FIELDS = 200


def problems_of_template(template: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with the option: (path, one sentence)."""
    path = "webhook_template"
    if not isinstance(template, dict) or not template:
        yield path, "expected parameters of the trigger with their expressions, such as order_id: '{{ order.getId() }}'"
        return
    for name, expression in template.items():
        if not isinstance(name, str) or not isinstance(expression, str) or not name or name in _NOT_PAYLOAD:
            yield f"{path}.{name}", "expected a name other than token and project, and a text"
            return
    if not any(_expression(expression) in _IDENTITIES for expression in template.values()):
        yield (
            path,
            (
                "none of the expressions tells which object changed: add {{ order.getId() }}, "
                "{{ order.getExternalId() }}, {{ customer.getId() }} or {{ customer.getExternalId() }}"
            ),
        )


def template_of(options: Mapping[str, Any]) -> Mapping[str, str]:
    return options.get("webhook_template") or DEFAULT_TEMPLATE


def check_webhook(request: WebhookRequest, context: MappingContext) -> str:
    """The parameters as a JSON object of texts, those of the body if it has any, else those of the URL.

    Raises WebhookUnreadableError unless one of them, by the project's template, names an object.
    """
    body = request.body.removeprefix(b"\xef\xbb\xbf").strip()
    if b"\x00" in body:
        raise WebhookUnreadableError("the body holds NUL bytes")
    pairs = _pairs(body) if body else list(request.query.items())
    values = {name: value for name, value in pairs if name not in _NOT_PAYLOAD}
    if any("\x00" in text for pair in values.items() for text in pair):
        raise WebhookUnreadableError("a parameter holds NUL characters")
    if not _objects(values, context):
        names = ", ".join(template_of(context.options))
        raise WebhookUnreadableError(
            f"none of the trigger's parameters names an order or customer; by the template they are {names}"
        )
    return encode_json(values).decode()


def map_webhook(context: MappingContext, body: str) -> Batch:
    """What is to be read again. Raises SkipRowError."""
    try:
        values = decode_json(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SkipRowError(f"the webhook is not JSON: {error}") from None
    if type(values) is not dict:
        raise SkipRowError("the webhook is not an object of parameters")
    objects = _objects(values, context)
    if not objects:
        raise SkipRowError("no parameter of the webhook names an order or customer: check webhook_template")
    seen = _fingerprint(values, objects.get("orders"), context) if context.looks_for_echoes else None
    return Batch(
        rereads=[Reread(stream, crm_id, seen if stream == "orders" else None) for stream, crm_id in objects.items()]
    )


def status_fingerprint(order_id: str, status: str, entered_at: str) -> bytes | None:
    """Of an order that entered a status (code) at a time of the account's clocks; None where the time is missing."""
    entered_at = entered_at.strip()[:19].replace("T", " ")
    if not entered_at:
        return None
    return hashlib.sha256(f"{order_id}\x00{status}\x00{entered_at}".encode()).digest()


def _fingerprint(values: Mapping[str, Any], order_id: str | None, context: MappingContext) -> bytes | None:
    """Of a change of status; of nothing else does a payload tell enough to know that it is an echo."""
    told = {_expression(text): str(values.get(name) or "") for name, text in template_of(context.options).items()}
    if order_id is None or order_id.startswith(EXTERNAL) or told.get(_STATUS_CHANGED) not in ("1", "true"):
        return None
    status, entered_at = told.get(_STATUS), told.get(_STATUS_AT)
    return status_fingerprint(order_id, status, entered_at) if status and entered_at else None


def instructions(options: Mapping[str, Any], url: str) -> str:
    """What the user must do in RetailCRM, in one paragraph."""
    typed = ", ".join(f"{name} = {expression}" for name, expression in template_of(options).items())
    return (
        "RetailCRM has no API for webhooks of orders. In its settings add a trigger on 'order change' with the "
        "condition changeSet.hasChangedField(\"status\") or changeSet.isDelete(), the action 'HTTP request', method "
        f"POST, the URL {url}, and the parameters {typed}. "
        "To have other changes of orders at once as well, leave the condition out, and for changes of customers add a "
        "trigger on 'customer change' with the parameter customer_id = {{ customer.getId() }}. "
        "SECRET is the project's webhook.secret; RetailCRM signs nothing, so the token is all that proves the sender"
    )


def _objects(values: Mapping[str, Any], context: MappingContext) -> dict[str, str]:
    """Id by stream; RetailCRM's own before the shop's."""
    found: dict[str, str] = {}
    for name, expression in {**CUSTOMER_TEMPLATE, **template_of(context.options)}.items():
        known = _IDENTITIES.get(_expression(expression))
        value = values.get(name)
        text = value.strip() if type(value) is str else ""
        if known is None or not text or len(text) > ID_LENGTH or not text.isprintable():
            continue
        stream, prefix = known
        if not prefix and not (text.isascii() and text.isdigit()):
            continue
        if not prefix or stream not in found:
            found[stream] = prefix + text
    return found


def _expression(text: str) -> str:
    """`{{ order.getStatus().getCode()|raw }}` and `order.status.code` are one."""
    inner = text.strip().removeprefix("{{").removesuffix("}}").partition("|")[0]
    inner = "".join(inner.split()).replace('"', "'")
    return _GETTER.sub(lambda match: match[1].lower() + match[2], inner)


def _pairs(body: bytes) -> Sequence[tuple[str, str]]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise WebhookUnreadableError("the body is not UTF-8") from None
    if text[:1] in ("{", "["):
        try:
            value = decode_json(text)
        except (msgspec.MsgspecError, ValueError) as error:
            raise WebhookUnreadableError(f"the body is not JSON: {error}") from None
        if type(value) is not dict:
            raise WebhookUnreadableError("the body is not an object of parameters")
        return [(name, str(item)) for name, item in value.items() if type(item) in (str, int, Decimal)]
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except UnicodeDecodeError:
        raise WebhookUnreadableError("the form is not UTF-8") from None
    except ValueError:
        raise WebhookUnreadableError(f"the form has more than {_MOST_FIELDS} fields") from None
