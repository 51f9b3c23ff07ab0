from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from database import migrate
from database.embedded import EmbeddedServer
from database.environment import ConfigurationError

_REPOSITORY = Path(__file__).parents[3]
_REVISIONS = migrate.revisions()


@pytest.fixture
def empty_url(server: EmbeddedServer) -> Iterator[str]:
    name = f"migrations_{uuid.uuid4().hex[:8]}"
    server.create_database(name)
    yield server.url(name)
    server.drop_database(name)


def _schema(server: EmbeddedServer, url: str) -> str:
    """Everything in the database but its rows, as PostgreSQL itself writes it down."""
    dump = subprocess.run(
        [server.binary("pg_dump"), "--schema-only", url], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    return "\n".join(line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


@pytest.mark.parametrize("revision", _REVISIONS)
def test_up_down_and_up_again_leave_the_schema_as_it_was(server: EmbeddedServer, empty_url: str, revision: str) -> None:
    position = _REVISIONS.index(revision)
    before = _REVISIONS[position - 1] if position else "base"
    migrate.upgrade(empty_url, before) if position else migrate.downgrade(empty_url, "base")
    below = _schema(server, empty_url)
    migrate.upgrade(empty_url, revision)
    above = _schema(server, empty_url)
    assert above != below

    migrate.downgrade(empty_url, before)
    assert _schema(server, empty_url) == below
    assert migrate.current(empty_url) == (before if position else None)
    migrate.upgrade(empty_url, revision)
    assert _schema(server, empty_url) == above
    assert migrate.current(empty_url) == revision


def test_all_the_way_down_leaves_nothing_behind(server: EmbeddedServer, empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.downgrade(empty_url, "base")
    with psycopg.connect(empty_url) as connection:
        rows = connection.execute(
            """
            select nspname from pg_namespace
            where nspname not like 'pg\\_%' and nspname not in ('information_schema', 'public')
            union all
            select relname from pg_class where relnamespace = 'public'::regnamespace and relname not like 'alembic%'
            union all
            select proname from pg_proc where pronamespace = 'public'::regnamespace
            union all
            select defaclrole::regrole::text from pg_default_acl
            """
        ).fetchall()
    assert rows == []


def test_upgrading_at_the_head_keeps_the_data(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(
            "insert into config.projects (project_id, name, crm, timezone) values ('a', 'A', 'csv', 'UTC')"
        )
        migrate.upgrade(empty_url)
        assert connection.execute("select count(*) from config.projects").fetchone() == (1,)
    assert migrate.current(empty_url) == migrate.head() == _REVISIONS[-1]


def test_a_step_that_fails_leaves_the_revision_and_the_schema_before_it(server: EmbeddedServer, empty_url: str) -> None:
    migrate.upgrade(empty_url, _REVISIONS[1])
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("create schema sync")  # in the way of a later step
    before = _schema(server, empty_url)
    with pytest.raises(Exception, match='schema "sync" already exists'):
        migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == _REVISIONS[1]
    assert _schema(server, empty_url) == before


def test_processes_that_migrate_at_once_wait_for_each_other(empty_url: str) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from database import migrate; migrate.upgrade(sys.argv[1])",
        empty_url,
    ]
    processes = [
        subprocess.Popen(command, cwd=_REPOSITORY, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    results = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    assert [code for _, code in results] == [0, 0, 0], results
    assert migrate.current(empty_url) == migrate.head()


@pytest.fixture
def reader_url(server: EmbeddedServer, database_url: str) -> Iterator[str]:
    """The address for a BI tool: a login that has the role bi_reader and nothing else."""
    name = f"tool_{uuid.uuid4().hex[:8]}"
    scheme, address = database_url.split("://")[0], database_url.split("@")[1]
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(sql.SQL("create role {} login password 'tool' in role bi_reader").format(sql.Identifier(name)))
        yield f"{scheme}://{name}:tool@{address}"
        owner.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_the_bi_role_reads_marts_that_are_built_later_and_may_do_nothing_else(
    database_url: str, reader_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("create table marts.fct_example as select 1 as n")
        owner.execute("create view marts.example_now as select n from marts.fct_example")
        tables = owner.execute(
            """
            select format('%I.%I', nspname, relname)
            from pg_class join pg_namespace on pg_namespace.oid = relnamespace
            where relkind in ('r', 'p', 'v', 'm', 'f')
                and nspname in ('config', 'raw', 'core', 'sync', 'vms', 'public', 'staging', 'intermediate')
            """
        ).fetchall()
    assert len(tables) > 20
    with psycopg.connect(reader_url, autocommit=True) as reader:
        assert reader.execute("select n from marts.fct_example").fetchone() == (1,)
        assert reader.execute("select n from marts.example_now").fetchone() == (1,)
        for (table,) in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"select from {table}")
        for statement in (
            "insert into marts.fct_example values (2)",
            "update marts.fct_example set n = 2",
            "delete from marts.fct_example",
            "truncate marts.fct_example",
            "drop table marts.fct_example",
            "create table marts.own (n int)",
            "create table public.own (n int)",
            "create schema own",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)


def test_taking_the_marts_down_in_one_database_leaves_the_role_to_the_others(
    server: EmbeddedServer, empty_url: str, database_url: str, reader_url: str
) -> None:
    migrate.upgrade(empty_url)
    migrate.downgrade(empty_url, "base")
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("create table marts.fct_example as select 1 as n")
    with psycopg.connect(reader_url) as reader:
        assert reader.execute("select n from marts.fct_example").fetchone() == (1,)


@pytest.mark.parametrize(("number", "is_refused"), [(170_006, True), (180_000, False), (190_001, False)])
def test_a_server_that_is_too_old_is_refused_in_a_sentence(number: int, is_refused: bool) -> None:
    if not is_refused:
        migrate.check_version(number)
        return
    with pytest.raises(ConfigurationError, match="PostgreSQL 17, and crm-elt needs 18 or newer"):
        migrate.check_version(number)
