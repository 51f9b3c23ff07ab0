"""Webhooks of a definition's vendor: JSON or XML, in which each entity's `webhook` says where its records are.

An entity that can be read singly is read again whole; another one is mapped from what the webhook holds.
"""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.custom.definition import definition_of
from connectors.custom.documents import Row, json_rows, parse_xml, xml_rows, xml_text
from connectors.custom.mapping import definition_for, map_document, record_id
from connectors.custom.shapes import Definition, Entity
from connectors.custom.values import RecordFields
from connectors.errors import ConfigError, SkipRowError, WebhookUnreadableError
from connectors.http import decode_json, encode_json
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Problem, Reread
from connectors.values.fields import kind
from connectors.values.plain import unstorable


def check_webhook(request: WebhookRequest, context: MappingContext) -> str:
    """The payload as JSON text. Raises WebhookUnreadableError if it is not what the definition's format says."""
    try:
        form = definition_of(context.options).format
    except ConfigError as error:
        raise WebhookUnreadableError(error.message) from None
    body = request.body.removeprefix(b"\xef\xbb\xbf")
    if not body.strip():
        raise WebhookUnreadableError("the body is empty")
    if form == "xml":
        try:
            # Written anew: a declaration would name an encoding that text has no more.
            text = encode_json({"xml": xml_text(parse_xml(body))}).decode()
        except ValueError as error:
            raise WebhookUnreadableError(f"the body is {error}") from None
        value: Any = decode_json(text)
    else:
        try:
            text = body.decode()
            value = decode_json(text)
        except UnicodeDecodeError:
            raise WebhookUnreadableError("the body is not UTF-8") from None
        except (msgspec.MsgspecError, ValueError) as error:
            raise WebhookUnreadableError(f"the body is not JSON: {error}") from None
        if type(value) not in (dict, list):
            raise WebhookUnreadableError(f"the body: expected an object or a list, got {kind(value)}")
    if (fault := unstorable(value)) is not None:
        raise WebhookUnreadableError(f"the body {fault}")
    return text


def map_webhook(context: MappingContext, body: str) -> Batch:
    """Canonical records of one stored webhook. Raises SkipRowError if no entity finds a record in it."""
    definition = definition_for(context)
    payload = _payload(definition, body)
    batch = Batch()
    found = False
    for entity in definition.entities.values():
        for row in _rows(definition, entity, payload):
            found = True
            if isinstance(row, str):
                batch.problems.append(Problem(f"{entity.name}: {row}", entity.name))
            else:
                _map(batch, context, entity, row)
    if not found:
        names = [entity.name for entity in definition.entities.values() if entity.webhook is not None]
        where = f"none of {', '.join(names)} is in it" if names else "no entity of the definition has `webhook`"
        raise SkipRowError(f"the webhook has no record: {where}")
    return batch


def _payload(definition: Definition, body: str) -> Any:
    try:
        payload = decode_json(body)
        if definition.format == "xml":
            text = payload.get("xml") if type(payload) is dict else None
            if type(text) is not str:
                raise SkipRowError("the webhook is not XML, as the definition says")
            return parse_xml(text)
        return payload
    except (msgspec.MsgspecError, ValueError) as error:
        raise SkipRowError(f"the webhook cannot be read: {error}") from None


def _rows(definition: Definition, entity: Entity, payload: Any) -> list[Row | str]:
    if entity.webhook is None:
        return []
    try:
        if definition.format == "xml":
            return xml_rows(payload, entity.webhook.matches, ())
        return json_rows(payload, entity.webhook.matches, (), entity.keeps_response)
    except ValueError as error:
        raise SkipRowError(f"{entity.name}: {error}") from None


def _map(batch: Batch, context: MappingContext, entity: Entity, row: Row) -> None:
    try:
        if entity.one is not None:
            batch.rereads.append(Reread(entity.name, record_id(RecordFields(entity, row.document, context))))
            return
        mapped = map_document(context, entity, row.document, is_whole=False)
    except SkipRowError as error:
        batch.problems.append(Problem(f"{entity.name}: {error.message}", entity.name))
        return
    for name in ("customers", "orders", "status_events", "transactions", "reversals", "problems"):
        getattr(batch, name).extend(getattr(mapped, name))
