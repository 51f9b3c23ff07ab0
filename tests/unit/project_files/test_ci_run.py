"""What CI runs installs from Debian what is missing, and nothing else, before it runs the README's commands."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / ".ci" / "run"
TOOLS = ("make", "python3", "node", "npm", "chromium")


def run(folder: Path, tools: Collection[str]) -> list[list[str]]:
    """The script on a machine with these tools; the calls of apt-get and make that it did."""
    bin_folder, called = folder / "bin", folder / "called"
    bin_folder.mkdir()
    (bin_folder / "dirname").symlink_to(shutil.which("dirname") or "")
    for name in (*tools, "apt-get"):
        program = bin_folder / name
        note = f'echo "{name} $*" >> {called}\n' if name in ("apt-get", "make") else ""
        program.write_text(f"#!{shutil.which('bash')}\n{note}exit 0\n")
        program.chmod(0o755)
    done = subprocess.run(
        [shutil.which("bash") or "bash", str(SCRIPT)], env={"PATH": str(bin_folder)}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [line.split() for line in called.read_text().splitlines()]


@pytest.mark.parametrize(("missing", "packages"), [
    ({"node", "npm"}, {"nodejs", "npm"}), ({"chromium"}, {"chromium"}), ({"python3"}, {"python3", "python3-venv"}),
])  # fmt: skip
def test_what_is_missing_is_installed(tmp_path: Path, missing: set[str], packages: set[str]) -> None:
    update, install, *rest = run(tmp_path, set(TOOLS) - missing)
    assert update[:2] == ["apt-get", "update"]
    assert install[:2] == ["apt-get", "install"]
    asked = {word for word in install[2:] if not word.startswith("-")}
    assert asked - {"ca-certificates", "fonts-liberation"} == packages
    assert [words[:2] for words in rest] == [["make", "install"], ["make", "lint"], ["make", "test"], ["make", "demo"]]


def test_nothing_is_installed_where_all_is_there(tmp_path: Path) -> None:
    assert {words[0] for words in run(tmp_path, TOOLS)} == {"make"}
