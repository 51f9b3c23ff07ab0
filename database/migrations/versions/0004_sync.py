"""Schema sync: cursors, runs, queues and what could not be applied."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UP = """
create schema sync;
comment on schema sync is 'State of the flows: cursors, runs, queues, dead letters';

create table sync.cursors (
    project_id text not null references config.projects on delete cascade,
    stream text not null,
    cursor jsonb not null,                         -- the connector's own position, opaque here
    updated_at timestamptz not null default now(),
    primary key (project_id, stream)
);

create table sync.record_hashes (
    project_id text not null,
    stream text not null,
    crm_id text not null,
    content_hash bytea not null,                   -- of the newest body in raw.api_records
    updated_at timestamptz not null default now(),
    primary key (project_id, stream, crm_id)
);
comment on table sync.record_hashes is 'Makes an unchanged record add nothing';

create table sync.runs (
    run_id bigint generated always as identity,
    project_id text not null,
    kind text not null,                            -- pull, backfill, reread, replay
    stream text,
    trigger text not null,                         -- schedule, manual, webhook, backfill, cli
    state text not null default 'running' check (state in ('running', 'success', 'failed', 'abandoned')),
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    pages bigint not null default 0,
    rows_seen bigint not null default 0,
    rows_new bigint not null default 0,
    rows_changed bigint not null default 0,
    rows_unchanged bigint not null default 0,
    rows_failed bigint not null default 0,
    error_word text check (error_word in ('retry', 'config', 'permanent', 'skip_row')),
    error_message text,
    dagster_run_id text,
    primary key (project_id, run_id)
);
create index runs_by_time on sync.runs (project_id, started_at desc);
create index runs_running on sync.runs (project_id, started_at) where state = 'running';

create table sync.integration_logs (
    log_id bigint generated always as identity,
    project_id text not null,
    run_id bigint,
    logged_at timestamptz not null default clock_timestamp(),
    level text not null check (level in ('debug', 'info', 'warning', 'error')),
    error_word text check (error_word in ('retry', 'config', 'permanent', 'skip_row')),
    message text not null,
    details jsonb not null default '{}',           -- masked: no secrets, no personal data
    primary key (project_id, log_id)
);
create index integration_logs_by_time on sync.integration_logs (project_id, logged_at desc);

create table sync.raw_queue (
    queue_id bigint generated always as identity,
    project_id text not null,
    source text not null check (source in ('webhook', 'api')),
    raw_ids bigint[] not null,                     -- raw.webhook_events.event_id or raw.api_records.record_id
    attempts integer not null default 0,
    not_before timestamptz not null default '-infinity',
    enqueued_at timestamptz not null default clock_timestamp(),
    primary key (project_id, queue_id)
);
comment on table sync.raw_queue is 'Raw rows not yet in core: inserted in the transaction that lands them, deleted in the one that applies them';
create index raw_queue_by_age on sync.raw_queue (enqueued_at);

create table sync.requests (
    request_id bigint generated always as identity,
    project_id text not null references config.projects on delete cascade,
    stream text,                                   -- null: every stream of the project
    crm_id text,                                   -- one object
    since timestamptz,
    is_full boolean not null default false,
    origin text not null,                          -- manual, webhook
    state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
    attempts integer not null default 0,
    not_before timestamptz not null default '-infinity',
    requested_at timestamptz not null default clock_timestamp(),
    requested_by text,
    started_at timestamptz,
    finished_at timestamptz,
    error_word text check (error_word in ('retry', 'config', 'permanent', 'skip_row')),
    error_message text,
    result jsonb,
    primary key (project_id, request_id)
);
create unique index requests_one_waiting on sync.requests
    (project_id, coalesce(stream, ''), coalesce(crm_id, ''), is_full, coalesce(since, '-infinity'))
    where state = 'queued';
create index requests_due on sync.requests (not_before, requested_at) where state in ('queued', 'running');

create table sync.dead_letters (
    dead_letter_id bigint generated always as identity,
    project_id text not null,
    direction text not null default 'inbound' check (direction in ('inbound', 'outbound')),
    source text not null,                          -- webhook, api, request, or an outbound action
    raw_id bigint,
    stream text,
    crm_id text,
    error_word text not null check (error_word in ('retry', 'config', 'permanent', 'skip_row')),
    reason text not null,
    payload text,
    state text not null default 'open' check (state in ('open', 'resolved', 'discarded')),
    attempts integer not null default 1,
    first_failed_at timestamptz not null default clock_timestamp(),
    last_failed_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    closed_by text,
    primary key (project_id, dead_letter_id)
);
create unique index dead_letters_one_open on sync.dead_letters
    (project_id, direction, source, coalesce(raw_id, 0), coalesce(stream, ''), coalesce(crm_id, ''))
    where state = 'open';

create table sync.rate_limits (
    account_key text primary key,                  -- hash of CRM, address and API key: projects may share an account
    granted timestamptz[] not null default '{}',   -- the newest grants, oldest first, at most as many as the limit
    blocked_until timestamptz not null default '-infinity',
    updated_at timestamptz not null default clock_timestamp()
);

create table sync.heartbeats (
    process text not null,                         -- relay, ingest
    instance text not null,
    beat_at timestamptz not null default clock_timestamp(),
    details jsonb not null default '{}',
    primary key (process, instance)
);

create function sync.notify_raw() returns trigger language plpgsql as $$
begin
    perform pg_notify('crm_elt_raw', '');
    return null;
end $$;
create trigger raw_queue_notify after insert on sync.raw_queue
    for each statement execute function sync.notify_raw();

create function sync.notify_requests() returns trigger language plpgsql as $$
begin
    perform pg_notify('crm_elt_requests', '');
    return null;
end $$;
create trigger requests_notify after insert on sync.requests
    for each statement execute function sync.notify_requests();
"""

DOWN = "drop schema sync cascade;"


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
