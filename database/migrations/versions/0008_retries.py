"""Dead letters that are tried again by themselves, and alerts that are raised once."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UP = """
alter table sync.dead_letters
    drop constraint dead_letters_state_check,
    add constraint dead_letters_state_check check (state in ('open', 'permanently_failed', 'resolved', 'discarded')),
    add column retries integer not null default 0, -- by itself, after the first failure
    add column next_retry_at timestamptz;          -- null: a retry is under way, or a person must look
drop index sync.dead_letters_one_open;
create unique index dead_letters_one_open on sync.dead_letters
    (project_id, direction, source, coalesce(raw_id, 0), coalesce(stream, ''), coalesce(crm_id, ''))
    where state in ('open', 'permanently_failed');
create index dead_letters_due on sync.dead_letters (next_retry_at) where next_retry_at is not null;

create table sync.alerts (
    alert_id bigint generated always as identity primary key,
    project_id text not null,
    kind text not null,                            -- record_failed ...
    subject text not null,                         -- what it is about: with project and kind, alerted once
    message text not null,
    raised_at timestamptz not null default clock_timestamp(),
    unique (project_id, kind, subject)
);
comment on table sync.alerts is 'What the owner of a project is told, once for each subject';
"""

DOWN = """
drop table sync.alerts;
update sync.dead_letters set state = 'open' where state = 'permanently_failed';
drop index sync.dead_letters_one_open;
create unique index dead_letters_one_open on sync.dead_letters
    (project_id, direction, source, coalesce(raw_id, 0), coalesce(stream, ''), coalesce(crm_id, ''))
    where state = 'open';
alter table sync.dead_letters
    drop column next_retry_at,
    drop column retries,
    drop constraint dead_letters_state_check,
    add constraint dead_letters_state_check check (state in ('open', 'resolved', 'discarded'));
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
