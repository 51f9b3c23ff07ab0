"""Every text of the dashboard's pages has a Ukrainian and a Russian translation."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract, extract_from_dir
from babel.messages.pofile import read_po

from dashboard.settings.sections import SECTION_PAGES
from dashboard.two_way import words
from dashboard.ui.language import LANGUAGES, Language, translations

DASHBOARD = Path(__file__).parents[3] / "dashboard"
MARKS: dict[str, Any] = {
    "_": None, "gettext": None, "ngettext": (1, 2), "N_": None, "NN_": (1, 2), "UserError": None,
    "pgettext": ((1, "c"), 2),
}  # fmt: skip
IN_CONTEXT = "\4"
"""Between a context and its text, as gettext's files have it."""
REFUSALS: dict[str, Any] = {"ProblemError": (3,), "UnauthorisedError": (2,)}
SHOWN_ON_PAGES = [
    "guard.py", "problems.py", "sessions.py", "admin/forms.py", "admin/users_api.py", "admin/tokens_api.py",
    "admin/audit_pages.py", "../web/problems.py",
    "integrations/acting.py", "integrations/files.py", "integrations/definitions.py", "integrations/pages.py",
    "analytics/path_pages.py", "cursors.py", "orders/reading.py", "settings/pages.py", "two_way/acting.py",
    "two_way/conflicts_pages.py", "two_way/letters_pages.py", "two_way/resyncs_pages.py",
]  # fmt: skip
"""Files whose refusals people see; those of the JSON API alone are English."""
OF_THE_FRAMEWORK = [
    "There is no such address.",
    "This address does not take this method.",
    "The server failed on this request; its log says why.",
]
OTHERS = [language for language in LANGUAGES if language != "en"]
Text = str | tuple[str, ...]


def texts() -> dict[Text, str]:
    """What is shown -> where it is written."""
    found: dict[Text, str] = dict.fromkeys(OF_THE_FRAMEWORK, "web/problems.py")
    for name, table in words.for_templates()["words"].items():
        found |= dict.fromkeys(table.values(), f"two_way/words.py {name}")
    for section in SECTION_PAGES.values():
        found |= dict.fromkeys((section.title, section.about), "settings/sections.py")
    for name, line, message, _, context in extract_from_dir(
        DASHBOARD,
        method_map=[("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")],
        options_map={"templates/**.html": {"extensions": "jinja2.ext.i18n,jinja2.ext.loopcontrols", "silent": "false"}},
        keywords=MARKS,
    ):
        found.setdefault(message if context is None else f"{context}{IN_CONTEXT}{message}", f"{name}:{line}")
    for name in SHOWN_ON_PAGES:
        code = io.BytesIO((DASHBOARD / name).read_bytes())
        for line, message, _, _ in extract("python", code, keywords=REFUSALS):
            found.setdefault(message, f"{name}:{line}")
    return found


def test_texts_are_found_in_code_and_templates() -> None:
    found = texts()
    assert found["The login or the password is wrong."].startswith("sessions.py")
    assert found["Skip to the content"].startswith("templates/ui/page.html")
    assert ("%(num)s conflict waits for a decision", "%(num)s conflicts wait for a decision") in found


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated(language: Language) -> None:
    catalogue = translations(language)
    missing = []
    for message, where in texts().items():
        if isinstance(message, tuple):
            is_there = all(catalogue.ngettext(*message, number) not in message for number in (1, 2, 5))
        else:
            is_there = catalogue.gettext(message) != message or message in SAME
        if not is_there:
            missing.append(f"{where}: {message!r}")
    assert missing == [], f"add these to dashboard/locale/{language}/AREA.po"


def test_each_text_stands_in_one_file_alone() -> None:
    """What several areas say stands in ui.po: of two translations one would be shown, whatever its file meant."""
    twice = []
    for language in OTHERS:
        first: dict[tuple[Text, str | None], str] = {}
        for path in sorted((DASHBOARD / "locale" / language).glob("*.po")):
            with path.open("rb") as file:
                messages = [message for message in read_po(file) if message.id]
            for message in messages:
                key = (message.id if isinstance(message.id, str) else tuple(message.id), message.context)
                before = first.setdefault(key, path.name)
                twice += [f"{language}: {message.id!r} in {before} and {path.name}"] if before != path.name else []
    assert twice == [], "keep these in ui.po alone, or tell them apart by pgettext"


@pytest.mark.parametrize(
    ("language", "one", "several"), [("uk", "термінове", "термінові"), ("ru", "срочный", "срочные")]
)
def test_a_word_takes_the_form_of_what_it_is_about(language: Language, one: str, several: str) -> None:
    catalogue = translations(language)
    assert (catalogue.gettext("urgent"), catalogue.pgettext("several orders", "urgent")) == (one, several)


SAME = frozenset[str](
    ["SLA", "CRM", "CSV", "VMS", "ID", "SKU", "URL", "JSON", "YAML", "API", "OAuth", "HMAC", "p90", "E-mail"]
)
"""Words that all three languages have."""


@pytest.mark.parametrize(
    "path", sorted((DASHBOARD / "locale").glob("*/*.po")), ids=lambda path: "/".join(path.parts[-2:])
)
def test_translations_keep_the_values_and_all_plural_forms(path: Path) -> None:
    with path.open("rb") as file:
        catalogue = read_po(file)
    assert catalogue.num_plurals == 3
    for message in catalogue:
        if not message.id:
            continue
        sources = message.id if isinstance(message.id, (list, tuple)) else (message.id,)
        results = message.string if isinstance(message.string, (list, tuple)) else (message.string,)
        assert len(results) == (3 if len(sources) > 1 else 1), message.id
        assert not message.fuzzy, message.id
        named = set().union(*(re.findall(r"%\((\w+)\)", text) for text in sources))
        for text in results:
            assert set(re.findall(r"%\((\w+)\)", text)) == named, message.id


@pytest.mark.parametrize(
    ("language", "said"),
    [("uk", ["1 конфлікт", "3 конфлікти", "11 конфліктів"]), ("ru", ["1 конфликт", "3 конфликта", "11 конфликтов"])],
)
def test_a_number_takes_its_form(language: Language, said: list[str]) -> None:
    one, many = "%(num)s conflict waits for a decision", "%(num)s conflicts wait for a decision"
    shown = [translations(language).ngettext(one, many, number) % {"num": number} for number in (1, 3, 11)]
    assert [" ".join(text.split()[:2]) for text in shown] == said
