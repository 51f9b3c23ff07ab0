"""CSV files as they come: encodings, delimiters, headers, and what is refused in one sentence."""

from __future__ import annotations

import csv
import io
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.csv.decoding import FileRefusedError, decode
from connectors.csv.layout import inspect
from connectors.csv.reading import CHUNK_ROWS, Line, open_file
from connectors.csv.report import BOM, HEADER, write_report
from connectors.csv.rows import Cells

TEXT = "Дата;Телефон;Сумма;Описание\r\n15.01.2026;+79001112233;1500,50;Стрижка «Ёж» №1\r\n"


def lines(content: bytes | str) -> list[Line]:
    file = open_file(content.encode() if isinstance(content, str) else content)
    found = [line for chunk in file.chunks() for line in chunk]
    assert len(found) == file.rows
    return found


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (TEXT.encode("utf-8-sig"), "utf-8"),
        (TEXT.encode("cp1251"), "cp1251"),
        (TEXT.encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode() + b"\x1a", "utf-8"),
    ],
)
def test_each_encoding_gives_the_same_row(content: bytes, encoding: str) -> None:
    assert inspect(content)[1].encoding == encoding
    assert lines(content) == [Line(2, Cells("15.01.2026", "+79001112233", "1500,50", "Стрижка «Ёж» №1"))]


def test_ukrainian_cp1251_is_not_taken_for_damaged_utf_8() -> None:
    text = "дата;телефон;сума;опис\n15.01.2026;+380501112233;100;ЇЖАК Її їжа, ґанок Є і №\n"
    assert decode(text.encode("cp1251")) == (text, "cp1251")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_found(delimiter: str, ending: str) -> None:
    rows = [["date", "customer_phone", "amount", "description"], ["2026-01-15", "+7900", "1.5", 'a "b"; c, d\te|f']]
    target = io.StringIO()
    csv.writer(target, delimiter=delimiter, lineterminator=ending).writerows(rows)
    assert lines(target.getvalue()) == [Line(2, Cells(*rows[1]))]


@pytest.mark.parametrize("hint", ["sep=;\r\n", '"sep=;"\n', "SEP=;\n"])
def test_excels_hint_at_the_delimiter_is_no_row(hint: str) -> None:
    assert lines(f"{hint}date;phone;sum\n1;2;3\n") == [Line(2, Cells("1", "2", "3"))]


@pytest.mark.parametrize(
    "header",
    [
        "date,customer_phone,amount",
        "DATE , Customer Phone , Amount",
        '"Дата","Телефон клієнта","Сума, грн"',
        "Дата и время,Номер телефона,Итого",
        "дата_продажи,Тел.,сумма (руб.)",
        "date,phone,total",
    ],
)
def test_headers_are_known_in_three_languages(header: str) -> None:
    assert lines(f"{header}\n1,2,3\n") == [Line(2, Cells("1", "2", "3"))]


def test_columns_may_come_in_any_order_among_others_and_the_exact_name_goes_first() -> None:
    text = "id,total,amount,comment,phone,date\n7,999,100,Роза,+7900,2026-01-15\n"
    assert lines(text) == [Line(2, Cells("2026-01-15", "+7900", "100", "Роза"))]


def test_rows_are_numbered_as_a_spreadsheet_numbers_them() -> None:
    text = '\n\ndate,phone,amount,description\n1,2,3,a\n\n , ,,\n4,5,6,"two\nlines"\n7,8,9\n'
    assert [(line.number, line.cells.date, line.cells.description) for line in lines(text)] == [
        (4, "1", "a"), (7, "4", "two\nlines"), (8, "7", ""),
    ]  # fmt: skip


def test_chunks_neither_lose_nor_double_rows() -> None:
    count = 2 * CHUNK_ROWS + 3
    found = lines("date,phone,amount\n" + "".join(f"{number},1,1\n" for number in range(count)))
    assert [int(line.cells.date) for line in found] == list(range(count))
    assert [line.number for line in found] == list(range(2, count + 2))


def test_words_that_pandas_takes_for_nothing_stay_words() -> None:
    assert lines("date,phone,amount,description\nNA,null,nan,None\n") == [Line(2, Cells("NA", "null", "nan", "None"))]


def test_a_header_alone_is_a_file_without_sales() -> None:
    assert lines("date,phone,amount\n") == []


def test_a_row_that_is_too_long_is_told_and_one_with_an_empty_end_is_not() -> None:
    found = lines("date,phone,amount\n1,2,1500,50\n1,2,3,,,,,,,,,\n1,2,3,,,9\n")
    assert [line.problem is None for line in found] == [False, True, False]
    assert found[0].problem == "more cells than the header has, expected quotation marks around text with a comma"


