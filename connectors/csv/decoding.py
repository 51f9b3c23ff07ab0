"""Bytes of an uploaded file -> text: which encoding it is in, and whether it is text at all."""

from __future__ import annotations

import codecs
import re

from connectors.errors import PermanentError

_SAVE_AS = "save it as CSV (UTF-8) and upload it again"
_MAGIC = (
    (b"PK\x03\x04", "The file is an Excel workbook or an archive, not CSV"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "The file is an old Excel workbook, not CSV"),
    (b"%PDF", "The file is a PDF, not CSV"),
    (b"\x1f\x8b", "The file is compressed, not CSV"),
)
_UTF_16 = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f]")


class FileRefusedError(PermanentError):
    """A file that is not read at all. The message is one sentence: what is wrong and what to do."""


def decode(content: bytes) -> tuple[str, str]:
    """The text and the name of its encoding: utf-8 (with or without BOM), utf-16 with BOM, else cp1251.

    Raises FileRefusedError.
    """
    if not content.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n"):
        raise FileRefusedError("The file is empty: it needs a header and one row for each sale.")
    for magic, what in _MAGIC:
        if content.startswith(magic):
            raise FileRefusedError(f"{what}: {_SAVE_AS}.")
    text, encoding = _decode(content)
    if "\x00" in text:
        raise FileRefusedError(f"The file holds NUL characters, so it is not plain text: {_SAVE_AS}.")
    text = text.removesuffix("\x1a")  # how DOS ends a file
    if _CONTROL.search(text):
        raise FileRefusedError(f"The file is binary, not text: {_SAVE_AS}.")
    return text, encoding


def _decode(content: bytes) -> tuple[str, str]:
    for mark, encoding in _UTF_16:
        if content.startswith(mark):
            try:
                return content.decode(encoding), encoding
            except UnicodeDecodeError:
                raise FileRefusedError(f"The file begins as UTF-16 and is none: {_SAVE_AS}.") from None
    try:
        return content.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError as error:
        if _is_damaged_utf_8(content):
            line = content.count(b"\n", 0, error.start) + 1
            raise FileRefusedError(f"The file is UTF-8 with a damaged character in line {line}: {_SAVE_AS}.") from None
    try:
        return content.decode("cp1251"), "cp1251"
    except UnicodeDecodeError:
        raise FileRefusedError(f"The file is neither UTF-8 nor cp1251 text: {_SAVE_AS}.") from None


def _is_damaged_utf_8(content: bytes) -> bool:
    """Whether most of what is not ASCII is whole UTF-8 characters: in cp1251 text these are rare accidents."""
    text = content.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    whole = sum(1 for character in text if character > "\x7f") - damaged
    return whole > damaged
