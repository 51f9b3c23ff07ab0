"""Runs dbt on the warehouse: builds and tests the marts, writes the docs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict

from database.build_lock import build_lock

PROJECT_DIR = Path(__file__).resolve().parent.parent / "dbt_project"

OnEvent = Callable[[int, int, str], None]
"""Called with (done, total, name) as each model or test ends."""

_FAILED = ("error", "fail", "runtime error", "partial success")
_TEST_TYPES = ("test", "unit_test")
_LONGEST_REASON = 400

_log = structlog.get_logger()


class BuildError(Exception):
    """dbt could not run at all; the message is one sentence with the reason."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A model or test that failed, and why, in one sentence."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class BuildResult:
    models: int
    """Models that were built."""
    tests: int
    """Tests that were run, unit tests included."""
    passed: int
    """Tests that passed or only warned."""
    skipped: int
    """Models and tests left out because something before them failed."""
    seconds: float
    failed: tuple[Failure, ...] = ()
    warnings: tuple[Failure, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.failed

    def as_row(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "models": self.models,
            "tests": self.tests,
            "passed": self.passed,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 3),
            "failed": [{"name": failure.name, "reason": failure.reason} for failure in self.failed],
            "warnings": [{"name": warning.name, "reason": warning.reason} for warning in self.warnings],
        }


ALL_ROWS = {"CRM_ELT_TEST_ALL_ROWS": "true"}
"""In dbt's environment: tests read all rows, and not only those that the build has changed."""


def dbt_environment(url: str) -> dict[str, str]:
    """The variables that `dbt_project/profiles.yml` reads, for a `postgresql://` URL."""
    parts = conninfo_to_dict(url)
    variables = {
        "CRM_ELT_DBT_HOST": str(parts.get("host") or "127.0.0.1"),
        "CRM_ELT_DBT_PORT": str(parts.get("port") or 5432),
        "CRM_ELT_DBT_USER": str(parts.get("user") or "postgres"),
        "CRM_ELT_DBT_PASSWORD": str(parts.get("password") or ""),
        "CRM_ELT_DBT_DATABASE": str(parts.get("dbname") or parts.get("user") or "postgres"),
    }
    if parts.get("sslmode"):
        variables["CRM_ELT_DBT_SSLMODE"] = str(parts["sslmode"])
    return variables


def build(
    url: str,
    *,
    full_refresh: bool = False,
    select: str | None = None,
    unit_tests: bool = False,
    all_rows: bool = False,
    target_folder: Path | None = None,
    on_event: OnEvent | None = None,
) -> BuildResult:
    """dbt build: every model with its tests, or those that `select` (dbt's selection syntax) names.

    `unit_tests` also runs those: they test the models' code and not the data. `all_rows` tests the rows that this build
    leaves as they are, too; after a full refresh, that is so anyway. `target_folder` takes dbt's files; unset,
    it is `dbt` under CRM_ELT_HOME. What fails is in the result; BuildError is raised if dbt could not run at all.
    """
    arguments = ["build"]
    if full_refresh:
        arguments.append("--full-refresh")
    if select:
        # Of the tests on other models too, those whose models are all built or read here: any other may be out of date.
        arguments += ["--select", *select.split(), "--indirect-selection", "buildable"]
    if not unit_tests:
        arguments += ["--exclude-resource-type", "unit_test"]
    folder = target_folder or _default_folder()
    started = time.monotonic()
    try:
        with build_lock(url):
            results = _run(url, arguments, folder, on_event, ALL_ROWS if all_rows else {})
    except psycopg.Error as error:
        raise BuildError(f"dbt could not run: {_sentence(str(error))}") from error
    if select and not results:
        raise BuildError(f"The selection {select!r} names no model or test of {PROJECT_DIR.name}.")
    result = _summary(results, time.monotonic() - started)
    _log.info(
        "marts built",
        models=result.models,
        tests=result.tests,
        failed=len(result.failed),
        seconds=round(result.seconds, 1),
    )
    return result


def docs(url: str, *, target_folder: Path | None = None) -> Path:
    """dbt docs generate: the folder with the static pages (index.html, manifest.json, catalog.json).

    Raises BuildError.
    """
    # A folder apart: the docs' manifest must not be in the way of a build that runs at the same time.
    folder = (target_folder or _default_folder()) / "docs"
    _run(url, ["docs", "generate"], folder, None)
    missing = [name for name in ("index.html", "manifest.json", "catalog.json") if not (folder / name).is_file()]
    if missing:
        raise BuildError(f"dbt docs generate ended without writing {', '.join(missing)} into {folder}.")
    return folder


def stale_sources(url: str, *, target_folder: Path | None = None) -> tuple[Failure, ...]:
    """dbt source freshness: the tables to which nothing was written for longer than the project allows.

    Raises BuildError.
    """
    folder = (target_folder or _default_folder()) / "freshness"
    file = folder / "sources.json"
    file.unlink(missing_ok=True)
    _run(url, ["source", "freshness"], folder, None)
    if not file.is_file():
        raise BuildError(f"dbt source freshness ended without writing {file}.")
    return tuple(
        Failure(".".join(entry["unique_id"].split(".")[-2:]), _last_written(str(entry.get("max_loaded_at") or "")))
        for entry in _results(file)
        if entry["status"] != "pass"
    )


def _last_written(moment: str) -> str:
    # dbt gives the year 1 for a table without rows.
    return "never written" if not moment or moment.startswith("0001-") else f"last written {moment}"


