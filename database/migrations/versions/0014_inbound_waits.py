"""What waits in the inbound queue says what for, and carries what is to be told of it."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

UP = """
alter table sync.inbound_queue
    add column reason text,                        -- why it is held back; null: it is not
    add column waits_for text[],                   -- article:SKU, customer:ID: once that is in vms, this is due
    add column news jsonb not null default '[]';   -- changes of core that those who listen are told of after this
comment on column sync.inbound_queue.attempts is 'How often it has been held back';
create index inbound_queue_held on sync.inbound_queue using gin (waits_for) where waits_for is not null;
"""

DOWN = """
drop index sync.inbound_queue_held;
alter table sync.inbound_queue drop column reason, drop column waits_for, drop column news;
comment on column sync.inbound_queue.attempts is null;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
