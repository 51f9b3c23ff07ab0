"""config.projects.dashboard: which orders the dashboard's list shows."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table config.projects add dashboard jsonb not null default '{}'")
    op.execute(
        "comment on column config.projects.dashboard is"
        " 'Which orders the dashboard''s list shows: hidden_groups, hidden_statuses, closed_days'"
    )


def downgrade() -> None:
    op.execute("alter table config.projects drop dashboard")
