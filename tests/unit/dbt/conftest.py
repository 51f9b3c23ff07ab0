"""dbt's manifest, parsed once: parsing needs no database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sync.build import PROJECT_DIR, dbt_environment


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("dbt")
    result = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "--warn-error", "parse",
            "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR),
            "--target-path", str(target), "--log-path", str(target),
        ],
        env={**os.environ, **dbt_environment("postgresql://nobody@127.0.0.1:1/nothing")},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    content: dict[str, Any] = json.loads((target / "manifest.json").read_text())
    return content
