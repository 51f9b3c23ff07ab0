"""Where an error came from, without what was in the variables: fit for logs that people read."""

from __future__ import annotations

import traceback
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_MOST_FRAMES = 20


def frames(error: BaseException) -> list[str]:
    """The innermost frames, outermost first: "connectors/keycrm/mapping.py:120 in map_order: <source line>".

    Neither the error's text nor any value is told: they may be a person's data.
    """
    found = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    return [f"{_shown(frame.filename)}:{frame.lineno} in {frame.name}: {frame.line or ''}".rstrip() for frame in found]


def _shown(filename: str) -> str:
    path = Path(filename)
    if path.is_relative_to(_ROOT) and "site-packages" not in path.parts:
        return str(path.relative_to(_ROOT))
    parts = path.parts
    at = parts.index("site-packages") + 1 if "site-packages" in parts else -2
    return "/".join(parts[at:])
