"""A file that a request brings, as multipart form or as the body itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from web.problems import ProblemError

FORM_BYTES = 64 * 1024
"""What a multipart form may have beside the file."""
_FILENAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class SentFile:
    content: bytes
    filename: str | None
    fields: Mapping[str, str] = field(default_factory=dict)
    """What else the form had."""


async def file_of(body: bytes, content_type: str, filename: str | None) -> SentFile:
    """The file of a request; `filename` is its name if it is the body itself. Raises ProblemError."""
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        return SentFile(body, clean_filename(filename))

    async def stream() -> AsyncIterator[bytes]:
        yield body

    headers = Headers({"content-type": content_type})
    try:
        form = await MultiPartParser(headers, stream(), max_files=5, max_fields=20).parse()  # type: ignore[arg-type]
    except (MultiPartException, MultipartParseError, KeyError, UnicodeError):
        raise ProblemError(
            400, "invalid", "The form cannot be read: send the file as multipart field `file`."
        ) from None
    try:
        files = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
        chosen = [value for name, value in files if name == "file"] or [value for _, value in files]
        if len(chosen) != 1:
            raise ProblemError(
                400, "invalid", "The form must have one file: send it as multipart field `file`, or as the raw body."
            )
        fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        return SentFile(await chosen[0].read(), clean_filename(chosen[0].filename), fields)
    finally:
        await form.close()


def clean_filename(name: str | None) -> str | None:
    """The last part of a path as a client has given it, without what cannot be shown."""
    last = re.split(r"[\\/]", name or "")[-1]
    return "".join(character for character in last if character.isprintable())[:_FILENAME_LENGTH] or None
