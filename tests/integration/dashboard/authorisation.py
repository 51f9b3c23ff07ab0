"""Who may call what: one line for each route of the dashboard.

The key is `METHOD /path` as the route is declared (`WEBSOCKET` for sockets). A line says what each of four callers
gets:

    anonymous   nobody is logged in
    stranger    a viewer of another project (`almond`)
    viewer      a viewer of this project (`print-shop`)
    admin       an admin

as PASSES (anything but 401, 403 and 404: the request got by, whatever became of it), or 401, 403, 404. Most lines are
one of EVERYBODY, USERS, ADMINS, OF_PROJECT, ADMINS_OF_PROJECT; `.with_(...)` adds values of path parameters, a query, a
JSON body or a form. `{project}` and `{project_id}` are print-shop by themselves. Rows that must be there for a route
are inserted by SEED. All callers send a bearer token, and each line gets fresh ones.

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
    admin: Expected
    path: Mapping[str, object] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None

    def with_(self, **values: Any) -> Line:
        """`path`, `query`, `json`, `form`."""
        return replace(self, **values)

    def expected(self) -> dict[str, Expected]:
        """The admin last: what it does may be gone afterwards."""
        return {
            "anonymous": self.anonymous, "stranger": self.stranger, "viewer": self.viewer, "admin": self.admin
        }  # fmt: skip


EVERYBODY = Line(PASSES, PASSES, PASSES, PASSES)
USERS = Line(401, PASSES, PASSES, PASSES)
"""Lists and pages that show what one may see."""
ADMINS = Line(401, 403, 403, PASSES)
OF_PROJECT = Line(401, 404, PASSES, PASSES)
ADMINS_OF_PROJECT = Line(401, 403, 403, PASSES)
"""Whether the project is looked at first (404 for the stranger) or the role, a stranger learns nothing."""

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
)

_FILES = {"project_id": "till"}
_DEFINED = {"project_id": "orchard"}
_UPLOAD = {"upload_id": 900001}
_SYNC = {"request_id": 900001}
_USER = {"user_id": 900001}
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
    "GET /account": USERS,
    "POST /account/password": USERS.with_(form={"password": "one", "again": "another"}),
    "PUT /api/account/password": USERS.with_(json={"current": "x", "password": "short"}),
    # Streams
    "GET /api/stream/orders": OF_PROJECT.with_(query={"project": PROJECT}),
    "POST /hubs/keycrm/negotiate": USERS,
    "WEBSOCKET /hubs/keycrm": OF_PROJECT.with_(query={"project": PROJECT}),
    # Home
    "GET /": USERS,
    "GET /api/projects": OF_PROJECT.with_(query={"project": PROJECT}),
    # Users
    "GET /users": ADMINS,
    "GET /users/new": ADMINS,
    "POST /users/new": ADMINS.with_(form=_RIGHTS),
    "GET /users/{user_id:int}": ADMINS.with_(path=_USER),
    "POST /users/{user_id:int}/rights": ADMINS.with_(path=_USER, form=_RIGHTS),
    "POST /users/{user_id:int}/password": ADMINS.with_(path=_USER, form={"password": "short"}),
    "POST /users/{user_id:int}/enable": ADMINS.with_(path=_USER, form={}),
    "POST /users/{user_id:int}/disable": ADMINS.with_(path=_USER, form={}),
    "POST /users/{user_id:int}/unlock": ADMINS.with_(path=_USER, form={}),
    "GET /api/users": ADMINS,
    "POST /api/users": ADMINS.with_(json={"login": "a b", "password": "x", "projects": None}),
    "GET /api/users/{user_id}": ADMINS.with_(path=_USER),
    "PUT /api/users/{user_id}": ADMINS.with_(path=_USER, json={"is_enabled": True}),
    "PUT /api/users/{user_id}/password": ADMINS.with_(path=_USER, json={"password": "short"}),
    "POST /api/users/{user_id}/unlock": ADMINS.with_(path=_USER),
    # Tokens for scripts
    "GET /tokens": ADMINS,
    "POST /tokens": ADMINS.with_(form=_RIGHTS),
    "POST /tokens/{token_id:uuid}/revoke": ADMINS.with_(path={"token_id": A_TOKEN}, form={}),
    "GET /api/tokens": ADMINS,
    "POST /api/tokens": ADMINS.with_(json={"name": "", "projects": None}),
    "DELETE /api/tokens/{token_id}": ADMINS.with_(path={"token_id": ANOTHER_TOKEN}),
    # Audit log
    "GET /audit": USERS,
    "GET /api/audit": OF_PROJECT.with_(query={"project": PROJECT}),
    # Integrations
    "GET /integrations": USERS,
    "GET /integrations/add/project": ADMINS,
    "POST /integrations/add/project": ADMINS.with_(form={}),
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
}
