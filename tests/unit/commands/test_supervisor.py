from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

import psutil
import pytest

from commands.failures import CommandError
from commands.supervisor import Service, Supervisor, require_free_ports
from database.ports import free_port, is_free
from tests.support.waiting import wait_until


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def server_code(port: int) -> str:
    return f"import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler).serve_forever()"


def test_start_returns_once_the_service_answers(tmp_path: Path) -> None:
    port = free_port()
    supervisor = Supervisor(tmp_path)
    try:
        supervisor.start(Service("web", python(server_code(port)), ready_url=f"http://127.0.0.1:{port}/"))
        assert not is_free(port)
    finally:
        supervisor.stop_all()
    assert is_free(port)


def test_a_service_that_ends_at_start_is_told_with_its_last_line(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    service = Service("web", python("print('no such shop'); exit(3)"), ready_url=f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(CommandError, match="web ended at start: no such shop"):
        supervisor.start(service)
    supervisor.stop_all()


def test_a_service_that_dies_is_started_again(tmp_path: Path) -> None:
    marks = tmp_path / "starts"
    code = (
        f"import os, signal; open({str(marks)!r}, 'a').write('x')\n"
        f"if os.path.getsize({str(marks)!r}) > 1: signal.pause()"
    )
    supervisor = Supervisor(tmp_path / "logs")
    stop = threading.Event()
    watcher = threading.Thread(target=supervisor.watch, args=(stop,))
    try:
        supervisor.start(Service("worker", python(code)))
        watcher.start()
        wait_until(lambda: marks.exists() and len(marks.read_text()) == 2, 20, "the condition")
    finally:
        stop.set()
        watcher.join()
        supervisor.stop_all()


def test_a_service_that_keeps_ending_is_given_up_with_a_sentence(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    supervisor.start(Service("worker", python("print('out of paper')")))
    with pytest.raises(CommandError, match="worker keeps ending: out of paper"):
        supervisor.watch(threading.Event())
    supervisor.stop_all()


def test_stopping_ends_grandchildren_too(tmp_path: Path) -> None:
    child = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
    mark = tmp_path / "pid"
    code = (
        "import subprocess, sys, signal\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"open({str(mark)!r}, 'w').write(str(child.pid))\n"
        "signal.pause()"
    )
    supervisor = Supervisor(tmp_path / "logs")
    supervisor.start(Service("parent", python(code)))
    wait_until(lambda: mark.exists() and mark.read_text() != "", 20, "the condition")
    grandchild = int(mark.read_text())
    supervisor.stop_all()
    wait_until(
        lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE,
        20,
        "the condition",
    )


def test_a_taken_port_is_named_by_its_variable() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} is taken by another program: set CRM_ELT_INGEST_PORT"):
            require_free_ports({"CRM_ELT_INGEST_PORT": port})


def test_the_environment_of_a_service_adds_to_that_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_CALLER", "a")
    mark = tmp_path / "seen"
    code = f"import os; open({str(mark)!r}, 'w').write(os.environ['FROM_CALLER'] + os.environ['OWN'])"
    supervisor = Supervisor(tmp_path / "logs")
    supervisor.start(Service("worker", python(code), {"OWN": "b"}))
    wait_until(lambda: mark.exists() and mark.read_text() == "ab", 20, "the condition")
    supervisor.stop_all()
    assert "OWN" not in os.environ
