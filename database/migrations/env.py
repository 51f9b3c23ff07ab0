"""Alembic's entry point: one transaction for all steps, one migrator at a time."""

import sqlalchemy
from alembic import context
from sqlalchemy.pool import NullPool

_LOCK = 7_263_514_001  # any constant: advisory lock of migrations


def run() -> None:
    engine = sqlalchemy.create_engine(context.config.attributes["url"], poolclass=NullPool)
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({_LOCK})")
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()


run()
