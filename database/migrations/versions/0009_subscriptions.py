"""Who downstream is told of sales, and what was told."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UP = """
create table config.subscriptions (
    subscription_id text primary key,
    url text,                                      -- null: nothing is sent, it asks
    project_ids text[],                            -- null: of all projects
    is_medical boolean not null default false,     -- health data too
    key_id text not null,
    nonce bytea not null,
    ciphertext bytea not null,                     -- the secret: signs what is sent, opens the feed
    is_enabled boolean not null default true,
    disabled_reason text,
    position bigint not null default 0,            -- core.transaction_changes up to here are in sync.deliveries
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table sync.deliveries (
    delivery_id bigint generated always as identity primary key,
    subscription_id text not null references config.subscriptions on delete cascade,
    position bigint not null references core.transaction_changes on delete cascade,
    project_id text not null,
    external_id text not null,
    state text not null default 'waiting' check (state in ('waiting', 'sent', 'failed')),
    attempts integer not null default 0,
    not_before timestamptz not null default '-infinity', -- while it is being sent: when the sender is given up
    last_status integer,
    last_error text,
    created_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    unique (subscription_id, position)
);
comment on table sync.deliveries is 'Versions of sales to send to a subscription, in order for each sale';
create index deliveries_due on sync.deliveries (not_before) where state = 'waiting';
create index deliveries_by_sale on sync.deliveries (subscription_id, project_id, external_id, position)
    where state = 'waiting';
"""

DOWN = """
drop table sync.deliveries;
drop table config.subscriptions;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
