"""Words that mean the same in every object of the API: described here once, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping

FIELDS: Mapping[str, str] = {
    # What an object belongs to
    "project_id": "Id of the project.",
    "order_id": "The order's number, as the CRM has it.",
    "crm_id": "Id at the CRM; null: the CRM does not have it yet, or it is not known.",
    "vms_id": "Id in the warehouse system.",
    "entity": "Kind of object.",
    "crm": "Kind of CRM: keycrm, retailcrm, custom ... as `crm` of the settings file.",
    "timezone": "The project's time zone (IANA).",
    "time_zone": "The project's time zone (IANA).",
    "items": "This page of the list.",
    # Statuses and stages
    "status_id": "Id of the status, as the CRM has it.",
    "status_name": "Name of the status; null: neither the CRM nor the settings name it.",
    "status_group_id": "Id of the status group (the stage); empty or null: the status has none.",
    "status_group_name": "Name of the group; null: nobody names it.",
    "is_urgent": "Whether urgent: by the project's rules, or as an admin has set it for the order.",
    "is_cancelled": "Whether orders in it count as cancelled.",
    "is_closing": "Whether orders in it are closed.",
    "sla_limit_seconds": "Limit of working time in the stage; null: it has none.",
    "sla_state": "ok, near or over the limit; null: there is no limit, or the order is closed.",
    "stage_working_seconds": "Working time in the current stage, over all its visits.",
    # Money
    "currency": "ISO 4217; null: the CRM does not say.",
    # What was tried, and how it went
    "attempts": "How often it was tried.",
    "error_word": "retry, config, permanent or skip_row; null: nothing failed.",
    "dead_letter_id": "Id of the dead letter; null: there is none.",
    "requested_at": "When it was asked for.",
    "requested_by": "Who asked for it: `user:LOGIN`, `token:NAME`, `cli:NAME` or a process.",
    "started_at": "When it began; null: it has not.",
    "finished_at": "When it was over; null: it is not.",
    "last_success_at": "When the last synchronisation without a failure ended; null: there was none.",
    "consecutive_failures": "Synchronisations that have failed since the last that did not.",
    # Who
    "user_id": "Id of the user.",
    "login": "Name to log in with: an e-mail address, or a name without blanks.",
    "role": "admin: may change; viewer: may read.",
    "is_enabled": "false: switched off by hand.",
    "disabled_reason": "Why it is switched off; null: it is not, or nobody said.",
    "created_at": "When it was made.",
    "created_by": "Who made it: `user:LOGIN`, `cli:NAME` or a process.",
    "action": "added, changed, removed, or another word for what was done.",
    "object": "What was changed, in words.",
    "before": "What it was; null: there was nothing.",
    "after": "What it is from then on; null: there is nothing.",
}
"""Field -> what it is, wherever a model does not say so itself."""

PARAMETERS: Mapping[str, str] = {
    "project_id": "Id of the project.",
    "order_id": "The order's number, as the CRM has it; a slash in it stays as it is.",
    "user_id": "Id of the user.",
    "token_id": "Id of the token, not the token itself.",
    "dead_letter_id": "Id of the dead letter.",
    "conflict_id": "Id of the conflict.",
    "resync_id": "Id of the full resync or the comparison.",
    "request_id": "Id of the synchronisation, as the answer that queued it gave it.",
    "upload_id": "Id of the upload.",
    "project": "Only these projects, by id, repeated; without any, all that you may see.",
    "after": "`next` of the page before.",
    "limit": "Objects on a page, at most {maximum}.",
    "if-none-match": "The ETag of an earlier answer: 304 if nothing has changed since.",
    "if-match": "The ETag that was read: 412 if it has changed since.",
}
"""The same of parameters; `{maximum}` is that of the parameter."""
