"""Answers as trees: XML without entities and document types, records with what is stored of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.custom.documents import as_object, json_rows, parse_xml, plain_body, read_body, xml_rows
from connectors.custom.expressions import compile_field, compile_path
from connectors.custom.sandbox import MissingError

LAUGHS = (
    '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">'
    '<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]><a>&d;</a>'
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>',
        "<!--" + "x" * 9000 + "--><!DOCTYPE a><a/>",
        '<?xml version="1.0"?><!DOCTYPE a PUBLIC "x" "y"><a/>',
        "<a>&b;</a>",
    ],
    ids=["billion laughs", "external", "after a long comment", "public", "an entity nobody defined"],
)
def test_xml_with_a_document_type_or_entities_is_refused(text: str) -> None:
    for content in (text.encode(), text.replace('<?xml version="1.0"?>', "").encode("utf-16")):
        with pytest.raises(ValueError, match=r"not allowed|not XML"):
            parse_xml(content)


def test_an_external_entity_reads_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a very secret text")
    text = f'<!DOCTYPE a [<!ENTITY b SYSTEM "{secret.as_uri()}">]><a>&b;</a>'
    with pytest.raises(ValueError, match="not allowed") as caught:
        parse_xml(text.encode())
    assert "very secret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"x", b"<a>", b"{}", b"<a>" * 1000 + b"</a>" * 1000, b"\xff\xfe\x00"])
def test_what_is_no_xml_is_a_sentence(content: bytes) -> None:
    with pytest.raises(ValueError, match="not XML"):
        parse_xml(content)


def test_characters_as_numbers_and_other_encodings_are_read() -> None:
    assert parse_xml(b"<a>&#65;&amp;</a>").text == "A&"
    assert parse_xml('<?xml version="1.0" encoding="windows-1251"?><a>Чашка</a>'.encode("cp1251")).text == "Чашка"


def test_an_element_as_templates_see_it() -> None:
    element = parse_xml('<o xmlns:g="u" id="7"><g:n>x</g:n><i>1</i><i k="v">2</i><e/></o>')
    assert as_object(element) == {"@id": "7", "n": "x", "i": ["1", {"@k": "v", "#text": "2"}], "e": ""}


def _rows(answer: Any, path: str, *, volatile: tuple[str, ...] = (), keeps_response: bool = False) -> list[Any]:
    return json_rows(answer, compile_path(path, "json", {}).matches, volatile, keeps_response)


@pytest.mark.parametrize("path", ["$.data[*]", "$.data"])
def test_a_list_and_its_items_mean_the_same(path: str) -> None:
    rows = _rows({"data": [{"id": 1}, {"id": 2}, 3]}, path)
    assert [row.body for row in rows[:2]] == ['{"id":1}', '{"id":2}']
    assert rows[2] == "row 3 is no record: expected an object, got number"


def test_a_record_that_keeps_its_answer_keeps_no_other_record() -> None:
    answer = {"meta": {"currency": "EUR"}, "days": [{"sales": [{"id": 1}, {"id": 2}]}, {"sales": [{"id": 3}]}]}
    rows = _rows(answer, "$.days[*].sales[*]", keeps_response=True)
    third = read_body(rows[2].body)
    assert third.record == {"id": 3}
    assert third.response == {"meta": {"currency": "EUR"}, "days": [{"sales": []}, {"sales": [{"id": 3}]}]}
    assert compile_field("{{ response.meta.currency }} {{ record.id }}", "json", {}).value(third) == "EUR 3"


def test_an_answer_that_is_the_record_is_its_own_response() -> None:
    [row] = _rows({"data": {"id": "A7"}}, "$", keeps_response=True)
    assert compile_field("{{ response.data.id }}", "json", {}).value(read_body(row.body)) == "A7"


def test_the_hash_knows_neither_the_order_of_keys_nor_what_changes_by_itself() -> None:
    [first], [second], [third] = (
        _rows([row], "$[*]", volatile=("seen",))
        for row in ({"id": 1, "a": {"x": 1, "y": 2}, "seen": 5}, {"seen": 6, "a": {"y": 2, "x": 1}, "id": 1}, {"id": 1})
    )
    assert first.content_hash == second.content_hash != third.content_hash


def test_an_xml_record_is_stored_as_text_in_json_and_reads_the_same() -> None:
    answer = parse_xml('<all><o id="1"><n>Чашка</n><seen>1</seen></o> tail <o id="2"/></all>')
    first, second = xml_rows(answer, compile_path("o", "xml", {}).matches, ("seen",))
    assert json.loads(first.body) == {"xml": '<o id="1"><n>Чашка</n><seen>1</seen></o>'}  # type: ignore[union-attr]
    document = read_body(first.body)  # type: ignore[union-attr]
    assert compile_field("@id", "xml", {}).value(document) == "1"
    assert compile_field("/o/n", "xml", {}).value(document) == "Чашка"
    assert compile_field("count(//n)", "xml", {}).value(document) == 1
    assert compile_field("{{ record['@id'] }}-{{ record.n }}", "xml", {}).value(document) == "1-Чашка"
    again = xml_rows(
        parse_xml('<a><o id="1"><n>Чашка</n><seen>2</seen></o></a>'), compile_path("o", "xml", {}).matches, ("seen",)
    )
    assert again[0].content_hash == first.content_hash  # type: ignore[union-attr]
    assert second.content_hash != first.content_hash  # type: ignore[union-attr]
    with pytest.raises(MissingError):
        compile_field("nothing", "xml", {}).value(document)


def test_people_see_an_xml_record_as_json() -> None:
    assert json.loads(plain_body('{"xml":"<o><phone>+380501234567</phone></o>"}')) == {"phone": "+380501234567"}
    assert plain_body("no json") == "no json"


@pytest.mark.parametrize(
    ("path", "form"),
    [("a.b", "json"), ("$.a[", "json"), ("$..[?@.x =~ /a/]", "json"), ("$[?match(@.a, '(a+)+')]", "json"),
     ("//[", "xml"), ("{% x %}", "json"), ("{{ nope }}", "json"), ("{{ response.id }}", "xml"),
     ("$" + ".a" * 600, "json")],
)  # fmt: skip
def test_a_path_that_is_none_is_refused(path: str, form: Any) -> None:
    with pytest.raises(ValueError):
        compile_field(path, form, {})


def test_names_of_xml_can_have_prefixes() -> None:
    path = compile_path("g:o/g:n", "xml", {"g": "urn:goods"})
    [row] = path.matches(parse_xml('<a xmlns="urn:goods"><o><n>7</n></o></a>'))
    assert row[1].text == "7"
