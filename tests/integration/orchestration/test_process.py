"""The wrapper that Dagster's processes are started with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging, sys
from dagster._utils.log import configure_loggers

configure_loggers()
logging.warning("the database is away")  # as dagster-postgres does
logging.getLogger("dagster.daemon").info("checking %s", sys.argv[1])
logging.getLogger("dagster-webserver").info("serving")
"""


def test_lines_are_written_once_even_after_the_database_was_away(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(PROGRAM)
    result = subprocess.run(
        [sys.executable, "-m", "orchestration.process", str(program), "sensors"],
        capture_output=True, text=True, check=True, timeout=120, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    output = result.stdout + result.stderr
    for text in ("the database is away", "checking sensors", "serving"):
        assert output.count(text) == 1, output
