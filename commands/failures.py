"""How a command fails: one sentence on stderr, exit code 1 (2 for usage); a traceback only with --debug."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Sequence

import click
import psycopg
import psycopg_pool
import typer
from rich.console import Console

from connectors.errors import ConnectorError
from database.embedded import EmbeddedServerError
from database.encryption import EncryptionError
from database.environment import ConfigurationError
from sync.build import BuildError
from sync.settings import SettingsError


class CommandError(Exception):
    """A failure with a sentence for the user."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


_SENTENCES = (
    CommandError,
    ConfigurationError,
    EmbeddedServerError,
    EncryptionError,
    SettingsError,
    ConnectorError,
    BuildError,
)


def exit_code_of(application: typer.Typer, arguments: Sequence[str], *, debug: bool) -> int:
    """Run the application and return its exit code; failures are printed to stderr."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    command = typer.main.get_command(application)
    try:
        result = command.main(args=list(arguments), prog_name="crm-elt", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        error.show(sys.stderr)
        return 2
    except (click.Abort, KeyboardInterrupt, asyncio.CancelledError):
        console.print("Interrupted.")
        return 130
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: a user gets a sentence, not a traceback
        if debug:
            traceback.print_exc()
        console.print(f"Error: {sentence_of(error)}", markup=False)
        return error.exit_code if isinstance(error, CommandError) else 1


def sentence_of(error: BaseException) -> str:
    """What went wrong and what to do, in a sentence; several problems of a file as a sentence and a list."""
    if isinstance(error, SettingsError) and len(error.problems) > 1:
        heading = f"The settings have {len(error.problems)} problems; nothing was changed. Mend them and apply again:"
        return "\n".join([heading, *(f"  - {problem}" for problem in error.problems)])
    if isinstance(error, _SENTENCES):
        return str(error)
    if isinstance(error, psycopg_pool.PoolTimeout | psycopg.OperationalError):
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return f"The database cannot be used: {reason}. Check DATABASE_URL, or run `crm-elt doctor`."
    if isinstance(error, BaseExceptionGroup):
        return sentence_of(error.exceptions[0])
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {error} (run again with --debug for the traceback)"
