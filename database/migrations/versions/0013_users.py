"""Who may look at the dashboard, and where they are logged in."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

UP = """
create table config.users (
    user_id bigint generated always as identity primary key,
    login text not null unique check (login = lower(btrim(login)) and login <> ''), -- an e-mail address or a name
    password_hash text not null,                   -- argon2id, with its parameters and salt
    role text not null check (role in ('admin', 'viewer')),
    project_ids text[],                            -- null: all projects, those to come too
    is_enabled boolean not null default true,
    failed_logins integer not null default 0,      -- since failing_since
    failing_since timestamptz,                     -- the first failure that counts: older ones are forgotten
    locked_until timestamptz,                      -- until then no password is looked at
    token_version integer not null default 1,      -- one more ends all sessions
    last_login_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
);
comment on table config.users is 'People and programs that may use the dashboard';

create table config.sessions (
    session_id uuid primary key default gen_random_uuid(),
    user_id bigint not null references config.users on delete cascade,
    kind text not null check (kind in ('cookie', 'bearer')),
    token_version integer not null,                -- the user's at login
    generation integer not null default 1,         -- of its newest token; the one before it holds a little longer
    confirmed_at timestamptz default clock_timestamp(), -- when that token was first used; null: not yet
    token_expires_at timestamptz not null,         -- the newest token's
    expires_at timestamptz not null,               -- no token lives longer
    ended_at timestamptz,
    ended_because text check (ended_because in ('logout', 'reuse')),
    created_at timestamptz not null default clock_timestamp()
);
comment on table config.sessions is 'Logins: tokens of a session that ended are refused';
create index sessions_by_user on config.sessions (user_id);
create index sessions_by_end on config.sessions (expires_at);

create function config.notify_users() returns trigger language plpgsql as $$
begin
    perform pg_notify('crm_elt_users', '');
    return null;
end $$;
create trigger users_notify after delete or update of role, project_ids, is_enabled, token_version on config.users
    for each statement execute function config.notify_users();
create trigger sessions_notify after update of ended_at on config.sessions
    for each statement execute function config.notify_users();
"""

DOWN = """
drop table config.sessions;
drop table config.users;
drop function config.notify_users;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
