"""Schema marts and the role that BI tools log in with."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Roles belong to the server, not to the database: other databases of the server may use the role already.
UP = """
create schema marts;
comment on schema marts is 'What BI reads; built by dbt';
do $$
begin
    create role bi_reader nologin;
exception when duplicate_object or unique_violation then
    null;
end $$;
grant usage on schema marts to bi_reader;
alter default privileges in schema marts grant select on tables to bi_reader;
"""

DOWN = """
alter default privileges in schema marts revoke select on tables from bi_reader;
drop schema marts cascade;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
