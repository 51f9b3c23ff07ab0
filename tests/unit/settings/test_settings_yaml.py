from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.settings.problems import SettingsError, format_path
from sync.settings.strict_yaml import Plain, as_text, load, natural


def _tree(text: str) -> Any:
    tree, problems = load(text, "settings.yaml")
    assert problems == []
    return as_text(tree)


def _complaints(text: str) -> list[str]:
    try:
        _, problems = load(text, "settings.yaml")
    except SettingsError as error:
        return [str(problem) for problem in error.problems]
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    "written",
    ["16:00", "08:00", "no", "NO", "on", "yes", "2025-01-01", "010", "1_000", "0x1F", "1e5", "1.10", "=", "12"],
)
def test_a_scalar_stays_the_text_that_was_written(written: str) -> None:
    assert _tree(f"key: {written}") == {"key": written}


@pytest.mark.parametrize("written", ["on", "yes", "no", "1", "2025-01-01", "true"])
def test_a_key_stays_the_text_that_was_written(written: str) -> None:
    assert _tree(f"{written}: x") == {written: "x"}


@pytest.mark.parametrize(
    ("written", "value"), [("", None), ("~", None), ("null", None), ('""', ""), ('"null"', "null")]
)
def test_nothing_is_none_and_a_quoted_null_is_text(written: str, value: str | None) -> None:
    assert _tree(f"key: {written}") == {"key": value}


def test_a_key_given_twice_is_reported_with_both_lines() -> None:
    assert _complaints("a: 1\nb: {c: 1, c: 2}\na: 3\n") == [
        'settings.yaml:2: key "c" is given twice, first on line 2',
        'settings.yaml:3: key "a" is given twice, first on line 1',
    ]


def test_a_number_and_its_text_are_the_same_key() -> None:
    assert _complaints('1: a\n"1": b\n') == ['settings.yaml:2: key "1" is given twice, first on line 1']


def test_a_syntax_error_names_file_and_line() -> None:
    (complaint,) = _complaints("projects:\n  - id: a\n   name: b\n")
    assert complaint.startswith("settings.yaml:3: not YAML: ")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: \x01", "settings.yaml:2: not YAML: the character U+0001 is not allowed"),
        ('a: "\\0"', "settings.yaml:1: text that cannot be stored (NUL or half a character)"),
        ('a: "\\ud800"', "settings.yaml:1: text that cannot be stored (NUL or half a character)"),
        ("? [a, b]\n: 1", "settings.yaml:1: a key must be text"),
        ("a: &x [*x]", "settings.yaml:1: an alias inside of what it stands for"),
        ("a: 1\n<<: text", "settings.yaml:2: << takes a mapping or a list of mappings"),
    ],
)
def test_what_no_settings_file_may_hold_is_reported_with_its_line(text: str, complaint: str) -> None:
    assert _complaints(text) == [complaint]


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!binary", "!secret", "!!set"])
def test_tags_are_refused_and_never_run(tag: str) -> None:
    (complaint,) = _complaints(f"a: {tag} {{}}" if tag.endswith(("system", "set")) else f"a: {tag} x")
    assert complaint.startswith("settings.yaml:1: tags such as ")


def test_two_documents_in_a_file_are_refused() -> None:
    (complaint,) = _complaints("a: 1\n---\nb: 2\n")
    assert "single document" in complaint


def test_aliases_and_merge_keys_work_and_own_keys_go_before_merged_ones() -> None:
    text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 3}\nuse: {<<: [*base, *more], a: own}\nsame: *base\n"
    tree = _tree(text)
    assert tree["use"] == {"a": "own", "b": "2", "c": "3"}
    assert tree["same"] == tree["base"] == {"a": "1", "b": "2"}


def test_a_small_file_that_unfolds_to_millions_of_values_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (complaint,) = _complaints("\n".join(lines))
    assert "more than 200,000 values" in complaint


def test_a_file_nested_without_end_is_refused_and_not_a_crash() -> None:
    assert _complaints("a: " + "[" * 20_000) == ["settings.yaml: nested too deeply"]


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert _tree("\ufeffprojects: x") == {"projects": "x"}


def test_an_enormous_file_is_refused_before_it_is_parsed() -> None:
    (complaint,) = _complaints("a: " + "x" * 4_000_001)
    assert "not a settings file" in complaint


def test_parts_of_unknown_type_get_the_numbers_and_truth_values_of_yaml_1_2_where_unquoted() -> None:
    tree, _ = load('{a: 1, b: "1", c: 1.5, d: true, e: [false, -2], f: no, g: 010, h: "true", i: 08:00}', "x")
    assert natural(tree) == {
        "a": 1, "b": "1", "c": 1.5, "d": True, "e": [False, -2], "f": "no", "g": "010", "h": "true", "i": "08:00"
    }  # fmt: skip
    assert not any(isinstance(value, Plain) for value in natural(tree).values())


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    for complaint in _complaints(text):
        assert complaint.startswith("settings.yaml")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("projects", 0, "sla", 2, "limit"), "projects[0].sla[2].limit"),
        (
            ("projects", 1, "working_hours", "groups", "3", "mon-fri", 0),
            'projects[1].working_hours.groups["3"].mon-fri[0]',
        ),
        (("projects", 0, "status_map", "В обробці"), 'projects[0].status_map["В обробці"]'),
    ],
)
def test_a_path_is_written_as_one_would_look_it_up(path: tuple[str | int, ...], text: str) -> None:
    assert format_path(path) == text
