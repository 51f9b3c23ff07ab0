"""Tokens for scripts, and ways into the audit log by who, what and when."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

UP = """
create table config.script_tokens (
    token_id uuid primary key default gen_random_uuid(),
    name text not null check (name = btrim(name) and name <> ''),
    token_hash bytea not null unique check (length(token_hash) = 32), -- SHA-256: the token itself is kept nowhere
    hint text not null,                            -- how it begins, to tell it from others
    role text not null check (role in ('admin', 'viewer')),
    project_ids text[],                            -- null: all projects, those to come too
    expires_at timestamptz,                        -- null: it holds until it is revoked
    created_by text not null,
    created_at timestamptz not null default clock_timestamp(),
    last_used_at timestamptz,                      -- to the minute
    revoked_at timestamptz,
    revoked_by text
);
comment on table config.script_tokens is 'What programs show instead of a login';
create unique index script_tokens_one_name on config.script_tokens (name) where revoked_at is null;
create trigger script_tokens_notify after delete or update of role, project_ids, expires_at, revoked_at
    on config.script_tokens for each statement execute function config.notify_users();

create index audit_log_by_actor on config.audit_log (actor, audit_id);
create index audit_log_by_action on config.audit_log (action, audit_id);
create index audit_log_by_time on config.audit_log (at);
"""

DOWN = """
drop index config.audit_log_by_time;
drop index config.audit_log_by_action;
drop index config.audit_log_by_actor;
drop table config.script_tokens;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
