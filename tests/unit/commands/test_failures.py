from __future__ import annotations

import psycopg
import pytest
import typer

from commands.failures import CommandError, exit_code_of, sentence_of
from connectors.errors import ConfigError


def failing(error: BaseException) -> typer.Typer:
    application = typer.Typer()

    @application.command()
    def only() -> None:
        raise error

    return application


def test_a_failure_is_one_sentence_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(failing(CommandError("The shop is closed: open it.")), [], debug=False) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "Error: The shop is closed: open it.\n"


def test_a_usage_failure_is_exit_code_2() -> None:
    assert exit_code_of(failing(CommandError("Name an id.", 2)), [], debug=False) == 2


def test_an_unknown_option_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(failing(RuntimeError()), ["--colour"], debug=False) == 2
    assert "--colour" in capsys.readouterr().err


def test_an_unexpected_failure_shows_a_traceback_only_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    application = failing(RuntimeError("boom"))
    assert exit_code_of(application, [], debug=False) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert exit_code_of(application, [], debug=True) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_exit_code_130() -> None:
    assert exit_code_of(failing(KeyboardInterrupt()), [], debug=False) == 130


def test_markup_in_a_message_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code_of(failing(CommandError("projects[0].sla[2].limit: wrong [red]")), [], debug=False)
    assert "projects[0].sla[2].limit: wrong [red]" in capsys.readouterr().err


def test_a_lost_database_is_told_with_what_to_do() -> None:
    assert sentence_of(psycopg.OperationalError("connection refused\nIs the server running?")) == (
        "The database cannot be used: connection refused. Check DATABASE_URL, or run `crm-elt doctor`."
    )


def test_the_first_of_a_group_of_errors_is_told() -> None:
    group = BaseExceptionGroup("all", [ConfigError("The API key is wrong."), RuntimeError("later")])
    assert sentence_of(group) == "The API key is wrong."


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        open("/nowhere/settings.yaml")  # noqa: PTH123, SIM115
    assert sentence_of(caught.value) == "/nowhere/settings.yaml: No such file or directory"
