"""Two-way sync: which objects are one and the same, what is agreed on, what is disputed, and what is told of it."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

UP = """
alter table config.projects
    add column vms jsonb not null default '{}',    -- flags of the two-way sync
    alter column status_map drop default,
    alter column status_map type json using status_map::json, -- keeps its order: of several, the first is what is sent
    alter column status_map set default '{}';

create table sync.mappings (
    mapping_id bigint generated always as identity,
    project_id text not null references config.projects on delete cascade,
    entity_type text not null check (entity_type in ('order', 'customer', 'article', 'payment')),
    vms_entity_id bigint not null,
    crm_entity_id text,                            -- null: not there yet
    idempotency_key uuid not null default gen_random_uuid(), -- source_uuid, externalId: known before the CRM's own id is
    agreed_vms jsonb not null default '{}',        -- field -> value in vms, when both sides were last in step
    agreed_crm jsonb not null default '{}',        -- field -> value at the CRM at that time
    ignored jsonb not null default '{}',           -- field -> why the CRM cannot take it
    overwritten jsonb not null default '{}',       -- field -> {was, at}: the CRM's values that our writes replaced, of
                                                   -- which core has not heard yet
    disputed text[] not null default '{}',         -- fields of its open conflict
    sync_status text not null default 'pending' check (sync_status in ('synced', 'pending', 'error')),
    error_message text,
    last_synced_at timestamptz,
    last_direction text check (last_direction in ('outbound', 'inbound')),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (project_id, mapping_id),
    unique (project_id, entity_type, vms_entity_id),
    unique (project_id, entity_type, crm_entity_id),
    unique (project_id, idempotency_key)
);
comment on table sync.mappings is 'An object of vms and the same object at the CRM';

create table sync.write_ledger (
    ledger_id bigint generated always as identity,
    project_id text not null,
    side text not null check (side in ('crm', 'vms')), -- where it was written
    entity_type text not null,
    entity_id text not null,                       -- its id on that side
    operation text not null,
    fields text[] not null,
    fields_hash bytea not null,                    -- SHA-256 of the fields and values written
    fingerprint bytea,                             -- of the object as the CRM has it since: its echoes have the same
    outbox_ids bigint[] not null default '{}',
    written_at timestamptz not null default clock_timestamp(),
    primary key (project_id, ledger_id)
);
comment on table sync.write_ledger is 'What the sync wrote, where and when: an echo of it changes nothing';
create index write_ledger_by_entity on sync.write_ledger (project_id, side, entity_type, entity_id, ledger_id desc);
create index write_ledger_by_time on sync.write_ledger (written_at);

create table sync.inbound_queue (
    queue_id bigint generated always as identity,
    project_id text not null,
    entity_type text not null check (entity_type in ('order', 'customer', 'article')),
    crm_entity_id text not null,
    attempts integer not null default 0,
    not_before timestamptz not null default clock_timestamp(),
    enqueued_at timestamptz not null default clock_timestamp(),
    primary key (project_id, queue_id)
);
comment on table sync.inbound_queue is
    'Objects of core that changed and are not in vms yet: inserted in the transaction that changes core';
create index inbound_queue_by_object on sync.inbound_queue (project_id, entity_type, crm_entity_id);
create index inbound_queue_due on sync.inbound_queue (not_before, queue_id);

