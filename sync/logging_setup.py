"""structlog for every process: readable on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import logging
import sys

import structlog
import structlog.tracebacks

from database.environment import Environment

# Local variables stay out of the log: they hold credentials and personal data.
_traceback = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def _logger(*_: object) -> structlog.PrintLogger:
    """For each line: who captures or replaces stderr later gets the lines from then on."""
    return structlog.PrintLogger(sys.stderr)


def configure_logging(environment: Environment, *, is_service: bool = True) -> None:
    """Set up structlog on stderr.

    A service tells what it does, in JSON lines off a terminal. Other commands show their results themselves, and
    somebody reads what else they say: warnings alone, unless CRM_ELT_LOG_LEVEL is set, and readable everywhere.
    """
    default_level = "info" if is_service else "warning"
    level = environment.log_level if "log_level" in environment.model_fields_set else default_level
    # The pool reports each failed attempt to connect; who waits for the database says so once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    is_terminal = sys.stderr.isatty()
    console = environment.log_format == "console" or (
        environment.log_format == "auto" and (is_terminal or not is_service)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.dev.ConsoleRenderer(colors=is_terminal, exception_formatter=structlog.dev.plain_traceback)
            if console
            else _traceback,
            *(() if console else (structlog.processors.JSONRenderer(ensure_ascii=False),)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=_logger,
    )
