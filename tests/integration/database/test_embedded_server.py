"""The embedded PostgreSQL, each test with a server of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from database import embedded
from database.embedded import EmbeddedServer, EmbeddedServerError
from tests.support.waiting import wait_until


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., EmbeddedServer]]:
    """Servers that are stopped at the end of the test, whatever became of them."""
    servers: list[EmbeddedServer] = []

    def make(name: str = "home", port: int | None = None) -> EmbeddedServer:
        server = EmbeddedServer(tmp_path / name, port)
        servers.append(server)
        return server

    yield make
    for server in servers:
        _kill(server)


def _processes(server: EmbeddedServer) -> list[psutil.Process]:
    """Whatever runs on the data folder, the children of a killed server too."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and process.cwd() == str(server.data):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _kill(server: EmbeddedServer) -> None:
    """End whatever runs on the data folder. The children of a killed server end by themselves meanwhile."""
    while processes := _processes(server):
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=1)


def _postmaster(server: EmbeddedServer) -> int:
    return int((server.data / "postmaster.pid").read_text().splitlines()[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(server: EmbeddedServer, query: str, database: str = "postgres") -> object:
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        return None if row is None else row[0]


def _run(server: EmbeddedServer, *statements: str) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_it_starts_on_a_free_port_and_keeps_that_port_and_the_data_over_a_restart(
    new_server: Callable[..., EmbeddedServer],
) -> None:
    server = new_server()
    assert not server.is_running()
    server.start()
    assert server.is_running()
    port = server.port
    assert str(_ask(server, "show server_version")).startswith("18")
    assert _ask(server, "show timezone") == "UTC"
    _run(server, "create table kept (note text)", "insert into kept values ('Привіт 🛒')")

    server.stop()
    assert not server.is_running()
    with pytest.raises(EmbeddedServerError, match="crm-elt database start"):
        server.url()
    server.start()

    assert server.port == port
    assert _ask(server, "select note from kept") == "Привіт 🛒"


def test_starting_and_stopping_twice_is_as_good_as_once(new_server: Callable[..., EmbeddedServer]) -> None:
    server = new_server()
    server.start()
    before = _postmaster(server)
    server.start()
    EmbeddedServer(server.home).start()
    assert _postmaster(server) == before
    server.stop()
    server.stop()


def test_it_starts_on_the_given_port_and_says_when_that_is_taken(new_server: Callable[..., EmbeddedServer]) -> None:
    port = _free_port()
    server = new_server("home", port)
    server.start()
    assert server.port == port
    assert f"127.0.0.1:{port}/" in server.url()

    with pytest.raises(EmbeddedServerError, match=f"Port {port} is taken .* CRM_ELT_DATABASE_PORT"):
        new_server("second", port).start()
    with pytest.raises(EmbeddedServerError, match=f"already runs on port {port}"):
        EmbeddedServer(server.home, _free_port()).start()


def test_two_homes_run_side_by_side_with_data_and_passwords_of_their_own(
    new_server: Callable[..., EmbeddedServer],
) -> None:
    first, second = new_server("first"), new_server("second")
    first.start()
    second.start()
    assert first.port != second.port
    _run(first, "create table only_here ()")
    assert _ask(second, "select to_regclass('only_here')") is None
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(first.url("postgres").replace(str(first.port), str(second.port)))
    first.stop()
    assert second.is_running()
    assert _ask(second, "select 1") == 1


def test_a_database_is_created_once_and_dropped_under_whoever_uses_it(
    new_server: Callable[..., EmbeddedServer],
) -> None:
    server = new_server()
    server.start()
    server.create_database("crm_elt")
    server.create_database("crm_elt")
    with psycopg.connect(server.url()) as user:
        user.execute("select 1")
        server.drop_database("crm_elt")
        with pytest.raises(psycopg.OperationalError):
            user.execute("select 1")
    server.drop_database("crm_elt")
    with pytest.raises(psycopg.OperationalError, match='database "crm_elt" does not exist'):
        psycopg.connect(server.url())


def test_nobody_gets_in_without_the_password_and_nobody_else_reads_it(
    new_server: Callable[..., EmbeddedServer],
) -> None:
    server = new_server()
    server.start()
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host="127.0.0.1", port=server.port, user="crm_elt", dbname="postgres", password="")
    assert (server.home / "postgres.password").stat().st_mode & 0o077 == 0
    assert server.data.stat().st_mode & 0o077 == 0


def test_a_data_folder_of_another_version_is_refused_and_left_alone(new_server: Callable[..., EmbeddedServer]) -> None:
    server = new_server()
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedServerError) as caught:
        server.start()
    assert str(caught.value) == (
        f"{server.data} belongs to PostgreSQL 16, this crm-elt runs 18: dump it with the older crm-elt (pg_dump) and "
        "restore it into a new CRM_ELT_HOME, or set DATABASE_URL."
    )
    assert [path.name for path in server.data.iterdir()] == ["PG_VERSION"]


def test_a_folder_with_other_files_is_refused_and_left_alone(new_server: Callable[..., EmbeddedServer]) -> None:
    server = new_server()
    server.data.mkdir(parents=True)
    (server.data / "thesis.txt").write_text("mine")
    with pytest.raises(EmbeddedServerError, match="not empty and no PostgreSQL data folder"):
        server.start()
    assert (server.data / "thesis.txt").read_text() == "mine"