create table sync.conflicts (
    conflict_id bigint generated always as identity,
    project_id text not null,
    entity_type text not null,
    vms_entity_id bigint not null,
    crm_entity_id text not null,
    fields jsonb not null,                         -- field -> {vms, crm, crm_own (in the CRM's own words), agreed_vms,
                                                   -- agreed_crm, vms_changed_at, crm_changed_at}
    state text not null default 'open' check (state in ('open', 'resolved')),
    resolution jsonb,                              -- field -> vms or crm
    opened_at timestamptz not null default clock_timestamp(),
    resolved_at timestamptz,
    resolved_by text,                              -- a person; or settled: the sides came to agree
    primary key (project_id, conflict_id)
);
comment on table sync.conflicts is 'Fields that both sides changed, for a person to decide: policy manual';
create unique index conflicts_one_open on sync.conflicts (project_id, entity_type, vms_entity_id) where state = 'open';

create index audit_log_by_object on config.audit_log (project_id, object, audit_id);

create table sync.stream_events (
    event_id bigint generated always as identity primary key,
    project_id text not null,
    kind text not null check (kind in ('order', 'payment', 'buyer', 'stock')),
    entity_id text not null,                       -- the CRM's id, where it has one
    vms_entity_id bigint,
    origin text not null check (origin in ('crm', 'vms')),
    payload jsonb not null,
    happened_at timestamptz not null default clock_timestamp()
);
comment on table sync.stream_events is
    'Applied changes for those who listen; written last in a transaction, under a lock, so that ids are in the order of commits';
create index stream_events_by_time on sync.stream_events (happened_at);
create function sync.notify_stream_events() returns trigger language plpgsql as $$
begin
    perform pg_notify('crm_elt_events', '');
    return null;
end $$;
create trigger stream_events_notify after insert on sync.stream_events
    for each statement execute function sync.notify_stream_events();

create function sync.notify_inbound() returns trigger language plpgsql as $$
begin
    perform pg_notify('crm_elt_inbound', '');
    return null;
end $$;
create trigger inbound_queue_notify after insert on sync.inbound_queue
    for each statement execute function sync.notify_inbound();

create table sync.consistency_checks (
    check_id bigint generated always as identity,
    project_id text not null,
    entity_type text not null,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    compared bigint not null default 0,
    differing bigint not null default 0,
    healed bigint not null default 0,              -- of those: the winner was clear, and its change is under way
    disputed bigint not null default 0,            -- of those: a person decides
    missing_at_crm bigint not null default 0,
    missing_in_vms bigint not null default 0,
    primary key (project_id, check_id)
);
comment on table sync.consistency_checks is 'What the comparison of both sides found, by kind of object';

create table sync.resyncs (
    resync_id bigint generated always as identity,
    project_id text not null,
    state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
    stage text,                                    -- pull, the kind of object that is compared, or end
    position jsonb not null default '{}',          -- how far the stage is: it goes on from here
    done bigint not null default 0,
    total bigint,
    requested_by text,
    requested_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    error_word text check (error_word in ('retry', 'config', 'permanent', 'skip_row')),
    message text,
    primary key (project_id, resync_id)
);
comment on table sync.resyncs is 'Full comparisons of both sides of a project, at somebody''s request';
create unique index resyncs_one_under_way on sync.resyncs (project_id) where state in ('queued', 'running');

alter table sync.dead_letters
    add column request text,                       -- outbound: what was sent, without secrets
    add column answer text;                        -- and what the CRM said to it

alter table sync.alerts
    drop constraint alerts_project_id_kind_subject_key,
    add column resolved_at timestamptz;            -- set: it is over, and may be raised again
create unique index alerts_one_open on sync.alerts (project_id, kind, subject) where resolved_at is null;
"""

DOWN = """
drop index sync.alerts_one_open;
delete from sync.alerts as a using sync.alerts as b
where a.alert_id < b.alert_id and a.project_id = b.project_id and a.kind = b.kind and a.subject = b.subject;
alter table sync.alerts
    drop column resolved_at,
    add constraint alerts_project_id_kind_subject_key unique (project_id, kind, subject);
alter table sync.dead_letters drop column answer, drop column request;
drop table sync.resyncs;
drop table sync.consistency_checks;
drop table sync.stream_events;
drop function sync.notify_stream_events;
drop table sync.conflicts;
drop index config.audit_log_by_object;
drop table sync.inbound_queue;
drop function sync.notify_inbound;
drop table sync.write_ledger;
drop table sync.mappings;
alter table config.projects
    alter column status_map drop default,
    alter column status_map type jsonb using status_map::jsonb,
    alter column status_map set default '{}',
    drop column vms;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
