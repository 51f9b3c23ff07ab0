"""`python -m orchestration.process PROGRAM ...`: one of Dagster's programs, with each line of its log written once.

Dagster gives its own loggers a handler and lets their lines go on to the root logger, which has none until the database
is away for a moment: dagster-postgres then calls `logging.warning`, which gives the root logger one, and from there on
each line is written twice.
"""

from __future__ import annotations

import logging
import runpy
import sys

LOGGERS = ("dagster", "dagster-webserver")


def main() -> None:
    for name in LOGGERS:
        logging.getLogger(name).propagate = False
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
