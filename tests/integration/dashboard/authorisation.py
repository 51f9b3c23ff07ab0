"""Who may call what: one line for each route of the dashboard.

The key is `METHOD /path` as the route is declared (`WEBSOCKET` for sockets). A line says what each of five callers
gets:

    anonymous   nobody is logged in
    stranger    a viewer of another project (`almond`)
    viewer      a viewer of this project (`print-shop`)
    elsewhere   a script with an admin's token for another project (`almond`)
    admin       an admin

as PASSES (anything but 401, 403 and 404: the request got by, whatever became of it), or 401, 403, 404. Most lines are
one of EVERYBODY, USERS, PEOPLE, ADMINS, MANAGERS, OF_PROJECT, ADMINS_OF_PROJECT; `.with_(...)` adds values of path
parameters, a query, a JSON body or a form. `{project}` and `{project_id}` are print-shop by themselves. Rows that must
be there for a route are inserted by SEED. The marts are not built: who gets by to what reads them is told so, by 503,
where the line says `needs_marts`. All callers send a bearer token, and each line gets fresh ones.

A line for a route with an id that no SEED inserts says 404 where the others would pass: better to insert one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Expected = Literal["passes", 401, 403, 404]
PASSES: Expected = "passes"
PROJECT, OTHER = "print-shop", "almond"
A_TOKEN, ANOTHER_TOKEN = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


@dataclass(frozen=True)
class Line:
    anonymous: Expected
    stranger: Expected
    viewer: Expected
    elsewhere: Expected
    admin: Expected
    path: Mapping[str, object] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    needs_marts: bool = False

    def with_(self, **values: Any) -> Line:
        """`path`, `query`, `json`, `form`, `needs_marts`, and what a caller gets."""
        return replace(self, **values)

    def expected(self) -> dict[str, Expected]:
        """The admin last: what it does may be gone afterwards."""
        return {
            "anonymous": self.anonymous, "stranger": self.stranger, "viewer": self.viewer,
            "elsewhere": self.elsewhere, "admin": self.admin,
        }  # fmt: skip


EVERYBODY = Line(PASSES, PASSES, PASSES, PASSES, PASSES)
USERS = Line(401, PASSES, PASSES, PASSES, PASSES)
"""Lists and pages that show what one may see."""
PEOPLE = Line(401, PASSES, PASSES, 403, PASSES)
"""No scripts."""
ADMINS = Line(401, 403, 403, PASSES, PASSES)
"""What admins see and do with the projects they may see."""
MANAGERS = Line(401, 403, 403, 403, PASSES)
"""Admins of everything, no scripts."""
OF_PROJECT = Line(401, 404, PASSES, 404, PASSES)
ADMINS_OF_PROJECT = Line(401, 403, 403, 404, PASSES)
"""Whether the project is looked at first (404 for the stranger) or the role, a stranger learns nothing."""
OF_MARTS = OF_PROJECT.with_(needs_marts=True)

SEED = (
    """
    insert into config.users (user_id, login, password_hash, role) overriding system value
    values (900001, 'seeded', 'none', 'viewer')
    """,
    f"""
    insert into config.script_tokens (token_id, name, token_hash, hint, role, created_by) values
        ('{A_TOKEN}', 'seeded', sha256('seeded'), 'crm_', 'viewer', 'test'),
        ('{ANOTHER_TOKEN}', 'seeded too', sha256('seeded too'), 'crm_', 'viewer', 'test')
    """,
    """
    insert into config.projects (project_id, name, crm, timezone)
    values ('till', 'Till', 'csv', 'UTC'), ('orchard', 'Orchard', 'custom', 'UTC')
    """,
    f"""
    insert into sync.requests (request_id, project_id, origin, state) overriding system value
    values (900001, '{PROJECT}', 'manual', 'done')
    """,
    """
    insert into sync.csv_imports (upload_id, project_id, file_id, size_bytes, origin, state) overriding system value
    values (900001, 'till', 1, 1, 'http', 'done')
    """,
    f"""
    insert into sync.dead_letters (dead_letter_id, project_id, source, error_word, reason, crm_id)
        overriding system value
    values
        (900001, '{PROJECT}', 'webhook', 'permanent', 'Unreadable.', '1'),
        (900002, '{PROJECT}', 'webhook', 'permanent', 'Unreadable.', '2')
    """,
    f"""
    insert into sync.conflicts (conflict_id, project_id, entity_type, vms_entity_id, crm_entity_id, fields)
        overriding system value
    values (900001, '{PROJECT}', 'customer', 1, '1', '{{"note": {{
        "vms": "a", "crm": "b", "crm_own": "b", "agreed_vms": null, "agreed_crm": null, "vms_changed_at": null,
        "crm_changed_at": null}}}}')
    """,
    f"""
    insert into sync.resyncs (resync_id, project_id, state, finished_at) overriding system value
    values (900001, '{PROJECT}', 'done', now())
    """,
    f"""
    insert into config.audit_log (audit_id, actor, action, project_id, object, before, after)
        overriding system value
    values (900001, 'test', 'changed', '{PROJECT}', 'sla group 2 normal', '"08:00"', '"06:00"')
    """,
)

_FILES = {"project_id": "till"}
_DEFINED = {"project_id": "orchard"}
_UPLOAD = {"upload_id": 900001}
_SYNC = {"request_id": 900001}
_USER = {"user_id": 900001}
_ORDER = {"order_id": "1"}
_LETTER, _ANOTHER_LETTER = {"dead_letter_id": 900001}, {"dead_letter_id": 900002}
_CONFLICT = {"conflict_id": 900001}
_RESYNC = {"resync_id": 900001}
_CHANGE = {"audit_id": 900001}
_QUERY = {"project": PROJECT}
_FORM = {"project": PROJECT}
_BODY = {"project_id": PROJECT}
_SECTIONS = (
    "sla", "working-hours", "cycle", "urgent", "statuses", "dashboard", "sync", "options", "two-way", "status-map",
    "conflicts", "address", "general",
)  # fmt: skip
_MARTS = (
    "stages", "statuses", "cycles", "sla", "success", "cancellations", "first-pass", "throughput", "bottlenecks",
    "ageing", "transitions", "variants",
)  # fmt: skip
_RIGHTS = {"role": "viewer", "scope": "all"}

TABLE: dict[str, Line] = {
    # The server itself
    "GET /health": EVERYBODY,
    "GET /health/live": EVERYBODY,
    "GET /health/ready": EVERYBODY,
    "GET /static/{digest}/{name}": EVERYBODY.with_(path={"digest": "0", "name": "shell.css"}),
    "GET /openapi.json": USERS,
    # Sessions
    "GET /login": EVERYBODY,
    "POST /login": EVERYBODY.with_(json={}),
    "POST /preferences": EVERYBODY.with_(form={"language": "uk"}),
    "POST /logout": USERS,
    "GET /api/session": USERS,
    "POST /api/session/refresh": USERS,
    "GET /account": PEOPLE,
    "POST /account/password": PEOPLE.with_(form={"password": "one", "again": "another"}),
    "PUT /api/account/password": PEOPLE.with_(json={"current": "x", "password": "short"}),
    # Streams
    "GET /api/stream/orders": OF_PROJECT.with_(query={"project": PROJECT}),
    "POST /hubs/keycrm/negotiate": USERS,
    "WEBSOCKET /hubs/keycrm": OF_PROJECT.with_(query={"project": PROJECT}),
    # Home
    "GET /": USERS,
    "GET /api/projects": OF_PROJECT.with_(query={"project": PROJECT}),
    # Users
    "GET /users": MANAGERS,
    "GET /users/new": MANAGERS,
    "POST /users/new": MANAGERS.with_(form=_RIGHTS),
    "GET /users/{user_id:int}": MANAGERS.with_(path=_USER),
    "POST /users/{user_id:int}/rights": MANAGERS.with_(path=_USER, form=_RIGHTS),
    "POST /users/{user_id:int}/password": MANAGERS.with_(path=_USER, form={"password": "short"}),
    "POST /users/{user_id:int}/enable": MANAGERS.with_(path=_USER, form={}),
    "POST /users/{user_id:int}/disable": MANAGERS.with_(path=_USER, form={}),
    "POST /users/{user_id:int}/unlock": MANAGERS.with_(path=_USER, form={}),
    "GET /api/users": MANAGERS,
    "POST /api/users": MANAGERS.with_(json={"login": "a b", "password": "x", "projects": None}),
    "GET /api/users/{user_id}": MANAGERS.with_(path=_USER),
    "PUT /api/users/{user_id}": MANAGERS.with_(path=_USER, json={"is_enabled": True}),
    "PUT /api/users/{user_id}/password": MANAGERS.with_(path=_USER, json={"password": "short"}),
    "POST /api/users/{user_id}/unlock": MANAGERS.with_(path=_USER),
    # Tokens for scripts
    "GET /tokens": MANAGERS,
    "POST /tokens": MANAGERS.with_(form=_RIGHTS),
    "POST /tokens/{token_id:uuid}/revoke": MANAGERS.with_(path={"token_id": A_TOKEN}, form={}),
    "GET /api/tokens": MANAGERS,
    "POST /api/tokens": MANAGERS.with_(json={"name": "", "projects": None}),
    "DELETE /api/tokens/{token_id}": MANAGERS.with_(path={"token_id": ANOTHER_TOKEN}),
    # Audit log
    "GET /audit": USERS,
    "GET /api/audit": OF_PROJECT.with_(query={"project": PROJECT}),
    # Integrations
    "GET /integrations": USERS,
    "GET /integrations/add/project": ADMINS,
    "POST /integrations/add/project": MANAGERS.with_(form={}),
    "GET /integrations/{project_id}": OF_PROJECT,
    "POST /integrations/{project_id}/test": ADMINS_OF_PROJECT,
    "POST /integrations/{project_id}/state": ADMINS_OF_PROJECT.with_(form={"enabled": "true"}),
    "POST /integrations/{project_id}/syncs": ADMINS_OF_PROJECT.with_(form={"since": "never"}),
    "GET /integrations/{project_id}/syncs/{request_id}": OF_PROJECT.with_(path=_SYNC),
    "GET /integrations/{project_id}/logs": OF_PROJECT,
    "GET /integrations/{project_id}/access": OF_PROJECT,
    "POST /integrations/{project_id}/access/credentials": ADMINS_OF_PROJECT.with_(form={}),
    "GET /integrations/{project_id}/oauth": ADMINS_OF_PROJECT,
    "GET /integrations/{project_id}/webhooks": OF_PROJECT,
    "POST /integrations/{project_id}/webhooks/secret": ADMINS_OF_PROJECT,
    "POST /integrations/{project_id}/webhooks/register": ADMINS_OF_PROJECT,
    "GET /integrations/{project_id}/files": OF_PROJECT.with_(path=_FILES),
    "POST /integrations/{project_id}/files": ADMINS_OF_PROJECT.with_(path=_FILES, form={}),
    "GET /integrations/{project_id}/files/{upload_id}": OF_PROJECT.with_(path={**_FILES, **_UPLOAD}),
    "GET /integrations/{project_id}/files/{upload_id}/report": ADMINS_OF_PROJECT.with_(path={**_FILES, **_UPLOAD}),
    "GET /integrations/{project_id}/definition": OF_PROJECT.with_(path=_DEFINED),
    "POST /integrations/{project_id}/definition": ADMINS_OF_PROJECT.with_(path=_DEFINED, form={}),
    "GET /api/integrations": USERS,
    "GET /api/integrations/{project_id}": OF_PROJECT,
    "PUT /api/integrations/{project_id}/state": ADMINS_OF_PROJECT.with_(json={"is_enabled": True}),
    "POST /api/integrations/{project_id}/test": ADMINS_OF_PROJECT,
    "POST /api/integrations/{project_id}/syncs": ADMINS_OF_PROJECT.with_(json={"stream": "none"}),
    "GET /api/integrations/{project_id}/syncs/{request_id}": OF_PROJECT.with_(path=_SYNC),
    "GET /api/integrations/{project_id}/logs": OF_PROJECT,
    "GET /api/integrations/{project_id}/statistics": OF_PROJECT,
    "GET /api/integrations/{project_id}/webhooks": OF_PROJECT,
    "GET /api/integrations/{project_id}/webhooks/payloads": OF_PROJECT,
    "POST /api/integrations/{project_id}/webhooks/secret": ADMINS_OF_PROJECT,
    "GET /api/integrations/{project_id}/credentials": OF_PROJECT,
    "PUT /api/integrations/{project_id}/credentials": ADMINS_OF_PROJECT.with_(json={"values": {"none": "x"}}),
    "GET /api/integrations/{project_id}/uploads": OF_PROJECT.with_(path=_FILES),
    "POST /api/integrations/{project_id}/uploads": ADMINS_OF_PROJECT.with_(path=_FILES),
    "GET /api/integrations/{project_id}/uploads/{upload_id}": OF_PROJECT.with_(path={**_FILES, **_UPLOAD}),
    "GET /api/integrations/{project_id}/uploads/{upload_id}/report": ADMINS_OF_PROJECT.with_(
        path={**_FILES, **_UPLOAD}
    ),
    "POST /api/integrations/{project_id}/definition/trial": ADMINS_OF_PROJECT.with_(
        path=_DEFINED, json={"definition": {}, "sample": ""}
    ),
    # Orders
    "GET /orders": USERS.with_(needs_marts=True),
    "GET /orders/{project_id}/{order_id:path}": OF_MARTS.with_(path=_ORDER),
    "POST /orders/{project_id}/{order_id:path}": ADMINS_OF_PROJECT.with_(path=_ORDER, form={}, needs_marts=True),
    "GET /api/orders": OF_MARTS.with_(query=_QUERY),
    "GET /api/orders/export.csv": OF_MARTS.with_(query=_QUERY),
    "GET /api/orders/{order_id:path}/timeline": OF_MARTS.with_(path=_ORDER, query=_QUERY),
    "PUT /api/orders/{order_id:path}/override": ADMINS_OF_PROJECT.with_(
        path=_ORDER, query=_QUERY, json={"is_urgent": True, "reason": "Friday"}, needs_marts=True
    ),
    "DELETE /api/orders/{order_id:path}/override": ADMINS_OF_PROJECT.with_(path=_ORDER, query=_QUERY, needs_marts=True),
    "GET /api/dicts/statuses": OF_MARTS.with_(query=_QUERY),
    # Analytics
    "GET /analytics": USERS,
    "GET /analytics/cycles": USERS,
    "GET /analytics/sla": USERS,
    "GET /analytics/flow": USERS,
    "GET /analytics/map": USERS,
    "GET /analytics/variants": USERS,
    "GET /analytics/map/orders": OF_PROJECT.with_(query={**_QUERY, "from": "1", "to": "2"}),
    "GET /analytics/variants/orders": OF_PROJECT.with_(query={**_QUERY, "variant": "1"}),
    **{f"GET /api/analytics/{name}": OF_MARTS.with_(query=_QUERY) for name in _MARTS},
    # Two-way synchronisation
    "GET /sync": USERS,
    "GET /sync/outbox": USERS,
    "GET /sync/links": USERS,
    "GET /sync/consistency": USERS,
    "POST /sync/consistency": ADMINS_OF_PROJECT.with_(form=_FORM),
    "GET /sync/resyncs": USERS,
    "POST /sync/resyncs": ADMINS_OF_PROJECT.with_(form=_FORM),
    "POST /sync/resyncs/{project_id}/{number}/cancel": ADMINS_OF_PROJECT.with_(path={"number": 900001}, form={}),
    "POST /sync/objects": ADMINS_OF_PROJECT.with_(form={**_FORM, "kind": "orders", "id": "1", "side": "crm"}),
    "GET /sync/dead-letters": USERS,
    "GET /sync/dead-letters/all": ADMINS.with_(query={"deed": "retry"}),
    "POST /sync/dead-letters/all": ADMINS.with_(form={"deed": "retry", "last_id": "1"}),
    "GET /sync/dead-letters/{number}": OF_PROJECT.with_(path={"number": 900001}),
    "POST /sync/dead-letters/{number}/{deed}": ADMINS_OF_PROJECT.with_(
        path={"number": 900001, "deed": "discard"}, form={}
    ),
    "GET /sync/conflicts": USERS,
    "GET /sync/conflicts/{number}": OF_PROJECT.with_(path={"number": 900001}),
    "POST /sync/conflicts/{number}": ADMINS_OF_PROJECT.with_(path={"number": 900001}, form={}),
    "GET /api/sync/status": OF_PROJECT.with_(query=_QUERY),
    "GET /api/sync/outbox": OF_PROJECT.with_(query=_QUERY),
    "GET /api/sync/links": OF_PROJECT.with_(query=_QUERY),
    "GET /api/sync/consistency": OF_PROJECT.with_(query=_QUERY),
    "POST /api/sync/consistency": ADMINS_OF_PROJECT.with_(json=_BODY),
    "GET /api/sync/resyncs": OF_PROJECT.with_(query=_QUERY),
    "POST /api/sync/resyncs": ADMINS_OF_PROJECT.with_(json=_BODY),
    "GET /api/sync/resyncs/{project_id}/{resync_id}": OF_PROJECT.with_(path=_RESYNC),
    "DELETE /api/sync/resyncs/{project_id}/{resync_id}": ADMINS_OF_PROJECT.with_(path=_RESYNC),
    "POST /api/sync/objects": ADMINS_OF_PROJECT.with_(json={**_BODY, "kind": "orders", "id": "1", "side": "crm"}),
    "GET /api/dead-letters": OF_PROJECT.with_(query=_QUERY),
    "GET /api/dead-letters/{dead_letter_id}": OF_PROJECT.with_(path=_LETTER),
    "POST /api/dead-letters/retry": ADMINS_OF_PROJECT.with_(json={"ids": [900002], "project": [PROJECT]}),
    "POST /api/dead-letters/discard": ADMINS_OF_PROJECT.with_(json={"ids": [900002], "project": [PROJECT]}),
    "POST /api/dead-letters/{dead_letter_id}/retry": ADMINS_OF_PROJECT.with_(path=_ANOTHER_LETTER),
    "POST /api/dead-letters/{dead_letter_id}/discard": ADMINS_OF_PROJECT.with_(path=_ANOTHER_LETTER),
    "GET /api/conflicts": OF_PROJECT.with_(query=_QUERY),
    "GET /api/conflicts/{conflict_id}": OF_PROJECT.with_(path=_CONFLICT),
    "POST /api/conflicts/{conflict_id}/resolve": ADMINS_OF_PROJECT.with_(path=_CONFLICT, json={"winner": "vms"}),
    # Settings
    "GET /settings": USERS,
    "GET /settings/{project_id}": OF_PROJECT,
    "GET /settings/{project_id}/export.yaml": OF_PROJECT,
    "GET /settings/{project_id}/{section}": OF_PROJECT.with_(path={"section": "sla"}),
    "POST /settings/{project_id}/{section}": ADMINS_OF_PROJECT.with_(path={"section": "sla"}, form={}),
    "POST /settings/undo/{audit_id}": ADMINS_OF_PROJECT.with_(path=_CHANGE, form={}),
    "GET /api/settings/export": OF_PROJECT.with_(query=_QUERY),
    "POST /api/settings/undo/{audit_id}": ADMINS_OF_PROJECT.with_(path=_CHANGE),
    **{f"GET /api/settings/{name}": OF_PROJECT.with_(query=_QUERY) for name in _SECTIONS},
    **{
        f"PUT /api/settings/{name}": ADMINS_OF_PROJECT.with_(query=_QUERY, json={"value": {}, "version": "another"})
        for name in _SECTIONS
    },
}
