"""Which transitions and paths the changed orders of a build touch, so that only those are counted anew."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

UP = """
create table sync.build_transitions (
    batch_id bigint not null,
    project_id text not null,
    from_status_id text not null,                  -- '': what was before the first event
    to_status_id text not null,
    is_urgent boolean not null,
    primary key (batch_id, project_id, from_status_id, to_status_id, is_urgent)
);
comment on table sync.build_transitions is 'Moves from status to status of the orders that a build changed, before and after';

create table sync.build_variants (
    batch_id bigint not null,
    project_id text not null,
    is_urgent boolean not null,
    is_ended boolean not null,
    variant_id text not null,
    primary key (batch_id, project_id, is_urgent, is_ended, variant_id)
);
comment on table sync.build_variants is 'Whole paths of the orders that a build changed, before and after';
"""

DOWN = "drop table sync.build_transitions, sync.build_variants;"


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