def _default_folder() -> Path:
    return Path(os.environ.get("CRM_ELT_HOME") or ".crm-elt").expanduser().absolute() / "dbt"


def _dbt_program() -> str:
    """The dbt beside this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("dbt")
    found = str(beside) if beside.is_file() else shutil.which("dbt")
    if found is None:
        raise BuildError("dbt is not installed beside this Python: run `make install`.")
    return found


def _run(
    url: str,
    arguments: list[str],
    folder: Path,
    on_event: OnEvent | None,
    more_variables: Mapping[str, str] | None = None,
) -> list[Mapping[str, Any]]:
    """Run dbt; the entries of its run_results.json. Raises BuildError if it wrote none."""
    folder.mkdir(parents=True, exist_ok=True)
    results_file = folder / "run_results.json"
    results_file.unlink(missing_ok=True)
    command = [
        _dbt_program(), "--log-format", "json", "--log-level", "info", "--log-level-file", "none",
        "--no-use-colors", "--no-send-anonymous-usage-stats",
        *arguments,
        "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR),
        "--target-path", str(folder), "--log-path", str(folder),
    ]  # fmt: skip
    # All wall-clock reading is explicit in the models; the zone is for dbt's own timestamps.
    variables = {**os.environ, **dbt_environment(url), **(more_variables or {}), "TZ": "UTC"}
    output = _Output(on_event)
    with subprocess.Popen(
        command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        if process.stdout is not None:
            for line in process.stdout:
                output.read(line)
    if process.returncode < 0:
        raise BuildError(f"dbt was stopped by signal {-process.returncode}.")
    if not results_file.is_file() or (process.returncode != 0 and not _has_failure(results_file)):
        if process.returncode != 0:
            raise BuildError(f"dbt could not run: {output.reason()}")
        return []
    return _results(results_file)


class _Output:
    """dbt's log lines: progress to the caller, the last errors kept."""

    def __init__(self, on_event: OnEvent | None) -> None:
        self._on_event = on_event
        self._done = 0
        self._errors: list[str] = []
        self._last = ""

    def read(self, line: str) -> None:
        try:
            event = json.loads(line)
            info, data = event["info"], event["data"]
        except (ValueError, KeyError, TypeError):
            self._last = line.strip() or self._last  # a traceback, or a warning of Python's
            return
        if info["level"] == "error":
            self._errors.append(str(info["msg"]))
        # "total" in most results, "num_models" in those of tests: models and tests together, either way.
        total = data.get("total") or data.get("num_models")
        if self._on_event is not None and total and info["name"].startswith("Log") and info["name"].endswith("Result"):
            self._done += 1
            self._on_event(self._done, int(total), str((data.get("node_info") or {}).get("node_name", "")))

    def reason(self) -> str:
        for error in self._errors:
            line = _one_line(error).removeprefix("Encountered an error:").strip()
            if line:
                return _sentence(line)
        return _sentence(self._last or "it ended without saying why")


def _results(path: Path) -> list[Mapping[str, Any]]:
    content = json.loads(path.read_text())
    return list(content["results"])


def _has_failure(path: Path) -> bool:
    return any(entry["status"] in _FAILED for entry in _results(path))


def _summary(results: list[Mapping[str, Any]], seconds: float) -> BuildResult:
    counts = _Counts()
    for entry in results:
        counts.add(entry)
    return BuildResult(
        models=counts.models,
        tests=counts.tests,
        passed=counts.passed,
        skipped=counts.skipped,
        seconds=seconds,
        failed=tuple(counts.failed),
        warnings=tuple(counts.warnings),
    )


@dataclass
class _Counts:
    models: int = 0
    tests: int = 0
    passed: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    warnings: list[Failure] = field(default_factory=list)

    def add(self, entry: Mapping[str, Any]) -> None:
        kind, name = _kind_and_name(str(entry["unique_id"]))
        status = entry["status"]
        is_test = kind in _TEST_TYPES
        if status == "skipped":
            self.skipped += 1
            return
        if is_test:
            self.tests += 1
            self.passed += status in ("pass", "warn")
        elif kind == "model" and status == "success":
            self.models += 1
        if status in _FAILED:
            self.failed.append(Failure(name, _reason(kind, entry)))
        elif status == "warn":
            self.warnings.append(Failure(name, _reason(kind, entry)))


def _kind_and_name(unique_id: str) -> tuple[str, str]:
    """`model.crm_elt.NAME`, `test.crm_elt.NAME.1a2b3c`, `unit_test.crm_elt.model.NAME` -> kind and name."""
    parts = unique_id.split(".")
    return parts[0], parts[-1] if parts[0] == "unit_test" else parts[2]


def _reason(kind: str, entry: Mapping[str, Any]) -> str:
    found = entry.get("failures")
    if kind == "test" and entry["status"] in ("fail", "warn") and found:
        return f"{found} {'row breaks' if found == 1 else 'rows break'} this test."
    return _sentence(str(entry.get("message") or "no reason given"))


def _one_line(text: str) -> str:
    return " ".join(_without_compiled_path(text))


def _without_compiled_path(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = line.split()
        if words and not line.strip().startswith("compiled code at"):
            yield " ".join(words)


def _sentence(text: str) -> str:
    line = _one_line(text)
    if len(line) > _LONGEST_REASON:
        line = line[: _LONGEST_REASON - 1] + "…"
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."
