"""Our scripts and styles, under addresses that change with their content, so that browsers keep them for ever."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.problems import ProblemError

FOLDER = Path(__file__).parents[1] / "static"
_FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter()


@dataclass(frozen=True, slots=True)
class StaticFile:
    content: bytes
    media_type: str
    digest: str


def load(folder: Path = FOLDER) -> dict[str, StaticFile]:
    """All files by name: a few, read once."""
    return {
        path.name: StaticFile(
            content := path.read_bytes(),
            mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            hashlib.sha256(content).hexdigest()[:12],
        )
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def address(files: Mapping[str, StaticFile], name: str) -> str:
    """Where a page finds the file of that name. Raises KeyError."""
    return f"/static/{files[name].digest}/{name}"


@router.get("/static/{digest}/{name}", include_in_schema=False)
async def static_file(request: Request, digest: str, name: str) -> Response:
    """A file; one that has changed since is answered as it is now, and not kept."""
    file: StaticFile | None = request.app.state.static_files.get(name)
    if file is None:
        raise ProblemError(404, "http", "There is no such file.")
    caching = _FOR_EVER if digest == file.digest else "no-store"
    headers = {"cache-control": caching, "etag": f'"{file.digest}"', "x-content-type-options": "nosniff"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
