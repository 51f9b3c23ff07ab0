"""Templates of definitions: what they can do, and that there is no way out of them and no way to keep them busy."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.custom import sandbox
from connectors.custom.sandbox import MissingError, Template

NAMES = frozenset(("record", "response"))
RECORD: dict[str, Any] = {
    "id": 7,
    "items": [{"name": "Cup", "price": Decimal("2.50")}, {"name": "Plate", "price": Decimal(3)}],
    "name": " Ann Lee ",
    "nothing": None,
    "paid": True,
    "long": "a" * 150_000,
}


def rendered(source: str, **values: Any) -> str:
    return Template(source, NAMES).render({"record": RECORD, "response": {"data": {"id": "X1"}}, **values})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ response.data.id }}", "X1"),
        ("{{ record.items[0].name }}-{{ record.id }}", "Cup-7"),
        ("{{ record['id'] }}", "7"),
        ("{{ record.items | map(attribute='name') | join(', ') }}", "Cup, Plate"),
        ("{{ record.items | sum(attribute='price') }}", "5.50"),
        ("{{ record.name | trim | split(' ') | last }}", "Lee"),
        ("{{ record.nothing }}", ""),
        ("{{ record.paid }}", "true"),
        ("{{ record.missing | default('none') }}", "none"),
        ("{{ 'paid' if record.id in [7, 8] else 'open' }}", "paid"),
        ("{{ record.items | selectattr('price', 'gt', 2.6) | map(attribute='name') | first }}", "Plate"),
        ("{{ record.id * 2 + 1 }}", "15"),
        ("{{ record.name | replace('Lee', 'Lee-Jones') }}", "Ann Lee-Jones"),
        ("{{ record.name[1:4] }}", "Ann"),
    ],
)
def test_what_templates_are_for(source: str, expected: str) -> None:
    assert rendered(source) == expected


@pytest.mark.parametrize(
    "source", ["{{ record.missing }}", "{{ record.missing.deeper }}", "{{ record.items[9].name }}"]
)
def test_what_is_not_there_is_missing(source: str) -> None:
    with pytest.raises(MissingError):
        rendered(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ record.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ record['__class__'] }}",
        "{{ record['__cl' ~ 'ass__'] }}",
        "{{ (record | attr('__class__')) }}",
        "{{ record.items.append(1) }}",
        "{{ record.name.upper() }}",
        "{{ record.name.format(1) }}",
        "{{ self.__init__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum }}",
        "{{ range(10) }}",
        "{{ config }}",
        "{{ record | map('attr', '__class__') | list }}",
        "{% for i in [1] %}x{% endfor %}",
        "{% set x = 1 %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% macro m() %}{% endmacro %}",
        "{{ 2 ** 3 }}",
        "{{ record is callable }}",
        "{{ record.name | pprint }}",
        "{{",
        "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        "x" * 3_000,
    ],
)
def test_what_templates_must_not_do_is_refused(source: str) -> None:
    with pytest.raises(ValueError):
        rendered(source)


def test_the_methods_of_values_are_not_there_even_as_text() -> None:
    assert (
        rendered("{{ record.items | map(attribute='__class__') | map('default', 'none') | join(',') }}") == "none,none"
    )
    with pytest.raises(MissingError):
        rendered("{{ record.name.upper }}")
    with pytest.raises(MissingError):
        rendered("{{ record.keys }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ record.long | replace('a', 'aaaaaaaaaaaaaaaaaaaa') }}",
        "{{ [record.long, record.long, record.long] | join }}",
        "{{ record.long ~ record.long }}",
        "{{ 9999999999999999999999 * 9999999999999999999999 * 9999999999999999999999 * 999999999999999999999 }}",
        "{{ record.long }}",
    ],
)
def test_a_template_makes_nothing_large(source: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"more than|numbers alone|too large"):
        rendered(source)
    assert time.monotonic() - began < 1


def test_a_template_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 0.0)
    with pytest.raises(ValueError, match="takes longer"):
        rendered("{{ record.items | map(attribute='name') | join(', ') }}")


def test_a_template_that_fails_says_so_in_one_sentence() -> None:
    for source in ("{{ 1 / 0 }}", "{{ record.id | sum }}", "{{ record.name - 1 }}", "{{ record.id | join }}"):
        with pytest.raises(ValueError, match="the template fails"):
            rendered(source)


@given(st.text(alphabet="{}%'\"|.()[]_ abcdefgirecod*~+-0123456789", max_size=80))
def test_whatever_is_written_nothing_but_value_error_comes(source: str) -> None:
    try:
        rendered("{{ " + source + " }}")
    except ValueError as error:
        assert str(error)  # noqa: PT017


def test_templates_do_not_disturb_each_other() -> None:
    record = {"list": [1, 2]}
    assert Template("{{ record.list | map('string') | join('+') }}", NAMES).render({"record": record}) == "1+2"
    assert record == {"list": [1, 2]}
