"""dbt's manifest, prepared ahead, because loading the definitions does nothing but read it.

`python -m orchestration.manifest` prepares it for the environment of the shell.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from database.environment import Environment, load_environment
from database.server import ensure_url
from sync.build import PROJECT_DIR, dbt_environment


class ManifestError(Exception):
    """There is no manifest, or dbt cannot parse the project; the message is one sentence with what to do."""


def target_folder(environment: Environment) -> Path:
    """dbt's target folder of Dagster, under CRM_ELT_HOME: the project's own may be read-only."""
    return environment.home / "dagster" / "dbt"


def manifest_path(environment: Environment) -> Path:
    return target_folder(environment) / "manifest.json"


def parse_folder(environment: Environment) -> Path:
    """Where dbt's state of the last parse lies, which makes the parse of a build quick."""
    return target_folder(environment) / "parse"


def existing_manifest(environment: Environment) -> Path:
    """Path of the manifest. Raises ManifestError if it was never prepared."""
    path = manifest_path(environment)
    if not path.is_file():
        raise ManifestError(
            f"The dbt manifest {path} is missing: run `python -m orchestration.manifest` "
            "(`crm-elt up` does it) with the same CRM_ELT_HOME, then load the definitions again."
        )
    return path


def prepare_manifest(environment: Environment, url: str) -> Path:
    """Parse the dbt project unless that was done for the same files; path of the manifest.

    Raises ManifestError.
    """
    path = manifest_path(environment)
    stamp = path.with_name("manifest.stamp")
    wanted = _fingerprint()
    if path.is_file() and stamp.is_file() and stamp.read_text() == wanted:
        return path
    folder = parse_folder(environment)
    folder.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(
        [
            dbt_program(), "--no-use-colors", "--no-send-anonymous-usage-stats", "parse",
            "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR),
            "--target-path", str(folder), "--log-path", str(folder),
        ],
        env={**os.environ, **dbt_environment(url)}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    if result.returncode != 0:
        tail = " / ".join(line.strip() for line in result.stdout.splitlines()[-6:] if line.strip())
        raise ManifestError(f"dbt cannot parse {PROJECT_DIR}: {tail}")
    # Copied and renamed: a run that starts just now reads the old manifest or the new one, never half of one.
    shutil.copy(folder / "manifest.json", folder / "manifest.next")
    (folder / "manifest.next").replace(path)
    stamp.write_text(wanted)
    return path


def dbt_program() -> str:
    """The `dbt` beside this Python, whatever PATH says."""
    return str(Path(sys.executable).parent / "dbt")


def _fingerprint() -> str:
    digest = hashlib.sha256(version("dbt-core").encode())
    for path in sorted(PROJECT_DIR.rglob("*")):
        relative = path.relative_to(PROJECT_DIR)
        if path.suffix in {".sql", ".yml", ".yaml", ".md", ".csv"} and relative.parts[0] not in {"target", "logs"}:
            digest.update(f"\0{relative}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def main() -> int:
    environment = load_environment()
    try:
        path = prepare_manifest(environment, ensure_url(environment))
    except ManifestError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
