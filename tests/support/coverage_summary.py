"""Prints the coverage of the product code by lines and by branches; fails below the minimum.

`python -m tests.support.coverage_summary`, after `pytest --cov`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import coverage

MINIMUM = 85.0


def main() -> int:
    measured = coverage.Coverage()
    measured.load()
    measured.report(file=sys.stdout, skip_covered=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.json"
        measured.json_report(outfile=str(path))
        totals = json.loads(path.read_text())["totals"]
    lines = 100 * totals["covered_lines"] / totals["num_statements"]
    branches = 100 * totals["covered_branches"] / totals["num_branches"]
    print(f"Coverage of the product code: lines {lines:.1f} %, branches {branches:.1f} % (minimum {MINIMUM:.0f} %)")
    return 0 if min(lines, branches) >= MINIMUM else 1


if __name__ == "__main__":
    sys.exit(main())
