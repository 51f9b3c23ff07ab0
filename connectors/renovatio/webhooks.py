"""Renovatio's webhooks: hints of which nothing but hashed visit ids is kept; each is followed by a read of the visit.

Seen in the wild are `event` and `data` as fields of a form, where `data` is a JSON list or `data[0][id]=...`. JSON and
a GET with the same in its query are taken too. No message here repeats anything of the payload.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from connectors.errors import ConfigError, SkipRowError, WebhookUnreadableError
from connectors.http import decode_json, encode_json
from connectors.protocol import MappingContext, WebhookRequest
from connectors.records import Batch, Reread
from connectors.renovatio.privacy import VISITS, Hasher, hash_visit_ids

MOST_VISITS = 1000
_MOST_FIELDS = 20_000
_DEEPEST = 6
_HASH = re.compile(r"[0-9a-f]{64}")
_VISIT_EVENT = re.compile(r"appointment|visit", re.IGNORECASE)


def check_webhook(request: WebhookRequest, context: MappingContext) -> str:
    """What may be kept of a webhook, as JSON: `{"visits": [hashed ids]}`, empty for events about other things.

    Raises WebhookUnreadableError if it is none of the vendor's forms, or the project's salt is too short.
    """
    try:
        hasher = Hasher(context.secrets.get("salt"))
    except ConfigError as error:
        raise WebhookUnreadableError(error.message) from None
    payload = _payload(request)
    event = payload.get("event")
    if not isinstance(event, str) or not event:
        raise WebhookUnreadableError("the field event is missing")
    if not _VISIT_EVENT.search(event):  # a patient, a laboratory's result: their ids are no visits'
        return encode_json({"visits": []}).decode()
    data = payload.get("data")
    if isinstance(data, str):
        data = _json(data, "the field data")
    try:
        visits = hash_visit_ids(data, hasher)
    except ValueError:
        raise WebhookUnreadableError("the field data is neither a list nor an object") from None
    if not visits:
        raise WebhookUnreadableError("the field data names no visit")
    if len(visits) > MOST_VISITS:
        raise WebhookUnreadableError(f"the field data names more than {MOST_VISITS} visits")
    return encode_json({"visits": visits}).decode()


def map_webhook(body: str) -> Batch:
    """A re-read of each visit. Raises SkipRowError if the stored text is none of ours."""
    try:
        payload = decode_json(body)
    except (msgspec.MsgspecError, ValueError):
        raise SkipRowError("the stored webhook is not JSON") from None
    visits = payload.get("visits") if isinstance(payload, dict) else None
    if not isinstance(visits, list) or not all(isinstance(item, str) and _HASH.fullmatch(item) for item in visits):
        raise SkipRowError("the stored webhook has no list of hashed visits")
    return Batch(rereads=[Reread(VISITS, visit) for visit in visits])


def _payload(request: WebhookRequest) -> Mapping[str, Any]:
    body = request.body.removeprefix(b"\xef\xbb\xbf").strip()
    if not body:
        return _from_pairs(request.query.items())
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise WebhookUnreadableError("the body is not UTF-8") from None
    # The content type is not relied upon: a JSON body may come as a form, and the other way round.
    if text[:1] in ("{", "["):
        value = _json(text, "the body")
        if not isinstance(value, dict):
            raise WebhookUnreadableError("the body has no field event")
        return value
    try:
        return _from_pairs(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS))
    except UnicodeDecodeError:
        raise WebhookUnreadableError("the form is not UTF-8") from None
    except ValueError:
        raise WebhookUnreadableError(f"the form has more than {_MOST_FIELDS} fields") from None


def _json(text: str, what: str) -> Any:
    try:
        return decode_json(text)
    except (msgspec.MsgspecError, ValueError):
        raise WebhookUnreadableError(f"{what} is not JSON") from None


def _from_pairs(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Fields of a form; `data[0][id]` leads to the field `id` of the object `0` of `data`."""
    result: dict[str, Any] = {}
    for name, value in pairs:
        path = [step.rstrip("]") for step in name.split("[")]
        place = result
        for step in path[:-1][:_DEEPEST]:
            inner = place.get(step)
            if not isinstance(inner, dict):
                inner = place[step] = {}
            place = inner
        place[path[-1]] = value
    return result
