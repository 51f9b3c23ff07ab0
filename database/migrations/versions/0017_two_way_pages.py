"""What the dashboard's pages of the two-way sync read: indexes of what is rare, and since when a resync is at its stage."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

UP = """
create index outbox_not_sent on sync.outbox (project_id, state, outbox_id) where state in ('skipped', 'failed');
create index mappings_not_synced on sync.mappings (project_id, entity_type, sync_status, mapping_id)
    where sync_status <> 'synced';
create index write_ledger_newest on sync.write_ledger (project_id, side, entity_type, ledger_id desc);
create index dead_letters_by_id on sync.dead_letters (dead_letter_id desc);

alter table sync.resyncs
    add column kind text not null default 'full' check (kind in ('full', 'check')), -- check: compares, reads nothing
    add column stage_started_at timestamptz;       -- of the stage it is at: tells the pace
"""

DOWN = """
delete from sync.resyncs where kind = 'check';
alter table sync.resyncs drop column stage_started_at, drop column kind;
drop index sync.dead_letters_by_id;
drop index sync.write_ledger_newest;
drop index sync.mappings_not_synced;
drop index sync.outbox_not_sent;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
