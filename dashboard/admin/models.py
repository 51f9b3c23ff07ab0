"""JSON of users, tokens and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from dashboard.admin.diff import differences
from database.repositories.audit import AuditEntry
from database.repositories.script_tokens import ScriptTokenRow
from database.repositories.users import Role, UserRow

_PROJECTS = Field(description="Ids of projects; null: all, those to come too.", examples=[["print-shop"]])
_PASSWORD = Field(description="At least 10 characters.", examples=["correct horse battery"], repr=False)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class User(BaseModel):
    user_id: int = Field(examples=[7])
    login: str = Field(examples=["ann@example.com"])
    role: Role
    projects: list[str] | None = _PROJECTS
    is_enabled: bool
    locked_until: datetime | None = Field(description="Until then no password is looked at.", examples=[None])
    last_login_at: datetime | None = Field(description="null: never.", examples=["2026-11-21T08:03:11Z"])
    created_at: datetime = Field(examples=["2026-01-05T10:00:00Z"])

    @classmethod
    def of(cls, row: UserRow) -> User:
        return cls(
            user_id=row.user_id, login=row.login, role=row.role, projects=row.project_ids, is_enabled=row.is_enabled,
            locked_until=row.locked_until, last_login_at=row.last_login_at, created_at=row.created_at,
        )  # fmt: skip


class Users(BaseModel):
    items: list[User]
    next: None = Field(default=None, description="All users are on one page.")


class NewUser(_Body):
    login: str = Field(description="An e-mail address or a name without blanks.", examples=["ann@example.com"])
    password: str = _PASSWORD
    role: Role = "viewer"
    projects: list[str] | None = _PROJECTS


class UserChange(_Body):
    """What is left out stays; `projects` counts where `role` is given."""

    role: Role | None = Field(default=None, examples=["viewer"])
    projects: list[str] | None = Field(default=None, description="As in `User`; needs `role`.", examples=[["almond"]])
    is_enabled: bool | None = Field(default=None, examples=[True])


class NewPassword(_Body):
    password: str = _PASSWORD


class OwnPassword(_Body):
    current: str = Field(description="The password of now.", examples=["correct horse"], repr=False)
    password: str = _PASSWORD


class Token(BaseModel):
    token_id: UUID = Field(description="Id of the token.", examples=["6f1c0a52-7d1e-4a47-9d3c-0f4f1d1f2a10"])
    name: str = Field(description="What it is for.", examples=["nightly export"])
    hint: str = Field(description="How the token begins.", examples=["crm_x1Yz"])
    role: Role
    projects: list[str] | None = _PROJECTS
    expires_at: datetime | None = Field(description="null: it holds until it is revoked.", examples=[None])
    created_by: str = Field(examples=["user:ann@example.com"])
    created_at: datetime = Field(examples=["2026-01-05T10:00:00Z"])
    last_used_at: datetime | None = Field(description="To the minute.", examples=["2026-11-21T08:03:11Z"])
    revoked_at: datetime | None = Field(description="null: it counts.", examples=[None])
    revoked_by: str | None = Field(description="Who revoked it; null: it counts.", examples=[None])

    @classmethod
    def of(cls, row: ScriptTokenRow) -> Token:
        return cls(**_token(row))


class CreatedToken(Token):
    token: str = Field(
        description="Shown this once: send it as `Authorization: Bearer`.", examples=["crm_x1Yz..."], repr=False
    )

    @classmethod
    def shown(cls, row: ScriptTokenRow, token: str) -> CreatedToken:
        return cls(**_token(row), token=token)


class Tokens(BaseModel):
    items: list[Token]
    next: None = Field(default=None, description="All tokens are on one page.")


class NewToken(_Body):
    name: str = Field(description="What the token is for.", examples=["nightly export"])
    role: Role = Field(default="viewer", description="An admin's may change settings, but no users and no tokens.")
    projects: list[str] | None = _PROJECTS
    expires_at: AwareDatetime | None = Field(
        default=None, description="null: it holds until it is revoked.", examples=["2027-01-01T00:00:00Z"]
    )


class Difference(BaseModel):
    path: str = Field(description="Place in the value; empty: the value itself.", examples=["limit"])
    before: str | None = Field(examples=["08:00"])
    after: str | None = Field(examples=["06:00"])


class Entry(BaseModel):
    audit_id: int = Field(description="Id of the entry.", examples=[1204])
    at: datetime = Field(description="When it was done.", examples=["2026-11-21T08:03:11Z"])
    actor: str = Field(description="`user:LOGIN`, `token:NAME`, `cli:NAME` or a process.", examples=["user:ann"])
    action: str = Field(examples=["changed"])
    project_id: str | None = Field(description="null: it belongs to no project.", examples=["print-shop"])
    object: str = Field(examples=["sla group 2 normal"])
    before: Any = Field(description="JSON, without secrets; null: there was nothing.", examples=["08:00"])
    after: Any = Field(description="JSON, without secrets; null: there is nothing.", examples=["06:00"])
    differences: list[Difference] = Field(description="The same, place by place.")

    @classmethod
    def of(cls, row: AuditEntry) -> Entry:
        return cls(
            audit_id=row.audit_id, at=row.at, actor=row.actor, action=row.action, project_id=row.project_id,
            object=row.object, before=row.before, after=row.after,
            differences=[
                Difference(path=one.path, before=one.before, after=one.after)
                for one in differences(row.before, row.after)
            ],
        )  # fmt: skip


class Entries(BaseModel):
    items: list[Entry]
    next: str | None = Field(description="Cursor: `after` for the next page; null: the last page.", examples=["1180"])


def _token(row: ScriptTokenRow) -> dict[str, Any]:
    return {
        "token_id": row.token_id, "name": row.name, "hint": row.hint, "role": row.role, "projects": row.project_ids,
        "expires_at": row.expires_at, "created_by": row.created_by, "created_at": row.created_at,
        "last_used_at": row.last_used_at, "revoked_at": row.revoked_at, "revoked_by": row.revoked_by,
    }  # fmt: skip
