"""Statistics of webhooks by day, and indexes for the pages about integrations."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

UP = """
create table sync.webhook_statistics (
    project_id text not null,
    day date not null,                             -- UTC
    received bigint not null default 0,            -- landed in raw.webhook_events
    duplicates bigint not null default 0,          -- of them, with a body that had come before
    late bigint not null default 0,                -- status events older than one that was known of their order
    primary key (project_id, day)
);
comment on table sync.webhook_statistics is 'Webhooks by day, up to the marks; what came later is counted when asked for';

create table sync.webhook_marks (
    project_id text primary key,
    event_id bigint not null default 0,            -- raw.webhook_events counted up to here
    status_event_id bigint not null default 0      -- core.order_status_events counted up to here
);

create table sync.webhook_refusals (
    project_id text not null,
    day date not null,                             -- UTC
    code text not null,                            -- as the answer said: not_authentic, unreadable, too_large ...
    refused bigint not null,
    last_at timestamptz not null,
    primary key (project_id, day, code)
);
comment on table sync.webhook_refusals is 'Webhooks that the ingest API refused; those that were authentic are in raw.rejected too';

create index integration_logs_by_level on sync.integration_logs (project_id, level, log_id desc);
create index transaction_changes_by_time on core.transaction_changes using brin (changed_at);
"""

DOWN = """
drop index core.transaction_changes_by_time;
drop index sync.integration_logs_by_level;
drop table sync.webhook_refusals;
drop table sync.webhook_marks;
drop table sync.webhook_statistics;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
