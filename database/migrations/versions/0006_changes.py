"""What changed since the marts were built: a log of changed orders, and which builds have done which of them."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UP = """
create table sync.order_changes (
    project_id text not null,
    order_id text,                                 -- null: every order of the project
    changed_at timestamptz not null default now()
);
comment on table sync.order_changes is
    'Orders whose events, items, record or overrides were written since the last build of the marts began; by triggers';
create index order_changes_by_order on sync.order_changes (project_id, order_id);

create table sync.order_changes_folded (
    project_id text not null,
    order_id text not null,
    primary key (project_id, order_id)
);
comment on table sync.order_changes_folded is
    'Of those, what has been brought into int_orders__latest already; the next build does it for all models';

create table sync.build_batches (
    batch_id bigint generated always as identity primary key,
    started_at timestamptz not null default now()
);
comment on table sync.build_batches is 'One row per build of the marts; a batch is what had changed when it began';

create table sync.build_orders (
    batch_id bigint not null,
    project_id text not null,
    order_id text not null,
    is_waiting boolean not null,                   -- written, and int_orders__latest does not show it; else only rules changed
    primary key (batch_id, project_id, order_id)
);
comment on table sync.build_orders is 'The orders of a batch, until every model has done it';

create table sync.build_dates (
    batch_id bigint not null,
    project_id text not null,
    local_date date not null,
    primary key (batch_id, project_id, local_date)
);
comment on table sync.build_dates is 'Local dates of the facts that a build changed: whose periods are aggregated anew';

create table sync.build_models (
    model text primary key,
    batch_id bigint not null,                      -- done up to this batch, in the transaction that wrote its rows
    built_batch_id bigint not null,                -- the last batch in which it was built,
    from_batch_id bigint not null,                 -- and how far it had come before
    rebuilt_batch_id bigint not null,              -- the last batch in which it was made anew as a whole
    code_hash text not null,                       -- of its compiled SQL: other code, and it is made anew
    live_query text                                -- the same over few orders, for those between two builds
);
comment on table sync.build_models is 'How far each incremental model of the marts has come';

create table sync.build_fingerprints (
    project_id text not null,
    part text not null,                            -- project, group/ID or status/ID
    fingerprint text not null,
    primary key (project_id, part)
);
comment on table sync.build_fingerprints is 'Of the settings and dictionaries that the marts were computed with';

create view sync.changed_orders as
select project_id, order_id from sync.order_changes where order_id is not null
union
select project_id, order_id from sync.build_orders
where
    is_waiting
    and batch_id > coalesce((select batch_id from sync.build_models where model = 'int_orders__latest'), 0);
comment on view sync.changed_orders is 'Orders of which the marts know less than core: orders_current computes them on the spot';

create view sync.orders_ahead as
select project_id, order_id from sync.changed_orders
union
select project_id, order_id from sync.order_changes_folded;
comment on view sync.orders_ahead is 'Orders that were written since the last build began, waiting or folded';

-- One statement's rows at a time. An update that changes nothing that the marts read is none.
create function sync.note_rows_written() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into sync.order_changes (project_id, order_id) select distinct project_id, order_id from new_rows;
    elsif tg_op = 'DELETE' then
        insert into sync.order_changes (project_id, order_id) select distinct project_id, order_id from old_rows;
    else
        insert into sync.order_changes (project_id, order_id)
        select project_id, order_id from old_rows union select project_id, order_id from new_rows;
    end if;
    return null;
end
$$;

create function sync.note_orders_updated() returns trigger language plpgsql as $$
begin
    insert into sync.order_changes (project_id, order_id)
    select distinct project_id, order_id
    from (
        select project_id, order_id, status_id, status_group_id, is_deleted, order_created_at, closed_at from old_rows
        union all
        select project_id, order_id, status_id, status_group_id, is_deleted, order_created_at, closed_at from new_rows
    ) as both_rows
    group by project_id, order_id, status_id, status_group_id, is_deleted, order_created_at, closed_at
    having count(*) = 1;
    return null;
end
$$;

create function sync.note_table_truncated() returns trigger language plpgsql as $$
begin
    insert into sync.order_changes (project_id) select project_id from config.projects;
    return null;
end
$$;
"""

_TABLES = ("core.orders", "core.order_status_events", "core.order_items", "config.order_overrides")


def _triggers(table: str) -> str:
    updated = "note_orders_updated" if table == "core.orders" else "note_rows_written"
    return f"""
create trigger note_inserted after insert on {table} referencing new table as new_rows
    for each statement execute function sync.note_rows_written();
create trigger note_updated after update on {table} referencing old table as old_rows new table as new_rows
    for each statement execute function sync.{updated}();
create trigger note_deleted after delete on {table} referencing old table as old_rows
    for each statement execute function sync.note_rows_written();
create trigger note_truncated after truncate on {table}
    for each statement execute function sync.note_table_truncated();
"""


# What was written before the triggers stood.
_EARLIER = "insert into sync.order_changes (project_id) select project_id from config.projects;"

_DOWN = """
drop function sync.note_rows_written() cascade;
drop function sync.note_orders_updated() cascade;
drop function sync.note_table_truncated() cascade;
drop view sync.orders_ahead, sync.changed_orders cascade;
drop table sync.order_changes, sync.order_changes_folded, sync.build_batches, sync.build_orders, sync.build_dates, sync.build_models,
    sync.build_fingerprints;
"""


def upgrade() -> None:
    op.execute(UP + "".join(_triggers(table) for table in _TABLES) + _EARLIER)


def downgrade() -> None:
    op.execute(_DOWN)
