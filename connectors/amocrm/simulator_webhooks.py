"""Webhooks that the simulated account sends: forms with bracketed names, old field names, everything a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from connectors.keycrm.simulator_webhooks import Answer, Delivery, Webhooks

if TYPE_CHECKING:
    from connectors.amocrm.simulator_state import SimulatorState

ACTIONS = ("add", "update", "delete", "restore", "responsible", "note")
CODES = (*(f"{action}_{kind}" for kind in ("lead", "contact", "company", "task") for action in ACTIONS),
         "status_lead", "add_message")  # fmt: skip
_MOST_FAILURES = 100


class HookSender(Webhooks):
    """Sends forms. A destination that fails over and over is switched off by the account."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self.timeout = 2.0
        self._failures: dict[str, int] = {}
        self._account: SimulatorState | None = None

    def send(
        self, event: str, payload: Any, account: SimulatorState | None = None, targets: Sequence[str] = ()
    ) -> None:
        """Queue for these destinations; `payload` by the prefix of its fields."""
        if account is None:
            super().send(event, payload)
            return
        self._account = account
        form = form_body(payload, account)
        with self._changed:
            for url in targets:
                delivery = Delivery(event, url, form)
                self._queue.append(delivery)
                self._log.append(delivery)
            self._changed.notify_all()

    def _attempt(self, client: httpx.Client, delivery: Delivery) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            response = client.post(delivery.url, content=delivery.payload, headers=headers)
            answer = Answer(response.status_code, response.text[:500], self._clock())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answer = Answer(None, type(error).__name__, self._clock())
        delivery.answers.append(answer)
        is_good = answer.status is not None and 100 <= answer.status < 300
        failures = self._failures[delivery.url] = 0 if is_good else self._failures.get(delivery.url, 0) + 1
        if failures > _MOST_FAILURES and self._account is not None:
            for hook in self._account.hooks:
                if hook["destination"] == delivery.url:
                    hook["disabled"] = True


def lead_payload(row: Mapping[str, Any], action: str, old: Mapping[str, int] | None) -> dict[str, Any]:
    """A lead in the names of the old API."""
    if action == "delete":
        return {"id": row["id"], "status_id": row["status_id"], "pipeline_id": row["pipeline_id"]}
    fields: dict[str, Any] = {"id": row["id"], "name": row["name"], "status_id": row["status_id"]}
    if old is not None:
        fields["old_status_id"] = old["id"]
        if old["pipeline_id"] != row["pipeline_id"]:
            fields["old_pipeline_id"] = old["pipeline_id"]
    fields |= {
        "price": row["price"], "responsible_user_id": row["responsible_user_id"], "last_modified": row["updated_at"],
        "modified_user_id": row["updated_by"], "created_user_id": row["created_by"], "date_create": row["created_at"],
        "pipeline_id": row["pipeline_id"], "account_id": row["account_id"], "custom_fields": old_fields(row),
        "created_at": row["created_at"], "updated_at": row["updated_at"],
    }  # fmt: skip
    return fields


def plain_payload(row: Mapping[str, Any], action: str) -> dict[str, Any]:
    """A contact in the names of the old API; a company would come under the same group."""
    if action == "delete":
        return {"id": row["id"], "type": "contact"}
    return {
        "id": row["id"], "name": row["name"], "responsible_user_id": row["responsible_user_id"],
        "date_create": row["created_at"], "last_modified": row["updated_at"], "created_user_id": row["created_by"],
        "modified_user_id": row["updated_by"], "account_id": row["account_id"], "custom_fields": old_fields(row),
        "created_at": row["created_at"], "updated_at": row["updated_at"], "type": "contact",
    }  # fmt: skip


def old_fields(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Custom fields as webhooks have them: dates as bare scalars, a radio button's value as an object, no list."""
    found = []
    for field in row["custom_fields_values"] or ():
        values: Any = [{"value": item["value"], "enum": item["enum_id"] or ""} for item in field["values"]]
        if field["field_type"] in ("date", "date_time"):
            values = [item["value"] for item in field["values"]]
        elif field["field_type"] == "radiobutton" and values:
            values = values[0]
        code = field["field_code"] or ""
        found.append({"id": field["field_id"], "name": field["field_name"], "code": code, "values": values})
    return found


def form_body(payload: Mapping[str, Any], account: SimulatorState) -> bytes:
    """The whole form, with the account's part at its end."""
    about = {"id": account.account_id, "subdomain": account.subdomain,
             "_links": {"self": f"https://{account.subdomain}.amocrm.ru"}}  # fmt: skip
    pairs = [pair for prefix, value in {**payload, "account": about}.items() for pair in _pairs(prefix, value)]
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs).encode()


def _pairs(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _pairs(f"{prefix}[{name}]", item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _pairs(f"{prefix}[{number}]", item)
    else:
        yield prefix, "" if value is None else "1" if value is True else "0" if value is False else str(value)
