"""Forms with files, within limits: what a request brings is read whole before anything is done with it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from web.problems import ProblemError

FORM_BYTES = 64 * 1024
"""What a multipart form may have beside the file."""
_BODY_SECONDS = 120.0
_FILENAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class SentFile:
    content: bytes
    filename: str | None


@dataclass(frozen=True, slots=True)
class SentForm:
    fields: Mapping[str, str] = field(default_factory=dict)
    """By name; the last of several."""
    files: Sequence[tuple[str, SentFile]] = ()
    """Name of the field, and its file."""


async def read_body(request: Request, most: int, too_large: str) -> bytes:
    """The whole body of at most so many bytes. Raises ProblemError: 400, 408, 413 with the sentence `too_large`."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:12]) > most:
        raise ProblemError(413, "too_large", too_large, close=True)
    content = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                content += piece
                if len(content) > most:
                    raise ProblemError(413, "too_large", too_large, close=True)
    except TimeoutError:
        raise ProblemError(408, "too_slow", "The body did not arrive in time: send it again.", close=True) from None
    except ClientDisconnect:
        raise ProblemError(400, "client_gone", "The request ended before it was whole.") from None
    return bytes(content)


async def form_of(body: bytes, content_type: str) -> SentForm:
    """A multipart form. Raises ProblemError, 400."""

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
        files = [
            (name, SentFile(await value.read(), clean_filename(value.filename)))
            for name, value in form.multi_items()
            if isinstance(value, UploadFile)
        ]
        return SentForm({name: value for name, value in form.multi_items() if isinstance(value, str)}, files)
    finally:
        await form.close()


async def file_of(body: bytes, content_type: str, filename: str | None) -> SentFile:
    """The file of a request, as multipart form or as the body itself, which then has this name. Raises ProblemError."""
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        return SentFile(body, clean_filename(filename))
    return chosen_file(await form_of(body, content_type))


def chosen_file(form: SentForm) -> SentFile:
    """The one file of a form, or the one of its field `file`. Raises ProblemError, 400."""
    chosen = [value for name, value in form.files if name == "file"] or [value for _, value in form.files]
    if len(chosen) != 1:
        raise ProblemError(
            400, "invalid", "The form must have one file: send it as multipart field `file`, or as the raw body."
        )
    return chosen[0]


def clean_filename(name: str | None) -> str | None:
    """The last part of a path as a client has given it, without what cannot be shown."""
    last = re.split(r"[\\/]", name or "")[-1]
    return "".join(character for character in last if character.isprintable())[:_FILENAME_LENGTH] or None