def test_it_starts_again_after_sigkill_with_everything_committed(new_server: Callable[..., EmbeddedServer]) -> None:
    server = new_server()
    server.start()
    _run(server, "create table kept (n int)", "insert into kept select generate_series(1, 10000)")

    os.kill(_postmaster(server), signal.SIGKILL)
    wait_until(lambda: not server.is_running())
    assert (server.data / "postmaster.pid").exists(), "what is left behind is what this test is about"
    server.start()

    assert _ask(server, "select count(*) from kept") == 10000


def test_it_does_not_start_beside_a_busy_child_of_a_killed_server(new_server: Callable[..., EmbeddedServer]) -> None:
    """Two servers on one data folder destroy it, and a child that computes does not notice that its server died."""
    server = new_server()
    server.start()
    _run(server, "create table kept (n int)", "insert into kept values (1)")
    started = threading.Event()

    def compute() -> None:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            started.set()
            try:
                connection.execute("select count(*) from generate_series(1, 100) a, generate_series(1, 1000000000) b")
            except psycopg.OperationalError:
                return

    thread = threading.Thread(target=compute)
    thread.start()
    started.wait(30)
    active = """
        select exists (
            select from pg_stat_activity
            where query like '%generate_series(1, 100)%' and state = 'active' and pid <> pg_backend_pid()
        )
    """
    wait_until(lambda: _ask(server, active) is True)
    killed = {process.pid for process in _processes(server)}
    os.kill(_postmaster(server), signal.SIGKILL)
    wait_until(lambda: not server.is_running())

    server.start()

    assert not killed & {process.pid for process in _processes(server)}
    assert _ask(server, "select n from kept") == 1
    thread.join(30)
    assert not thread.is_alive()


def test_a_pid_file_whose_number_went_to_another_program_does_not_stop_the_start(
    new_server: Callable[..., EmbeddedServer],
) -> None:
    server = new_server()
    server.start()
    content = (server.data / "postmaster.pid").read_text()
    owner = (server.data / "postmaster.pid").stat()
    server.stop()
    sleeper = subprocess.Popen(["sleep", "600"], user=owner.st_uid if os.geteuid() == 0 else None)
    try:
        stale = server.data / "postmaster.pid"
        stale.write_text("\n".join([str(sleeper.pid), *content.splitlines()[1:]]) + "\n")
        os.chown(stale, owner.st_uid, owner.st_gid)
        assert not server.is_running()
        server.start()
        assert _ask(server, "select 1") == 1
        assert sleeper.poll() is None, "the other program is none of ours"
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_first_start_that_was_killed_halfway_is_made_good_by_the_next(
    new_server: Callable[..., EmbeddedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = new_server()
    original = EmbeddedServer._run

    def killed(self: EmbeddedServer, program: str, *arguments: str) -> None:
        original(self, program, *arguments)
        if program == "initdb":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedServer, "_run", killed)
        with pytest.raises(KeyboardInterrupt):
            server.start()
    assert not server.is_running()
    server.start()
    assert _ask(server, "select 1") == 1


def test_a_home_that_is_no_folder_is_named_with_its_variable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedServerError, match=r"file cannot be made a folder \(File exists\): set CRM_ELT_HOME"):
        EmbeddedServer(tmp_path / "file").start()


def test_a_server_that_cannot_start_says_why(new_server: Callable[..., EmbeddedServer]) -> None:
    server = new_server()
    server.start()
    server.stop()
    with (server.data / "postgresql.conf").open("a") as file:
        file.write("\nno_such_setting = on\n")
    with pytest.raises(EmbeddedServerError, match=r"pg_ctl failed .*no_such_setting"):
        server.start()


def test_removing_a_home_stops_its_server_and_deletes_its_data(new_server: Callable[..., EmbeddedServer]) -> None:
    server = new_server()
    server.start()
    embedded.remove(server.home)
    assert not server.is_running()
    assert not server.data.exists()
    wait_until(lambda: not _processes(server))


def test_it_works_for_an_ordinary_user_who_then_owns_the_data(new_server: Callable[..., EmbeddedServer]) -> None:
    warm_up = new_server()
    _start_and_ask(warm_up)  # loads all modules: the other user may be unable to read them
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        uid = os.geteuid()
        if uid == 0:
            uid = pwd.getpwnam("nobody").pw_uid
            Path(folder).chmod(0o755)
            os.chown(home, uid, -1)
        server = EmbeddedServer(home)
        try:
            answer = _in_a_child_of(uid, lambda: _start_and_ask(server))
            assert answer == f"42 {uid} {uid} False"
        finally:
            _kill(server)


def _start_and_ask(server: EmbeddedServer) -> str:
    server.start()
    try:
        answer = _ask(server, "select 40 + 2")
        owner = psutil.Process(_postmaster(server)).uids().effective
    finally:
        server.stop()
    return f"{answer} {owner} {server.data.stat().st_uid} {server.is_running()}"


def _in_a_child_of(uid: int, work: Callable[[], str]) -> str:
    """The result of the work, done by a forked process of that user (a new Python might be out of the user's reach)."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() != uid:
                os.setgroups([])
                os.setgid(pwd.getpwuid(uid).pw_gid)
                os.setuid(uid)
            result = work()
        except BaseException:  # noqa: BLE001  told to the parent
            result = traceback.format_exc()
        os.write(write_end, result.encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as reader:
        result = reader.read()
    os.waitpid(child, 0)
    return result


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can show that root is served by another user")
def test_as_root_the_server_runs_as_a_user_of_its_own(new_server: Callable[..., EmbeddedServer]) -> None:
    server = new_server()
    server.start()
    owners = set()
    for process in _processes(server):
        with contextlib.suppress(psutil.NoSuchProcess):  # a worker that has ended meanwhile
            owners.add(process.uids().effective)
    assert owners == {server.data.stat().st_uid}
    assert 0 not in owners
