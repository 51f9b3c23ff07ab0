"""Sums of runs by day, so that statistics of synchronisation do not read every run there ever was."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

UP = """
create table sync.run_days (
    project_id text not null,
    day date not null,                             -- UTC, on which the runs began
    synced bigint not null,                        -- rows new or changed
    succeeded bigint not null,
    failed bigint not null,                        -- or abandoned
    timed bigint not null,                         -- successful ones that say when they ended
    timed_us bigint not null ,                     -- what those took, in microseconds
    last_success_at timestamptz,                   -- the latest end of a successful one
    last_success_started_at timestamptz,
    failed_since_success bigint not null,          -- failed ones that began after that
    primary key (project_id, day)
);
comment on table sync.run_days is
    'Runs by day, replays and nightly comparisons left out. It counts for days without runs that are not summed';

alter table sync.runs add column is_summed boolean not null default false;
comment on column sync.runs.is_summed is 'Whether sync.run_days has it; set when its day is over and the run too';
create index runs_to_sum on sync.runs (project_id, started_at) where not is_summed;

create function sync.sum_run_again() returns trigger language plpgsql as $$
begin
    new.is_summed := false;
    return new;
end $$;
create trigger runs_sum_again before update on sync.runs for each row
    when (old.is_summed and new.is_summed and (old.kind, old.state, old.finished_at, old.rows_new, old.rows_changed)
        is distinct from (new.kind, new.state, new.finished_at, new.rows_new, new.rows_changed))
    execute function sync.sum_run_again();
"""

DOWN = """
drop trigger runs_sum_again on sync.runs;
drop function sync.sum_run_again();
alter table sync.runs drop column is_summed;
drop table sync.run_days;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
