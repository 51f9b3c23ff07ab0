"""docker-compose.yml, Dockerfile and .env.example name only commands, files and variables that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

from commands.application import application
from database.environment import Environment

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("image") == "crm-elt"}
VARIABLES = {"DATABASE_URL"} | {
    f"CRM_ELT_{name.upper()}" for name in Environment.model_fields if name != "database_url"
}
# Read by the database image, by docker compose itself, by uvicorn.
FOREIGN = {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "TZ", "PYTHONUNBUFFERED", "FORWARDED_ALLOW_IPS"}


def walk(command: click.Command, words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words lead to, and the words left over."""
    context = click.Context(command)
    while words and isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, f"crm-elt has no command {' '.join(words)}"
        command, words = found, words[1:]
    return command, words


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_command_of_compose_exists_with_its_options(name: str) -> None:
    service = OURS[name]
    if service.get("entrypoint") == ["uvicorn"]:
        module, attribute = service["command"][0].split(":")
        assert attribute == "app"
        assert (ROOT / f"{module.replace('.', '/')}.py").exists()
        return
    command, rest = walk(typer.main.get_command(application), list(service["command"]))
    command.make_context(name, rest, resilient_parsing=False)  # raises on an option that does not exist


def test_files_that_compose_names_exist() -> None:
    named = {word for service in OURS.values() for word in service["command"] if word.endswith(".yaml")}
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


def test_everything_that_the_image_copies_exists() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert copied
    for path in " ".join(copied).split():
        assert (ROOT / path).exists(), path


def test_the_image_holds_every_package_of_the_product() -> None:
    copied = set(" ".join(re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)).split())
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages <= copied


def test_variables_of_compose_and_image_are_ones_that_somebody_reads() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    used = set(re.findall(r"\$\{([A-Z_]+)", text))
    for service in COMPOSE["services"].values():
        used |= set(service.get("environment", {}))
    used |= set(re.findall(r"^\s*(?:ENV )?([A-Z_]+)=", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert used - FOREIGN <= VARIABLES


def test_the_example_file_names_all_variables_that_there_are_and_no_others() -> None:
    named = set(re.findall(r"^#?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    own = {name for name in named if not name.startswith("PRINT_SHOP_")}
    assert own - FOREIGN <= VARIABLES
    assert named >= VARIABLES


def test_services_that_need_tables_wait_for_the_migration() -> None:
    for name in ("ingest", "dashboard", "dbt-docs", "relay", "code-location"):
        assert OURS[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_the_lock_holds_a_hash_for_each_package_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "--index-url" not in text
    packages = re.findall(r"^[a-z0-9][^\s=]*==\S+", text, re.MULTILINE)
    assert len(packages) > 50
    assert text.count("--hash=sha256:") >= len(packages)
