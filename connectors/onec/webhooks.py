"""What a base may post to us from code of its own: 1C's platform sends nothing.

The payload is what the custom service answers: a row, a list of rows, or `{"transactions": [...]}`. With dialect odata
rows are hints: each document is read again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.errors import SkipRowError, WebhookUnreadableError
from connectors.http import decode_json
from connectors.onec.mapping import map_row
from connectors.onec.rows import STREAM, id_of
from connectors.onec.settings import read
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Problem, Reread
from connectors.values.fields import kind
from connectors.webhook_body import read_json_body

_BOM = "\ufeff"


def check_webhook(request: WebhookRequest) -> str:
    """The payload as JSON text. Raises WebhookUnreadableError if it is none of the forms."""
    text, value = read_json_body(request.body)
    if not isinstance(value, dict | list):
        raise WebhookUnreadableError(f"the body: expected an object or a list, got {kind(value)}")
    return text


def map_webhook(context: MappingContext, body: str) -> Batch:
    """Sales of one stored webhook. Raises SkipRowError if nothing of it can be read."""
    try:
        payload = decode_json(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SkipRowError(f"the webhook is not JSON: {error}") from None
    rows, path = _rows_of(payload)
    settings = read(context.options)
    batch = Batch()
    for index, row in enumerate(rows):
        at = path if path == "" else f"{path}[{index}]"
        try:
            crm_id = id_of(row, settings.id)
            if settings.dialect == "odata":
                batch.rereads.append(Reread(STREAM, crm_id))
                continue
            mapped = map_row(row, settings, context, at)
        except (SkipRowError, ValueError) as error:
            batch.problems.append(Problem(f"{at or 'the webhook'}: {error}", STREAM))
            continue
        batch.transactions += mapped.transactions
        batch.problems += mapped.problems
    if batch == Batch(problems=batch.problems):
        raise SkipRowError(batch.problems[0].reason if batch.problems else "the webhook has no rows")
    return batch


def _rows_of(payload: Any) -> tuple[list[Any], str]:
    """The rows, and where they stand in the payload."""
    if type(payload) is dict and "transactions" in payload:
        rows = payload["transactions"]
        if type(rows) is not list:
            raise SkipRowError(f"transactions: expected a list, got {kind(rows)}")
        return rows, "transactions"
    if type(payload) is list:
        return payload, "rows"
    if type(payload) is dict:
        return [payload], ""
    raise SkipRowError(f"expected an object or a list, got {kind(payload)}")
