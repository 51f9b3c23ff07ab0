"""CSV files as they were uploaded, and how far their imports are."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UP = """
create table raw.csv_uploads (
    file_id bigint generated always as identity,
    project_id text not null,
    received_at timestamptz not null default clock_timestamp(),
    content_hash bytea not null,                   -- SHA-256 of the content
    content bytea not null,
    primary key (project_id, file_id),
    unique (project_id, content_hash)
);
comment on table raw.csv_uploads is 'Uploaded files, byte by byte; one that is uploaded again is there once';

create table sync.csv_imports (
    upload_id bigint generated always as identity,
    project_id text not null references config.projects on delete cascade,
    file_id bigint not null,                       -- raw.csv_uploads
    filename text,
    size_bytes integer not null,
    origin text not null check (origin in ('http', 'cli')),
    state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed')),
    attempts integer not null default 0,
    not_before timestamptz not null default '-infinity',
    requested_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    encoding text,
    delimiter text,
    rows_total bigint,                             -- null: the file was not opened yet
    rows_done bigint not null default 0,           -- imported + updated + duplicates + errors
    last_row bigint not null default 0,            -- number of the last row that is done: where a new attempt goes on
    imported bigint not null default 0,
    updated bigint not null default 0,
    duplicates bigint not null default 0,
    errors bigint not null default 0,
    error_word text check (error_word in ('retry', 'config', 'permanent', 'skip_row')),
    error_message text,                            -- why the whole file was refused
    primary key (project_id, upload_id)
);
create index csv_imports_due on sync.csv_imports (upload_id) where state in ('queued', 'running');
comment on table sync.csv_imports is 'One row for each upload of a file: its job, progress and result';

create table sync.csv_import_errors (
    project_id text not null,
    upload_id bigint not null,
    row_number bigint not null,                    -- as a spreadsheet counts, the header is row 1
    reason text not null,
    cells text[] not null,                         -- date, customer_phone, amount, description, as in the file
    primary key (project_id, upload_id, row_number),
    foreign key (project_id, upload_id) references sync.csv_imports on delete cascade
);
comment on table sync.csv_import_errors is 'Rows of files that are no sales, for the report; personal data';
"""

DOWN = """
drop table sync.csv_import_errors;
drop table sync.csv_imports;
drop table raw.csv_uploads;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
