"""Schema config: what `crm-elt apply` and the dashboard write."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UP = """
create schema config;
comment on schema config is 'Settings as code: projects, credentials, SLA, cycle and urgent rules, calendars, audit log';

create table config.projects (
    project_id text primary key check (project_id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name text not null,
    crm text not null,
    base_url text,
    timezone text not null,
    region text,                                   -- ISO 3166 alpha-2, for phones written without a country code
    currency text,                                 -- ISO 4217, where the API names none
    is_enabled boolean not null default true,
    disabled_reason text,                          -- set when a `config` error stopped the project
    near_threshold numeric(5, 4) not null default 0.8 check (near_threshold > 0 and near_threshold <= 1),
    webhook jsonb not null default '{}',           -- auth, header, encoding, prefix, ip_allow; the secret is in config.credentials
    sync jsonb not null default '{}',
    options jsonb not null default '{}',
    status_map jsonb not null default '{}',
    conflict_policy jsonb not null default '"newest"',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table config.credentials (
    project_id text not null references config.projects on delete cascade,
    name text not null,                            -- the connector's key, or `webhook.secret`
    key_id text not null,
    nonce bytea not null check (length(nonce) = 12),
    ciphertext bytea not null,                     -- AES-256-GCM; associated data binds project_id and name
    updated_at timestamptz not null default now(),
    primary key (project_id, name)
);

create table config.status_groups (
    project_id text not null references config.projects on delete cascade,
    status_group_id text not null,
    name text not null,
    primary key (project_id, status_group_id)
);
comment on table config.status_groups is 'Overlay on core.status_groups: what is set here goes before what the CRM reports';

create table config.statuses (
    project_id text not null references config.projects on delete cascade,
    status_id text not null,
    name text,
    status_group_id text,
    is_closing boolean,
    primary key (project_id, status_id)
);
comment on table config.statuses is 'Overlay on core.statuses: a null leaves what the CRM reports';

create table config.sla_rules (
    project_id text not null references config.projects on delete cascade,
    profile text not null default 'normal',        -- normal, urgent, or a named grid
    status_group_id text not null,
    limit_seconds bigint not null check (limit_seconds > 0),
    primary key (project_id, profile, status_group_id)
);

create table config.cycle_rules (
    project_id text not null references config.projects on delete cascade,
    cycle_rule_id text not null,
    title text not null,
    start_group_id text,
    start_status_id text,
    end_group_id text,
    end_status_id text,
    is_default boolean not null default false,
    primary key (project_id, cycle_rule_id),
    check (num_nonnulls(start_group_id, start_status_id) = 1),
    check (num_nonnulls(end_group_id, end_status_id) = 1)
);
create unique index cycle_rules_one_default on config.cycle_rules (project_id) where is_default;

create table config.urgent_rules (
    project_id text not null references config.projects on delete cascade,
    match text not null check (match in ('sku', 'offer_id', 'product_id')),
    value text not null,
    is_active boolean not null default true,
    primary key (project_id, match, value)
);

create table config.calendars (
    project_id text not null references config.projects on delete cascade,
    status_group_id text not null default '',      -- '' is the project's default calendar
    primary key (project_id, status_group_id)
);
comment on table config.calendars is 'A calendar exists even without windows: then it is always closed';

create table config.calendar_windows (
    project_id text not null,
    status_group_id text not null default '',
    weekday smallint not null check (weekday between 1 and 7),   -- ISO: 1 is Monday
    opens_at time not null check (opens_at < '24:00'),
    closes_at time not null check (closes_at <> opens_at and closes_at > '00:00'),  -- before opens_at: the next day
    primary key (project_id, status_group_id, weekday, opens_at, closes_at),
    foreign key (project_id, status_group_id) references config.calendars on delete cascade
);

create table config.calendar_exceptions (
    project_id text not null references config.projects on delete cascade,
    status_group_id text not null default '*',     -- '*' is every group and the default calendar
    exception_date date not null,
    primary key (project_id, status_group_id, exception_date)
);
comment on table config.calendar_exceptions is
    'Replaces the windows that start on the date; a group''s own exception goes before that for all groups; no windows is a day off';

create table config.calendar_exception_windows (
    project_id text not null,
    status_group_id text not null default '*',
    exception_date date not null,
    opens_at time not null check (opens_at < '24:00'),
    closes_at time not null check (closes_at <> opens_at and closes_at > '00:00'),
    primary key (project_id, status_group_id, exception_date, opens_at, closes_at),
    foreign key (project_id, status_group_id, exception_date) references config.calendar_exceptions on delete cascade
);

create table config.order_overrides (
    project_id text not null references config.projects on delete cascade,
    order_id text not null,
    is_urgent boolean,
    sla_profile text,
    cycle_start text,                              -- a status group that starts this order's cycles
    cycle_end text,
    reason text,
    updated_by text not null default current_user,
    updated_at timestamptz not null default now(),
    primary key (project_id, order_id)
);
comment on table config.order_overrides is 'Goes before every rule; a null column leaves the rule';

create table config.audit_log (
    audit_id bigint generated always as identity,
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    project_id text,                               -- no foreign key: the log outlives the project
    object text not null,
    before jsonb,
    after jsonb,
    primary key (audit_id)
);
create index audit_log_by_project on config.audit_log (project_id, audit_id);
"""

DOWN = "drop schema config cascade;"


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
