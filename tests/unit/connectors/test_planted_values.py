"""The search for planted values finds them in every form: else its silence would mean nothing."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus, urlencode

import pytest

from tests.support.planted import found_in

NAME = "Передонова Аксинья"
WRITTEN = {
    "plain": f"x {NAME} y",
    "in capitals": NAME.upper(),
    "in JSON escapes": json.dumps({"patient": NAME}),
    "url-encoded": f"?name={quote(NAME)}&x=1",
    "url-encoded in small letters": quote(NAME).lower(),
    "as a form": urlencode({"name": NAME}),
    "as a form in cp1251": quote_plus(NAME.encode("cp1251")),
    "in hex": "\\x" + f"..{NAME}..".encode().hex(),
    **{
        f"in base64 at offset {offset}": base64.b64encode(b"#" * offset + NAME.encode() + b"##tail").decode()
        for offset in range(4)
    },
    "in base64 for URLs": base64.urlsafe_b64encode(f">{NAME}?".encode()).decode(),
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN.keys())
def test_a_value_is_found_however_it_is_written(text: str) -> None:
    assert found_in(text, [NAME, "Зюганцев"]) == [NAME]


def test_a_number_is_found_in_base64_and_hex_too() -> None:
    for text in (base64.b64encode(b'{"id":918273645}').decode(), b"918273645".hex(), '{"id": 918273645}'):
        assert found_in(text, ["918273645"]) == ["918273645"]


def test_what_is_not_there_is_not_found() -> None:
    assert found_in("Передон 91827 3645 base64 aGVsbG8=", [NAME, "918273645"]) == []