def test_rows_that_a_quotation_mark_has_swallowed_are_told_and_the_others_are_read() -> None:
    text = (
        "date,phone,amount,description\n"
        '2026-01-01,1,1,"open\n2026-01-02,2,2,x\n2026-01-03,3,3,close"\n2026-01-04,4,4,"a\nb, c, d"\n'
    )
    first, second = lines(text)
    assert first.problem == "a quotation mark is not closed, so the rows after it were taken for a part of it"
    assert (second.problem, second.cells.description) == (None, "a\nb, c, d")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file is empty"),
        (b"\xef\xbb\xbf\r\n \r\n", "The file is empty"),
        (b"PK\x03\x04....", "an Excel workbook or an archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1..", "an old Excel workbook"),
        (b"%PDF-1.7", "a PDF"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"date,phone,amount\n1,2,\x003\n", "NUL characters"),
        (b"date,phone,amount\n1,2,\x073\n", "binary"),
        (b"date,phone,amount\n1,2,\x98\n", "neither UTF-8 nor cp1251"),
        (b"\xff\xfed\x00a", "begins as UTF-16 and is none"),
        ("date,phone,amount,note\n1,2,3,Привет".encode() + b"\xff\n", "a damaged character in line 2"),
        (b"1,2,3\n4,5,6\n", "The first row is no header"),
        (b"date:phone:amount\n1:2:3\n", "The first row is no header"),
        (b"date,amount\n1,2\n", "no column customer_phone:"),
        (b"date\n1\n", "no column customer_phone and no column amount:"),
        (b"date,phone,sum,total\n1,2,3,4\n", "The header names 2 columns that may be amount"),
        (b"date,phone,amount\n1;2;3\n4;5;6\n", "The header is separated by a comma and the rows by a semicolon"),
        (b'date,phone,amount\n1,2,3\n1,2,"3\n', "Row 3: a quotation mark is opened and never closed"),
        (b"date,phone,amount\n" + b"x" * 100_001, "Line 2 of the file has over 100,000 characters"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(content: bytes, said: str) -> None:
    with pytest.raises(FileRefusedError) as caught:
        lines(content)
    message = caught.value.message
    assert said in message
    assert message.endswith(".")
    assert "\n" not in message
    assert caught.value.word == "permanent"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", ""])
def test_a_line_of_the_greatest_length_is_read(ending: str) -> None:
    (line,) = lines(f"date,phone,amount{ending or chr(10)}1,2,{'3' * 99_996}{ending}")
    assert len(line.cells.amount) == 99_996
    with pytest.raises(FileRefusedError, match="Line 2"):
        lines(f"date,phone,amount{ending or chr(10)}1,2,{'3' * 99_997}{ending}")


def test_a_file_that_is_no_header_repeats_none_of_its_data() -> None:
    with pytest.raises(FileRefusedError) as caught:
        lines("2026-01-15,+79001112233,100\n")
    assert "9001112233" not in caught.value.message


CELL = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufeff"), max_size=12
).map(str.strip)
ROWS = st.lists(st.tuples(CELL, CELL, CELL, CELL), max_size=30)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.sampled_from(",;\t|"), st.booleans())
@example([("", "", "", "x")], ",", True)
def test_whatever_a_writer_of_csv_writes_is_read_back(
    rows: list[tuple[str, str, str, str]], delimiter: str, quotes: bool
) -> None:
    # A cell of one row that holds another delimiter twice in a file with nothing else is what a wrong delimiter is.
    rows = [row for row in rows if sum(map(bool, row)) != 1 or not any(mark in "".join(row) for mark in ",;\t|")]
    target = io.StringIO()
    quoting = csv.QUOTE_ALL if quotes else csv.QUOTE_MINIMAL
    csv.writer(target, delimiter=delimiter, quoting=quoting).writerows(
        [("date", "customer_phone", "amount", "description"), *rows]
    )
    expected = [(number, Cells(*row)) for number, row in enumerate(rows, 2) if any(row)]
    found = lines(target.getvalue())
    assert [(line.number, line.cells) for line in found] == expected
    assert all(line.problem is None for line in found)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_whatever_raise_anything_but_a_refusal(content: bytes, with_header: bool) -> None:
    try:
        lines((b"date,phone,amount\n" if with_header else b"") + content)
    except FileRefusedError as error:
        assert error.message.endswith(".")  # noqa: PT017 - most of them are refused, some are not


def test_damaged_files_are_read_or_refused_and_never_crash() -> None:
    chance = random.Random(5)
    good = bytearray(("date,phone,amount,note\n" + '2026-01-15,+79001112233,100,"Роза, ""Ёж"""\n' * 20).encode())
    for _ in range(300):
        damaged = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            lines(bytes(damaged))
        except FileRefusedError as error:
            assert error.message.endswith(".")  # noqa: PT017


def test_a_report_holds_no_formula_and_is_read_back_as_it_was() -> None:
    rows = [HEADER, (3, "invalid phone", "=1+1", "+7900", "-5", "@x"), (4, "r", " =2", "\tx", 'a"b', None)]
    text = write_report(rows, ";")
    assert BOM == "\ufeff"
    assert list(csv.reader(io.StringIO(text), delimiter=";")) == [
        ["row", "reason", "date", "customer_phone", "amount", "description"],
        ["3", "invalid phone", "'=1+1", "'+7900", "'-5", "'@x"],
        ["4", "r", "' =2", "'\tx", 'a"b', ""],
    ]
