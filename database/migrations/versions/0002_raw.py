"""Schema raw: what arrived, verbatim and append-only."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UP = """
create schema raw;
comment on schema raw is 'What arrived, verbatim, append-only; core can be rebuilt from here alone';

create table raw.webhook_events (
    event_id bigint generated always as identity,
    project_id text not null,
    crm text not null,
    event_name text,                               -- from the route, where it names one
    received_at timestamptz not null default clock_timestamp(),
    content_type text,
    content_hash bytea not null,                   -- SHA-256 of the body
    headers jsonb not null default '{}',           -- without authentication headers
    query jsonb not null default '{}',             -- without the token
    remote_address inet,
    body text not null,
    primary key (project_id, event_id)
);
create index webhook_events_by_time on raw.webhook_events (project_id, received_at);
create index webhook_events_by_hash on raw.webhook_events (project_id, content_hash);

create table raw.api_records (
    record_id bigint generated always as identity,
    project_id text not null,
    crm text not null,
    stream text not null,                          -- orders, customers, statuses ...
    crm_id text not null,
    fetched_at timestamptz not null default clock_timestamp(),
    run_id bigint,
    content_hash bytea not null,
    body text not null,
    primary key (project_id, record_id)
);
create index api_records_by_time on raw.api_records (project_id, fetched_at);
create index api_records_by_object on raw.api_records (project_id, stream, crm_id, record_id);

create table raw.rejected (
    rejected_id bigint generated always as identity,
    project_id text not null,
    crm text not null,
    received_at timestamptz not null default clock_timestamp(),
    reason text not null,
    content_type text,
    headers jsonb not null default '{}',
    remote_address inet,
    body bytea not null,
    primary key (project_id, rejected_id)
);
comment on table raw.rejected is 'Authentic but unreadable payloads, kept byte by byte';
"""

DOWN = "drop schema raw cascade;"


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
