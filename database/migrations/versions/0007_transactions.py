"""Sales of every CRM with their history, the places they were made at, and tokens that CRMs give for a while."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UP = """
create table core.places (
    project_id text not null,
    place_id text not null,                        -- empty: the account itself
    name text,
    timezone text,                                 -- goes before the project's for reading times
    currency text,
    updated_at timestamptz not null default now(),
    primary key (project_id, place_id)
);

create table core.transactions (
    project_id text not null,
    external_id text not null,
    crm text not null,
    occurred_at timestamptz not null,
    amount numeric(18, 2) not null,
    currency text,
    customer_id text,
    phone_e164 text,
    email text,
    description text,
    order_id text,
    is_medical boolean not null default false,
    state text not null default 'active' check (state in ('active', 'reversed')),
    source text not null,                          -- webhook, pull, reread, history: what told of it last
    source_updated_at timestamptz,
    ingested_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (project_id, external_id)
);
comment on table core.transactions is 'Sales; one that is undone stays, as reversed';
create index transactions_by_time on core.transactions (project_id, occurred_at);
create index transactions_by_phone on core.transactions (phone_e164) where phone_e164 is not null;

create table core.transaction_changes (
    position bigint generated always as identity primary key,
    project_id text not null,
    external_id text not null,
    crm text not null,
    occurred_at timestamptz not null,
    amount numeric(18, 2) not null,
    currency text,
    customer_id text,
    phone_e164 text,
    email text,
    description text,
    order_id text,
    is_medical boolean not null,
    state text not null,
    changed_at timestamptz not null default clock_timestamp()
);
comment on table core.transaction_changes is
    'Every version of every transaction; positions are given under a lock and so in the order of commits';
create index transaction_changes_by_transaction on core.transaction_changes (project_id, external_id, position desc);

create table sync.tokens (
    project_id text primary key references config.projects on delete cascade,
    key_id text not null,
    nonce bytea not null,
    ciphertext bytea not null,                     -- a JSON object: token names and values
    issued_for bytea not null,                     -- hash of the credentials they were got with: others make them void
    updated_at timestamptz not null default now()
);
comment on table sync.tokens is 'Session and refresh tokens, AES-256-GCM as the credentials are';
"""

DOWN = """
drop table sync.tokens;
drop table core.transaction_changes;
drop table core.transactions;
drop table core.places;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
